"""Builds a run from its settings: the only module that knows every part."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.capture import registry as cameras
from edge.capture import stream_url
from edge.config import models
from edge.config.secrets import hide_passwords
from edge.config.settings import RunSettings
from edge.detection import registry as detectors
from edge.errors import CameraError, ImageError, SettingsError, UsageError
from edge.inference import model_file, prior
from edge.sinks import registry as sink_registry
from edge.system.paths import file_problem
from edge.system.stop_signals import StopSignals
from edge.types import Frame, FrameResult, InferenceStats, RunInfo, Sink

if TYPE_CHECKING:
    from edge.capture.file_list import ListedFile
    from edge.capture.reconnecting import Frames
    from edge.image_analyzer import ImageAnalyzer
    from edge.inference.budget import InferenceBudget
    from edge.inference.classifier import Classifier
    from edge.inference.model_choice import ModelChoice
    from edge.inference.smoothing import TemporalSmoother
    from edge.pipeline import FrameProcessor, Pipeline, Summary
    from edge.sinks.progress import ProgressBar
    from edge.system.systemd import SystemdNotifier
    from edge.system.worker_process import WorkerProcess

SINKS_WITHOUT_IMAGES = ("console", "csv", "jsonl", "mqtt")

_log = logging.getLogger(__name__)


def check_model(model: str) -> None:
    """Raise UnknownNameError or SettingsError if `model` is neither a name nor a file; for auto, if one is missing."""
    for each in (models.FAST, models.DEFAULT) if model == models.AUTO else (model,):
        if problem := file_problem(path := models.find_model(each)):
            raise SettingsError(f"{path}: {problem}")


# Setting -> checks the names in its value, and raises an error before anything is opened; see edge.config.toml_file.
NAME_CHECKS: dict[str, Callable[[Any], object]] = {
    "source": cameras.parse,
    "model": check_model,
    "prior": prior.parse,
    "detector": detectors.parse,
    "sinks": lambda specs: [sink_registry.find(spec)(RunInfo()) for spec in specs],
}


def check_crops(settings: RunSettings) -> None:
    """Raise UsageError if `crops` is set beside what it excludes: face detection, and a camera."""
    if not settings.crops:
        return
    for name, default in (("detector", RunSettings.detector), ("cascade", None)):
        if (value := getattr(settings, name)) != default:
            raise UsageError(f"crops is set, so no faces are detected, but {name} is {str(value)!r}; omit one of them")
    if not reads_files(settings):
        source = repr(hide_passwords(settings.source)) if settings.source else "a camera"
        raise UsageError(f"crops is set, but {source} is not an image or a folder of images; run without --crops")


def check_more_sources(settings: RunSettings) -> None:
    """Raise UsageError if there is a camera beside other sources."""
    addresses = [each for each in settings.more_sources if stream_url.is_address(each)]
    if addresses or (settings.more_sources and not reads_files(settings)):
        # An address may hold a password.
        source = "a network camera" if addresses else repr(hide_passwords(settings.more_sources[0]))
        raise UsageError(f"{source}: a second source, but only files can be several")


def check_jobs(settings: RunSettings) -> None:
    """Raise UsageError if there are several jobs for a camera, a duration, or a sink that needs images."""
    if settings.jobs == 1:
        return
    if sys.platform == "win32":
        raise UsageError(f"jobs is {settings.jobs}, but Windows has only 1; several need Linux or macOS")
    if settings.duration is not None:
        raise UsageError(
            f"jobs is {settings.jobs}, but duration would end the run with unfinished files; run without --duration"
        )
    if not reads_files(settings):
        raise UsageError(f"jobs is {settings.jobs}, but the source is a camera; only files are read by several jobs")
    for spec in settings.sinks:
        if spec.partition(":")[0] not in SINKS_WITHOUT_IMAGES:
            raise UsageError(f"jobs is {settings.jobs}, but the sink {spec} may need images; run with --jobs 1")


# Setting -> checks it beside others, and raises an error before anything is opened.
COMBINATION_CHECKS: dict[str, Callable[[RunSettings], object]] = {
    "crops": check_crops,
    "cascade": lambda settings: detectors.parse(settings.detector, settings.cascade),
    "more_sources": check_more_sources,
    "jobs": check_jobs,
}
# Those, and what a run finds out anyway when it loads the model; see edge.config.toml_file.
FILE_CHECKS: dict[str, Callable[[RunSettings], object]] = {
    **COMBINATION_CHECKS,
    "model": lambda settings: [
        prior.expected_frequencies(settings.prior, model_file.load(path)[1]) for path in model_paths(settings)
    ],
    "calibrate_neutral": lambda settings: [
        prior.resting_label(model_file.load(path)[1].labels)
        for path in (model_paths(settings) if settings.calibrate_neutral else ())
    ],
}


def describe_privacy(path: Path) -> str:
    """Return what the settings in the file at `path` keep, send and show of people. Raises SettingsError if invalid."""
    from edge.config import toml_file
    from edge.diagnostics import privacy

    settings = RunSettings(**toml_file.read(path, NAME_CHECKS))
    sinks = {spec: sink_registry.find(spec)(RunInfo()) for spec in settings.sinks}
    return privacy.describe(sinks, settings.source or "", calibrate_neutral=settings.calibrate_neutral)


def run(settings: RunSettings) -> Summary:
    """Run until the source ends, a limit is reached, or a signal arrives; return the summary."""
    from edge.capture.frame_rate import FrameRateLimiter
    from edge.pipeline import run as run_loop
    from edge.sinks.group import SinkGroup
    from edge.sinks.progress import ProgressBar, has_room

    files = _check(settings)
    sink_factories = {spec: sink_registry.find(spec) for spec in settings.sinks}  # first: misspelled names fail here
    source = settings.source or ("" if settings.reconnect else detect_source())
    live = not source or cameras.is_live(source)
    classifier = make_classifier(settings, live=live)
    stop_signals, left_out, unfinished = StopSignals(), list[str](), list[str]()
    image_worker = make_image_worker(settings)
    run_info = make_run_info(settings, files, classifier, image_worker, stop_signals, live=live)
    sinks = SinkGroup({spec: make_sink(run_info) for spec, make_sink in sink_factories.items()}, live)
    rate_limits = settings.max_fps, (settings.idle_fps or None) if live else None
    notifier = make_notifier(classifier, rate_limits)
    progress = ProgressBar() if files and has_room(settings.sinks) else None
    with ExitStack() as stack:
        stack.callback(image_worker.close)
        ended = RunLimit(stack.enter_context(stop_signals), settings.duration)
        if files:
            processor, frames = open_files(settings, classifier, files, left_out, unfinished, ended, progress)
        else:
            processor = make_processor(settings, classifier, live=live)
            frames = open_camera(source, settings.reconnect, ended, notifier)
        outputs: list[Sink | None] = [sinks, notifier, progress]
        summary = run_loop(
            processor,
            stack.enter_context(frames),
            [stack.enter_context(each) for each in outputs if each is not None],
            max_frames=settings.max_frames,
            max_seconds=settings.duration,
            limiter=FrameRateLimiter(*rate_limits),
            stopped=ended,
        )
    summary.left_out, summary.unfinished = len(left_out), len(unfinished)
    return summary


def _check(settings: RunSettings) -> list[ListedFile]:
    """Return the files that the run reads; empty: a camera. Raises UsageError if settings exclude each other."""
    from edge.capture.file import are_images

    for check in COMBINATION_CHECKS.values():
        check(settings)
    files = list_files(settings)
    if settings.crops and not are_images(files):
        raise UsageError(f"crops is set, but {settings.source!r} has videos; name images, or run without --crops")
    return files


def list_files(settings: RunSettings) -> list[ListedFile]:
    """Return the files that the run reads; empty: it reads a camera. Raises UsageError if one does not exist."""
    if settings.source is None or not reads_files(settings):
        return []
    from edge.capture import file_list

    sources = (settings.source, *settings.more_sources)
    return file_list.list_files([each.removeprefix("file:") for each in sources], recursive=settings.recursive)


def reads_files(settings: RunSettings) -> bool:
    """Return whether the source is named and no camera."""
    return settings.source is not None and cameras.parse(settings.source)[0] == "file"


class SourceFiles:
    """Whether a path is one of the files that a run reads, under whatever name."""

    def __init__(self, files: Iterable[ListedFile]) -> None:
        self._identities = set(filter(None, (self._identity(file.path) for file in files)))

    def __call__(self, path: Path) -> bool:
        return self._identity(path) in self._identities

    def _identity(self, path: Path) -> tuple[int, int] | None:
        try:
            status = path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


class FileProcessor:
    """Processes the frames of several files: each video anew, so that nobody is taken for a person of the video before.

    Args:
        make: whether the frames are images -> what processes them.
    """

    def __init__(self, make: Callable[[bool], FrameProcessor]) -> None:
        self._make = make
        self._processor: FrameProcessor | None = None
        self._file, self._first_id, self._last_id = ("", False), 0, 0
        self._inference = self._inference_before = InferenceStats()

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`; its track ids are those of no other file."""
        file = (frame.source_name, frame.is_image)
        if self._processor is None or (file != self._file and not (frame.is_image and self._file[1])):
            self._processor = self._make(frame.is_image)
            self._first_id, self._inference_before = self._last_id, self._inference
        self._file = file
        # On the clock of the file: the same sums of seconds whatever was read before, and so the same results.
        of_file = replace(frame, time=frame.file.time) if frame.file else frame
        result = self._processor.process(of_file, capture_seconds)
        begin = frame.time - of_file.time
        faces = tuple(
            replace(face, track_id=face.track_id + self._first_id, since=face.since + begin) for face in result.faces
        )
        tracks = tuple(
            replace(track, track_id=track.track_id + self._first_id if track.track_id else 0) for track in result.tracks
        )
        ids = [face.track_id for face in faces] + [track.track_id for track in tracks]
        self._last_id = max([self._last_id, *ids])
        before, now = asdict(self._inference_before), asdict(result.stats.inference)
        self._inference = InferenceStats(**{name: before[name] + now[name] for name in now})
        stats = replace(result.stats, inference=self._inference)
        return replace(result, frame=frame, faces=faces, tracks=tracks, stats=stats)


def open_files(
    settings: RunSettings,
    classifier: Classifier | ModelChoice,
    files: list[ListedFile],
    left_out: list[str],
    unfinished: list[str],
    ended: Callable[[], bool],
    progress: ProgressBar | None,
) -> tuple[FrameProcessor, AbstractContextManager[Iterator[Frame]]]:
    """Return what turns each frame of `files` into a result, and the frames; of several jobs those without images.

    Args:
        left_out: gets the names of files that are left out.
        unfinished: of several jobs, gets the names of files that are not complete when the run is stopped.
    """
    if min(settings.jobs, len(files)) == 1:
        from edge.capture.file import read_files

        return make_file_processor(settings, classifier), closing(read_files(files, left_out))
    from edge.capture.file_jobs import JobRunner

    report = progress.show if progress else lambda *_: None
    command = worker_command("edge.file_worker", settings)
    runner = JobRunner(files, command, min(settings.jobs, len(files)), left_out, ended, report, unfinished)
    return FileProcessor(lambda _: ReplayedResults(runner)), closing(runner.frames())


class ReplayedResults:
    """The results of another process, with image faces numbered on: as Pipeline and ImageAnalyzer number them."""

    def __init__(self, source: FrameProcessor) -> None:
        self._source = source
        self._last_id = 0

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`."""
        result = self._source.process(frame, capture_seconds)
        if not frame.is_image:
            return result
        faces = tuple(replace(face, track_id=face.track_id + self._last_id) for face in result.faces)
        self._last_id += len(faces)
        return replace(result, faces=faces)


def make_file_processor(settings: RunSettings, classifier: Classifier | ModelChoice) -> FrameProcessor:
    """Return what turns each frame of several files into a result."""
    return FileProcessor(lambda images: make_processor(settings, classifier, images=images))


class ModelTrial:
    """Processes the frames of a camera, and lets `choice`, which classifies them, measure its models between them.

    Args:
        smoother: of the pipeline. It gets the minimum confidence of the chosen model's card.
        min_confidence: that overrides the card; None: none.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        choice: ModelChoice,
        budget: InferenceBudget,
        smoother: TemporalSmoother,
        min_confidence: float | None,
    ) -> None:
        self._pipeline, self._choice, self._budget = pipeline, choice, budget
        self._smoother, self._min_confidence = smoother, min_confidence

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`."""
        result = self._pipeline.process(frame, capture_seconds)
        self._choice.end_frame(frame.gray, self._budget)
        if self._min_confidence is None:
            self._smoother.min_confidence = self._choice.card.min_confidence
        return result


def make_classifier(settings: RunSettings, *, live: bool = False) -> Classifier | ModelChoice:
    """Return what classifies faces; a choice of two models only for `live` frames, of a camera."""
    from edge.inference.classifier import Classifier

    paths = model_paths(settings)
    if live and len(paths) > 1:
        from edge.inference.model_choice import ModelChoice

        fast, accurate = (Classifier(path, settings.threads, settings.prior) for path in paths)
        return ModelChoice(fast, accurate, names=(models.name_of(paths[0]), models.name_of(paths[1])))
    if settings.model == models.AUTO:
        _log.info("model: %s (auto is for cameras)", models.name_of(paths[-1]))
    return Classifier(paths[-1], settings.threads, settings.prior)


def model_paths(settings: RunSettings) -> list[Path]:
    """Return the model file of the run; for auto the fast one and the default. Raises UnknownNameError."""
    if settings.model == models.AUTO:
        return [models.find_model(models.FAST), models.find_model(None)]
    return [models.find_model(settings.model)]


def make_processor(
    settings: RunSettings, classifier: Classifier | ModelChoice, *, live: bool = False, images: bool = False
) -> FrameProcessor:
    """Return what turns each frame into a result.

    Args:
        live: frames come from a camera, which does not wait.
        images: frames are unrelated images.
    """
    from edge.inference.budget import InferenceBudget
    from edge.inference.model_choice import ModelChoice
    from edge.inference.smoothing import TemporalSmoother
    from edge.pipeline import Pipeline
    from edge.tracking.tracker import Tracker

    if images and not isinstance(classifier, ModelChoice):
        return make_image_analyzer(settings, classifier, crops=settings.crops)
    card = classifier.card
    min_confidence = card.min_confidence if settings.min_confidence is None else settings.min_confidence
    detector = detectors.make_detector(settings.detector, settings.cascade, settings.threads)
    tracker, budget = Tracker(detector, settings.min_face_size), InferenceBudget() if live else None
    smoother = TemporalSmoother(card.labels, min_confidence, settings.half_life)
    calibrator = None
    if settings.calibrate_neutral:
        from edge.inference.neutral_calibration import NeutralCalibrator

        calibrator = NeutralCalibrator(card.labels, prior.resting_label(card.labels))
    pipeline = Pipeline(tracker, classifier, smoother, budget, calibrator)
    if budget and isinstance(classifier, ModelChoice):
        return ModelTrial(pipeline, classifier, budget, smoother, settings.min_confidence)
    return pipeline


def make_image_analyzer(settings: RunSettings, classifier: Classifier, *, crops: bool = False) -> ImageAnalyzer:
    """Return the analyzer of unrelated images; with `crops`, of face crops."""
    from edge.image_analyzer import ImageAnalyzer

    detector = None if crops else detectors.make_image_detector(settings.detector, settings.cascade, settings.threads)
    return ImageAnalyzer(detector, classifier, settings.min_face_size, settings.min_confidence, crops=crops)


def make_upload_analyzer(settings: RunSettings) -> ImageAnalyzer:
    """Return the analyzer of uploaded images, with a classifier of its own."""
    from edge.inference.classifier import Classifier

    return make_image_analyzer(settings, Classifier(model_paths(settings)[-1], prior=settings.prior))


def make_image_worker(settings: RunSettings) -> WorkerProcess:
    """Return the process that analyzes uploaded images; it starts with the first one. The caller closes it."""
    from edge.system.worker_process import WorkerProcess

    return WorkerProcess(worker_command("edge.image_worker", settings))


def worker_command(module: str, settings: RunSettings) -> list[str]:
    """Return the command that runs `module` in a process of its own, with `settings` as its argument."""
    from edge.system.worker_process import command

    values = {name: value for name, value in asdict(settings).items() if value is not None}
    return command(module, json.dumps(values, default=str))


def make_run_info(
    settings: RunSettings,
    files: Sequence[ListedFile],
    classifier: Classifier | ModelChoice,
    image_worker: WorkerProcess,
    stopped: Callable[[], bool],
    *,
    live: bool,
) -> RunInfo:
    """Return what sinks may know about the run, which reads `files` or a camera."""

    def analyze_image(content: bytes) -> Mapping[str, Any]:
        answer: dict[str, Any] = json.loads(image_worker.request(content))
        if "error" in answer:
            raise ImageError(answer["error"])
        return answer

    return RunInfo(
        live,
        classifier.card.labels,
        classifier.describe,
        analyze_image,
        is_source=SourceFiles(files),
        overwrite=settings.overwrite,
        is_service="NOTIFY_SOCKET" in os.environ,
        stopped=stopped,
    )


def detect_source() -> str:
    """Return the source to use if the user names none, and log it with the reason."""
    source, reason = cameras.detect_source()
    _log.info("source: %s (%s)", source, reason)
    return source


def make_notifier(
    classifier: Classifier | ModelChoice, rate_limits: tuple[float | None, ...]
) -> SystemdNotifier | None:
    """Return the notifier of the service manager; without a manager its module is not loaded."""
    if "NOTIFY_SOCKET" not in os.environ:
        return None
    from edge.system import systemd

    return systemd.make_notifier(classifier.warm_up, min((fps for fps in rate_limits if fps is not None), default=None))


def open_camera(
    source: str, reconnect: bool, ended: Callable[[], bool], notifier: SystemdNotifier | None
) -> AbstractContextManager[Iterator[Frame]]:
    """Return the frames of a camera, the latest one of a live `source`; with `reconnect`, also after it was lost."""
    if source and not cameras.is_live(source):  # synthetic:fast, which waits for the loop
        return closing(cameras.frames(source))
    from edge.capture.latest_frame import LatestFrame
    from edge.capture.reconnecting import ReconnectingCamera

    if not reconnect:
        return LatestFrame(cameras.undecoded_frames(source), ended)

    def log_change(message: str, is_problem: bool) -> None:
        _log.log(logging.WARNING if is_problem else logging.INFO, "edge: %s", message)

    camera = ReconnectingCamera(CameraOpener(source), log_change, ended)

    def is_waiting() -> bool:
        reason = camera.wait_reason
        if reason and notifier:
            notifier.report_wait(reason)
        return reason is not None

    return LatestFrame(camera.frames(), ended, is_waiting)


class CameraOpener:
    """Opens `source`, or if that is empty the camera that is connected at the time of the call."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._logged: set[str] = set()

    def __call__(self) -> tuple[Frames, bool]:
        """Return the frames, and whether the camera can be opened again in this process. Raises CameraError."""
        if self._source:
            return cameras.undecoded_frames(self._source), cameras.can_reconnect(self._source)
        source, reason = cameras.detect_source()
        if source == "synthetic":
            raise CameraError(reason)
        if source not in self._logged:
            self._logged.add(source)
            _log.info("source: %s (%s)", source, reason)
        return cameras.undecoded_frames(source), cameras.can_reconnect(source)


class RunLimit:
    """Whether the run must end, because of a signal or its duration, even while no frame arrives.

    Args:
        duration: in seconds from the first call, when everything is loaded; None: no limit.
    """

    def __init__(self, stopped: Callable[[], bool], duration: float | None) -> None:
        self._stopped, self._duration = stopped, math.inf if duration is None else duration
        self._end: float | None = None

    def __call__(self) -> bool:
        now = time.monotonic()
        if self._end is None:
            self._end = now + self._duration
        return self._stopped() or now >= self._end
