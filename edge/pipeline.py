"""The loop that joins camera, detector, classifier, tracker and sinks, and the only place that knows their order."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.capture.frame_rate import Pace
from edge.sinks.registry import Sink
from edge.types import Box, Face, Frame, Observation, Reading, Sighting

STAGES = ("wait", "convert", "search", "crop", "classify", "steady")  # of a frame, until its readings are there

Picture = NDArray[np.uint8]


class Watcher(Protocol):
    """What knows where everybody's face is: edge.tracking.tracker.Tracker."""

    def update(self, grey: Picture, now: float) -> Sequence[Sighting]: ...

    def still(self, grey: Picture) -> Sequence[Sighting]: ...


class Reader(Protocol):
    """What reads a face: edge.inference.classifier.Classifier."""

    def prepare(self, grey: Picture, box: Box, *, again: bool = False) -> Picture: ...

    def scores(self, face: Picture) -> NDArray[np.float32]: ...


class Steadying(Protocol):
    """What makes of many looks one label: edge.inference.smoothing.Steadier."""

    def due(self, face_id: int, now: float) -> bool: ...

    def again(self, face_id: int) -> bool: ...

    def update(
        self, seen: Sequence[Sighting], scores: Mapping[int, NDArray[np.float32]], now: float
    ) -> Sequence[Face]: ...


@dataclass
class Summary:
    """What a run came to."""

    labels: tuple[str, ...]
    frames: int = 0
    skipped: int = 0  # frames of the source that never arrived: damaged, or late in a live source
    readings: int = 0
    faces: set[int] = field(default_factory=set)  # identities
    seconds: float = 0.0  # from the first frame wanted to the end
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # stage -> seconds in all
    _expected: int = 0  # index of the next frame, if none is skipped
    _shares: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # label -> sum over all readings

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def emotions(self) -> dict[str, float]:
        """Label -> mean share over all readings, 0 to 1."""
        return {label: self._shares[label] / max(1, self.readings) for label in self.labels}

    def add(self, seen: Observation, sinks: float) -> None:
        """Count one observation, and the seconds that the sinks took for it."""
        self.frames += 1
        self.skipped += seen.frame.index - self._expected
        self._expected = seen.frame.index + 1
        for stage, seconds in seen.timings.items():
            self.stages[stage] += seconds
        self.stages["sinks"] += sinks
        for reading in seen.readings:
            self.readings += 1
            self.faces.add(reading.face_id)
            for label, share in reading.scores.items():
                self._shares[label] += share


class Pipeline:
    """One run's parts, joined.

    Args:
        labels: of the model, in the order of its scores.
    """

    def __init__(self, watcher: Watcher, classifier: Reader, steadier: Steadying, labels: tuple[str, ...]) -> None:
        self._watcher, self._classifier, self._steadier = watcher, classifier, steadier
        self._labels = labels

    def run(
        self,
        frames: Iterator[Frame],
        sinks: Sequence[Sink] = (),
        *,
        max_frames: int | None = None,
        max_seconds: float | None = None,
        pace: Pace | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Summary:
        """Take `frames` to the end, or to the first limit reached, and hand each observation to every sink.

        Args:
            frames: of a camera, in the order in which they were taken.
            sinks: opened.
            max_frames, max_seconds: to end after; None: no limit.
            pace: keeps the loop from running faster than it should; None: as fast as frames come.
            stopped: is asked before each frame whether to end.
        """
        summary = Summary(self._labels)
        begin = time.perf_counter()
        while not (stopped() or summary.frames == max_frames):
            asked = time.perf_counter()
            if max_seconds is not None and asked - begin >= max_seconds:
                break
            if pace is not None:
                pace.wait(stopped)
            frame = next(frames, None)
            if frame is None:
                break
            seen = self.observe(frame, waited=time.perf_counter() - asked - frame.convert)
            written = time.perf_counter()
            for sink in sinks:
                sink.write(seen)
            summary.add(seen, sinks=time.perf_counter() - written)
            if pace is not None:
                pace.saw(bool(seen.readings))
        summary.seconds = time.perf_counter() - begin
        return summary

    def observe(self, frame: Frame, waited: float = 0.0) -> Observation:
        """Return what is read in `frame`; `waited` is how many seconds it took to come."""
        laps = _Laps(wait=max(0.0, waited), convert=frame.convert)
        seen = self._watch(frame)
        laps.end("search")
        due = [sighting for sighting in seen if frame.name or self._steadier.due(sighting.id, frame.time)]
        laps.end("steady")
        crops = [self._crop(frame, sighting) for sighting in due]
        laps.end("crop")
        looked = {sighting.id: self._classifier.scores(crop) for sighting, crop in zip(due, crops, strict=True)}
        laps.end("classify")
        readings = tuple(map(self._reading, self._steadier.update(seen, looked, frame.time)))
        laps.end("steady")
        return Observation(frame, readings, laps.timings)

    def _watch(self, frame: Frame) -> Sequence[Sighting]:
        searched = frame.grey if frame.small is None else frame.small
        seen = self._watcher.still(searched) if frame.name else self._watcher.update(searched, frame.time)
        if frame.small is None:
            return seen
        larger = frame.grey.shape[1] / searched.shape[1]
        return [Sighting(one.id, one.box.scaled(larger)) for one in seen]

    def _crop(self, frame: Frame, sighting: Sighting) -> Picture:
        again = not frame.name and self._steadier.again(sighting.id)
        return self._classifier.prepare(frame.grey, sighting.box, again=again)

    def _reading(self, face: Face) -> Reading:
        scores = dict(zip(self._labels, face.scores.tolist(), strict=True))
        label = None if face.label is None else self._labels[face.label]
        confidence = max(scores.values()) if label is None else scores[label]
        return Reading(face.id, face.box, scores, label, confidence, face.since)


class _Laps:
    """Notes how long each stage of a frame takes, from the end of the one before."""

    def __init__(self, **known: float) -> None:
        self.timings = dict.fromkeys(STAGES, 0.0) | known
        self._ended = time.perf_counter()

    def end(self, stage: str) -> None:
        now = time.perf_counter()
        self.timings[stage] += now - self._ended
        self._ended = now
