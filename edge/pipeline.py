"""The loop from camera to sinks, and the only place that knows the order of a frame's stages."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.capture.frame_rate import FrameRateCounter, FrameRateLimiter
from edge.types import Box, FaceResult, Frame, FrameResult, InferenceRequest, InferenceStats, RunStats, Sink, Track

STAGES = ("capture", "convert", "detect", "crop", "classify", "smooth")  # of a frame, up to its result
# Track ids that Summary knows, the last ones: a face that is lost keeps its id for two seconds, in which fewer others
# come, and a camera that runs for months has millions of ids.
RECENT_IDS = 1000

Image = NDArray[np.uint8]


class FaceTracker(Protocol):
    """Detects and tracks faces: edge.tracking.tracker.Tracker."""

    def update(self, gray: Image, now: float) -> Sequence[Track]: ...

    @property
    def candidates(self) -> Sequence[Track]: ...


class EmotionClassifier(Protocol):
    """Classifies a face: edge.inference.classifier.Classifier."""

    @property
    def uses_color(self) -> bool: ...

    def prepare(self, image: Image, box: Box, *, flip: bool = False, roll: float = 0.0) -> Image: ...

    def classify(self, face: Image) -> NDArray[np.float32]: ...


class Calibrator(Protocol):
    """Corrects probabilities by what each face shows at rest: edge.inference.neutral_calibration.NeutralCalibrator."""

    def update(
        self, tracks: Sequence[Track], probabilities: Mapping[int, NDArray[np.float32]], now: float
    ) -> Mapping[int, NDArray[np.float32]]: ...


class Smoother(Protocol):
    """Turns many inferences into one stable label: edge.inference.smoothing.TemporalSmoother."""

    @property
    def stats(self) -> InferenceStats: ...

    def plan(
        self, gray: Image, tracks: Sequence[Track], now: float, limit: int | None
    ) -> Sequence[InferenceRequest]: ...

    def update(
        self, tracks: Sequence[Track], probabilities: Mapping[int, NDArray[np.float32]], now: float
    ) -> Sequence[FaceResult]: ...


class Budget(Protocol):
    """Limits the inferences of each frame of a live source: edge.inference.budget.InferenceBudget."""

    def start_frame(self, frame_time: float, index: int, waited: float) -> int: ...

    def spend(self, inferences: int, seconds: float) -> None: ...


class FrameProcessor(Protocol):
    """Turns a frame into a result: Pipeline for a camera or a video, edge.image_analyzer.ImageAnalyzer for images.

    edge.file_processor, edge.auto_model and edge.capture.file_jobs have others, which are made of these.
    """

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`, for which the loop waited `capture_seconds`."""


@dataclass
class Summary:
    """Counters of a run, and the mean of its probabilities."""

    stats: RunStats = field(default_factory=RunStats)  # at the last frame
    face_results: int = 0  # summed over all frames
    faces: int = 0  # with different track ids
    seconds: float = 0.0  # from the first request for a frame to the end
    left_out: int = 0  # files of the source that were not read
    unfinished: int = 0  # files whose results are missing, as several jobs were stopped
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # stage -> seconds, summed
    _sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # label -> summed probabilities
    _recent_ids: OrderedDict[int, None] = field(default_factory=OrderedDict)  # the one seen last at the end

    @property
    def fps(self) -> float:
        """Frames per second over the run."""
        return self.stats.frames / self.seconds if self.seconds else 0.0

    @property
    def emotions(self) -> dict[str, float]:
        """Label -> mean probability over all face results, 0 to 1."""
        return {label: total / max(1, self.face_results) for label, total in self._sums.items()}

    def add(self, result: FrameResult, sink_seconds: float) -> None:
        """Count one result, and the seconds that the sinks took for it."""
        self.stats = result.stats
        for stage, seconds in result.timings.items():
            self.stages[stage] += seconds
        self.stages["sinks"] += sink_seconds
        for face in result.faces:
            self.face_results += 1
            self.faces += face.track_id not in self._recent_ids
            self._recent_ids[face.track_id] = None
            self._recent_ids.move_to_end(face.track_id)
            if len(self._recent_ids) > RECENT_IDS:
                self._recent_ids.popitem(last=False)
            for label, probability in face.probabilities.items():
                self._sums[label] += probability


class Pipeline:
    """Processes the frames of a camera or a video.

    Args:
        budget: of a live source; None: no limit, as for a file, whose results must not depend on the machine.
        calibrator: corrects probabilities before they are smoothed; None: they stay as they are.
    """

    def __init__(
        self,
        tracker: FaceTracker,
        classifier: EmotionClassifier,
        smoother: Smoother,
        budget: Budget | None = None,
        calibrator: Calibrator | None = None,
    ) -> None:
        self._tracker, self._classifier, self._smoother = tracker, classifier, smoother
        self._budget, self._calibrator = budget, calibrator

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`; `capture_seconds` is how long the loop waited for it."""
        timer = StageTimer(capture=max(0.0, capture_seconds), convert=frame.convert_seconds)
        limit = self._budget.start_frame(frame.time, frame.index, capture_seconds) if self._budget else None
        image = frame.gray if frame.search_image is None else frame.search_image
        tracks = self._tracker.update(image, frame.time)
        found = (*tracks, *self._tracker.candidates)
        if image is not frame.gray:
            scale = frame.gray.shape[1] / image.shape[1]
            found = tuple(replace(track, box=track.box.scaled(scale)) for track in found)
            tracks = found[: len(tracks)]
        timer.end("detect")
        requests = self._smoother.plan(frame.gray, tracks, frame.time, limit)
        timer.end("smooth")
        image = frame.color() if requests and self._classifier.uses_color else frame.gray
        crops = [
            self._classifier.prepare(image, request.track.box, flip=request.flip, roll=request.track.roll)
            for request in requests
        ]
        timer.end("crop")
        probabilities: Mapping[int, NDArray[np.float32]] = {
            request.track.track_id: self._classifier.classify(crop)
            for request, crop in zip(requests, crops, strict=True)
        }
        timer.end("classify")
        if self._budget:
            self._budget.spend(len(requests), timer.timings["crop"] + timer.timings["classify"])
        if self._calibrator:
            probabilities = self._calibrator.update(tracks, probabilities, frame.time)
        faces = tuple(self._smoother.update(tracks, probabilities, frame.time))
        timer.end("smooth")
        return FrameResult(frame, faces, timer.timings, RunStats(inference=self._smoother.stats), found)


class StageTimer:
    """Measures how long each stage of a frame takes.

    Args:
        known: stage -> seconds, of stages that were measured elsewhere.
    """

    def __init__(self, **known: float) -> None:
        self.timings = dict.fromkeys(STAGES, 0.0) | known
        self._ended = time.perf_counter()

    def end(self, stage: str) -> None:
        """Add the time since the last call, or since the timer was made, to `stage`."""
        now = time.perf_counter()
        self.timings[stage] += now - self._ended
        self._ended = now


def run(
    processor: FrameProcessor,
    frames: Iterator[Frame],
    sinks: Sequence[Sink] = (),
    *,
    max_frames: int | None = None,
    limiter: FrameRateLimiter | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Summary:
    """Process `frames` until they end or a limit is reached, and write each result to every sink.

    Args:
        processor: turns each frame into a result.
        frames: in the order in which they were captured.
        sinks: already entered.
        max_frames: limit of the run; None: no limit.
        limiter: limits the frame rate; None: as fast as frames arrive.
        stopped: called before each frame, and while `limiter` waits; True ends the run.
    """
    summary = Summary()
    started = time.perf_counter()

    def ended() -> bool:
        return stopped() or summary.stats.frames == max_frames

    for result in process_frames(processor, frames, limiter=limiter, stopped=ended):
        processed = time.perf_counter()
        for sink in sinks:
            sink.write(result)
        summary.add(result, time.perf_counter() - processed)
    summary.seconds = time.perf_counter() - started
    return summary


def process_frames(
    processor: FrameProcessor,
    frames: Iterator[Frame],
    *,
    limiter: FrameRateLimiter | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[FrameResult, None, None]:
    """Yield the result of each of `frames`, with the counters of the run; arguments as of `run`."""
    rate = FrameRateCounter()
    count = next_index = skipped = 0
    while not stopped():
        requested = time.perf_counter()
        if limiter is not None:
            limiter.wait(stopped)
        frame = next(frames, None)
        if frame is None:
            return
        result = processor.process(frame, time.perf_counter() - requested - frame.convert_seconds)
        count += 1
        skipped += frame.index - next_index
        next_index = frame.index + 1
        stats = replace(result.stats, frames=count, skipped=skipped, fps=rate.add(time.perf_counter()))
        yield replace(result, frame=frame, stats=stats)
        if limiter is not None:
            limiter.report(faces=bool(result.faces))
