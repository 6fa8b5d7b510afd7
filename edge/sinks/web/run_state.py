"""What the server knows of the run: written by the loop with each frame, read by the server when somebody looks."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.types import FaceResult, FrameResult

HISTORY = 300  # seconds of the timeline
RATE_SECONDS = 5  # over which frames a second are told
STALE_SECONDS = 15.0  # without a frame: the slowest pace that a run can be given is one in 10 s

# Upper bounds of the histograms' buckets in seconds: a whole search on a small board takes 0.3, a classifier 0.0005 to
# 0.05, and an image is some milliseconds old at its label, unless the board cannot keep up.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
# The stage is timed in every frame, also when it is no face's turn. No network answers in less.
NO_INFERENCE = 20e-6  # seconds


class Histogram:
    """Counts of values by BOUNDS, as Prometheus has them."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)  # of values up to each bound and above the one before; last: the rest
        self.sum = 0.0

    def process(self, value: float) -> None:
        self.counts[bisect_left(BOUNDS, value)] += 1
        self.sum += value


@dataclass(slots=True)
class Second:
    """What was seen in one second."""

    number: int  # seconds since the start
    frames: int = 0  # looked at
    skipped: int = 0  # that the camera gave besides
    faces: int = 0  # readings in all of these frames
    age: float = 0.0  # seconds from an image's arrival to its labels, all frames together
    shares: list[float] = field(default_factory=list)  # of the labels, in their order, all readings together

    def point(self) -> dict[str, Any]:
        """Return its place in the timeline, ready for JSON; `shares` None: nobody was there."""
        mean = [round(share / self.faces, 3) for share in self.shares] if self.faces else None
        return {"second": self.number, "faces": round(self.faces / max(1, self.frames), 2), "shares": mean}


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames a second and the mean age of their images, over the last RATE_SECONDS."""

    process: float  # looked at
    skipped: float
    age: float | None  # seconds; None: there was no frame

    @property
    def camera(self) -> float:
        """Frames a second that the camera gave."""
        return self.process + self.skipped


class Watch:
    """The newest reading, what the last minutes showed, and counters from the start on. Safe to use from any thread.

    Args:
        labels: of the model, in the order of the timeline's shares.
        keep_image: whether the newest frame is kept for somebody who may look; only its readings are otherwise.
    """

    def __init__(self, labels: Sequence[str], *, keep_image: bool = False) -> None:
        self.labels, self._keep_image = tuple(labels), keep_image
        self._lock = threading.Lock()
        self._begin: float | None = None
        self._last: float | None = None
        self._next_index: int | None = None
        self._seconds: deque[Second] = deque(maxlen=HISTORY)
        self._newest: FrameResult | None = None
        self.reading: tuple[float, int, tuple[FaceResult, ...]] | None = None  # source's time, index, faces
        self.frames = self.skipped = 0
        self.detection, self.inference, self.age = Histogram(), Histogram(), Histogram()

    def note(self, seen: FrameResult, now: float) -> None:
        """Take note of a frame that was read at `now`, monotonic seconds."""
        frame = seen.frame
        skipped = max(0, frame.index - self._next_index) if self._next_index is not None else 0
        age = max(0.0, now - frame.captured_at)
        with self._lock:
            self._begin, self._last, self._next_index = self._begin or now, now, frame.index + 1
            self.reading = frame.time, frame.index, seen.faces
            self._newest = seen if self._keep_image else None
            self.frames += 1
            self.skipped += skipped
            self._observe(seen, age)
            self._add(self._second(int(now - self._begin)), seen.faces, skipped, age)

    def newest(self) -> FrameResult | None:
        """Return the newest frame with its image; None where none is kept, or none has come."""
        return self._newest

    def since_frame(self, now: float) -> float | None:
        """Return the seconds since the last frame; None: none has come."""
        last = self._last
        return None if last is None else max(0.0, now - last)

    def is_fresh(self, now: float) -> bool:
        """Whether frames come."""
        since = self.since_frame(now)
        return since is not None and since < STALE_SECONDS

    def second(self, now: float) -> int:
        """Return the number of the second that `now` is in, counted from the first frame."""
        return 0 if self._begin is None else int(now - self._begin)

    def points(self, after: int, now: float) -> list[dict[str, Any]]:
        """Return the timeline's points of all whole seconds later than number `after`."""
        with self._lock:
            running = self.second(now)
            whole = [second for second in self._seconds if after < second.number < running]
        return [second.point() for second in whole]

    def rates(self, now: float) -> Rates:
        """Return the rates over the last whole seconds, or over what there is of the first one."""
        with self._lock:
            running = self.second(now)
            first = max(0, running - RATE_SECONDS)
            counted = [second for second in self._seconds if first <= second.number < max(1, running)]
            length = (running - first) or max(0.1, now - (self._begin or now))
            frames = sum(second.frames for second in counted)
            skipped = sum(second.skipped for second in counted)
            age = sum(second.age for second in counted) / frames if frames else None
            return Rates(frames / length, skipped / length, age)

    def _observe(self, seen: FrameResult, age: float) -> None:
        self.age.process(age)
        if "detect" in seen.timings:
            self.detection.process(seen.timings["detect"])
        if seen.timings.get("classify", 0.0) >= NO_INFERENCE:
            self.inference.process(seen.timings["classify"])

    def _second(self, number: int) -> Second:
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(Second(number, shares=[0.0] * len(self.labels)))
        return self._seconds[-1]

    def _add(self, second: Second, readings: tuple[FaceResult, ...], skipped: int, age: float) -> None:
        second.frames += 1
        second.skipped += skipped
        second.faces += len(readings)
        second.age += age
        for reading in readings:
            for place, label in enumerate(self.labels):
                second.shares[place] += reading.probabilities.get(label, 0.0)
