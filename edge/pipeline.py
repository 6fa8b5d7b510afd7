"""The loop that joins camera, detector, classifier, tracker and sinks, and the only place that knows their order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.sinks import Sink
from edge.values import Box, Face, Frame, Observation, Reading

Picture = NDArray[np.uint8]
Value = TypeVar("Value")


class Finder(Protocol):
    """What finds faces: edge.detector.Detector."""

    def find(self, grey: Picture) -> list[Box]: ...


class Reader(Protocol):
    """What reads a face: edge.classifier.Classifier."""

    def prepare(self, grey: Picture, box: Box) -> Picture: ...

    def scores(self, face: Picture) -> NDArray[np.float32]: ...


class Follower(Protocol):
    """What knows who is who: edge.tracker.Tracker."""

    def update(self, found: Sequence[tuple[Box, NDArray[np.float32]]], seconds: float) -> Sequence[Face]: ...


@dataclass
class Summary:
    """What a run came to."""

    labels: tuple[str, ...]
    frames: int = 0
    skipped: int = 0  # frames of the source that never arrived: damaged, or late in a live source
    readings: int = 0
    faces: set[int] = field(default_factory=set)  # identities
    seconds: float = 0.0  # from the first frame wanted to the end
    stages: Counter[str] = field(default_factory=Counter)  # stage -> seconds in all
    _shares: Counter[str] = field(default_factory=Counter)

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def emotions(self) -> dict[str, float]:
        """Label -> mean share over all readings, 0 to 1."""
        return {label: self._shares[label] / max(1, self.readings) for label in self.labels}

    def add(self, seen: Observation, skipped: int) -> None:
        """Count one observation and the frames that were skipped before it."""
        self.frames += 1
        self.skipped += skipped
        self.stages.update(seen.timings)
        for reading in seen.readings:
            self.readings += 1
            self.faces.add(reading.face_id)
            self._shares.update(reading.scores)


class Pipeline:
    """One run's parts, joined.

    Args:
        labels: of the model, in the order of its scores.
    """

    def __init__(self, detector: Finder, classifier: Reader, tracker: Follower, labels: tuple[str, ...]) -> None:
        self._detector, self._classifier, self._tracker = detector, classifier, tracker
        self._labels = labels

    def run(
        self,
        frames: Iterator[Frame],
        sinks: Sequence[Sink] = (),
        *,
        max_frames: int | None = None,
        max_seconds: float | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Summary:
        """Take `frames` to the end, or to the first limit reached, and hand each observation to every sink."""
        summary = Summary(self._labels)
        begin = time.perf_counter()
        expected = 0
        while not (stopped() or summary.frames == max_frames):
            asked = time.perf_counter()
            if max_seconds is not None and asked - begin >= max_seconds:
                break
            frame = next(frames, None)
            if frame is None:
                break
            seen = self.observe(frame, waited=time.perf_counter() - asked)
            written = time.perf_counter()
            for sink in sinks:
                sink.write(seen)
            summary.stages["sinks"] += time.perf_counter() - written  # type: ignore[assignment]
            summary.add(seen, skipped=frame.index - expected)
            expected = frame.index + 1
        summary.seconds = time.perf_counter() - begin
        return summary

    def observe(self, frame: Frame, waited: float = 0.0) -> Observation:
        """Return what is read in `frame`; `waited` is how many seconds it took to come."""
        clock = _Clock(wait=waited)
        boxes = clock.time("search", lambda: self._detector.find(frame.grey))
        crops = clock.time("crop", lambda: [self._classifier.prepare(frame.grey, box) for box in boxes])
        scores = clock.time("classify", lambda: [self._classifier.scores(crop) for crop in crops])
        faces = clock.time("track", lambda: self._tracker.update(list(zip(boxes, scores, strict=True)), frame.time))
        return Observation(frame, tuple(self._reading(face) for face in faces), clock.timings)

    def _reading(self, face: Face) -> Reading:
        scores = {label: float(share) for label, share in zip(self._labels, face.scores, strict=True)}
        label = None if face.label is None else self._labels[face.label]
        confidence = max(scores.values()) if label is None else scores[label]
        return Reading(face.id, face.box, scores, label, confidence)


class _Clock:
    """Notes how long each stage takes."""

    def __init__(self, **timings: float) -> None:
        self.timings = timings

    def time(self, stage: str, work: Callable[[], Value]) -> Value:
        start = time.perf_counter()
        value = work()
        self.timings[stage] = time.perf_counter() - start
        return value
