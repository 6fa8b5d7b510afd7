"""Builds a run from its settings: the only module that knows every part."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge.capture import registry as cameras
from edge.config import models, toml_file
from edge.config.settings import RunSettings
from edge.detection import registry as detectors
from edge.errors import ImageError, UsageError
from edge.file_processor import FileProcessor
from edge.inference import prior
from edge.setting_checks import check_combinations
from edge.sinks import registry as sink_registry
from edge.system.stop_signals import RunLimit, StopSignals
from edge.types import Frame, RunInfo, Sink

if TYPE_CHECKING:
    from edge.capture.file_list import ListedFile
    from edge.image_analyzer import ImageAnalyzer
    from edge.inference.classifier import Classifier
    from edge.inference.model_choice import ModelChoice
    from edge.pipeline import FrameProcessor, Summary
    from edge.sinks.progress import ProgressBar
    from edge.system.systemd import SystemdNotifier
    from edge.system.worker_process import WorkerProcess

_log = logging.getLogger(__name__)


def run(settings: RunSettings) -> Summary:
    """Run until the source ends, a limit is reached, or a signal arrives; return the summary."""
    from edge.capture.frame_rate import FrameRateLimiter
    from edge.pipeline import run as run_loop
    from edge.sinks.group import SinkGroup
    from edge.sinks.progress import ProgressBar, has_room

    check_combinations(settings)
    files = list_files(settings)
    sink_factories = {spec: sink_registry.find(spec) for spec in settings.sinks}  # first: misspelled names fail here
    source = settings.source or ("" if settings.reconnect else detect_source())  # empty: whichever camera comes
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
            from edge.capture.open_camera import open_camera

            processor = make_processor(settings, classifier, live=live)
            report_wait = notifier.report_wait if notifier else lambda _: None
            frames = open_camera(source, settings.reconnect, ended, report_wait)
        outputs: list[Sink | None] = [sinks, notifier, progress]
        summary = run_loop(
            processor,
            stack.enter_context(frames),
            [stack.enter_context(each) for each in outputs if each is not None],
            max_frames=settings.max_frames,
            limiter=FrameRateLimiter(*rate_limits),
            stopped=ended,
        )
    summary.left_out, summary.unfinished = len(left_out), len(unfinished)
    return summary


def list_files(settings: RunSettings) -> list[ListedFile]:
    """Return the files that the run reads; empty: it reads a camera.

    Raises UsageError if a source names none, or if `crops` is set and one is a video.
    """
    if not cameras.is_file(settings.source):
        return []
    from edge.capture import file_list

    names = [each.removeprefix("file:") for each in (settings.source, *settings.more_sources)]
    files = file_list.list_files(names, recursive=settings.recursive)
    if settings.crops and not file_list.are_images(files):
        raise UsageError(f"crops is set, but {settings.source!r} has videos; name images, or run without --crops")
    return files


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
    from edge.capture.file_jobs import JobRunner, ReplayedResults

    report = progress.show if progress else lambda *_: None
    command = worker_command("edge.file_worker", settings)
    runner = JobRunner(files, command, min(settings.jobs, len(files)), left_out, ended, report, unfinished)
    return FileProcessor(lambda _: ReplayedResults(runner)), closing(runner.frames())


def make_file_processor(settings: RunSettings, classifier: Classifier | ModelChoice) -> FrameProcessor:
    """Return what turns each frame of several files into a result."""
    return FileProcessor(lambda images: make_processor(settings, classifier, images=images))


def make_classifier(settings: RunSettings, *, live: bool = False) -> Classifier | ModelChoice:
    """Return what classifies faces; a choice of two models only for `live` frames, of a camera."""
    from edge.inference.classifier import Classifier

    paths = models.find_models(settings.model)
    if live and len(paths) > 1:
        from edge.inference.model_choice import ModelChoice

        fast, accurate = (Classifier(path, settings.threads, settings.prior) for path in paths)
        return ModelChoice(fast, accurate, names=(models.name_of(paths[0]), models.name_of(paths[1])))
    if settings.model == models.AUTO:
        _log.info("model: %s (auto is for cameras)", models.name_of(paths[-1]))
    return Classifier(paths[-1], settings.threads, settings.prior)


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
        from edge.auto_model import AutoModelProcessor

        return AutoModelProcessor(pipeline, classifier, budget, smoother, settings.min_confidence)
    return pipeline


def make_image_analyzer(settings: RunSettings, classifier: Classifier, *, crops: bool = False) -> ImageAnalyzer:
    """Return the analyzer of unrelated images; with `crops`, of face crops."""
    from edge.image_analyzer import ImageAnalyzer

    detector = None if crops else detectors.make_image_detector(settings.detector, settings.cascade, settings.threads)
    return ImageAnalyzer(detector, classifier, settings.min_face_size, settings.min_confidence, crops=crops)


def make_upload_analyzer(settings: RunSettings) -> ImageAnalyzer:
    """Return the analyzer of uploaded images, with a classifier of its own."""
    from edge.inference.classifier import Classifier

    return make_image_analyzer(settings, Classifier(models.find_models(settings.model)[-1], prior=settings.prior))


def make_image_worker(settings: RunSettings) -> WorkerProcess:
    """Return the process that analyzes uploaded images; it starts with the first one. The caller closes it."""
    from edge.system.worker_process import WorkerProcess

    return WorkerProcess(worker_command("edge.image_worker", settings))


def worker_command(module: str, settings: RunSettings) -> list[str]:
    """Return the command that runs `module` in a process of its own, with `settings` as its argument."""
    from edge.system.worker_process import command

    values = {name: value for name, value in asdict(settings).items() if value is not None}
    return command(module, json.dumps(values, default=str))


def worker_settings(argument: str) -> RunSettings:
    """Return the settings that are the `argument` of a process of worker_command."""
    return RunSettings(**{name: toml_file.convert(name, value) for name, value in json.loads(argument).items()})


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

    from edge.capture.file_list import SourceFiles

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
