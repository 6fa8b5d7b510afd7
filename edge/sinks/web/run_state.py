"""The state of the run: written by the loop with each frame, read by the server when a client asks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge.sinks import serialize
from edge.sinks.face_statistics import FaceStatistics, Histogram
from edge.types import FaceResult, FrameResult, RunStats

TIMELINE_SECONDS = 300
AVERAGE_SECONDS = 5  # over which the rates of skipped frames and the latency are averaged
STALE_SECONDS = 15.0  # without a frame; the lowest frame rate that a run can be limited to is one in 10 s

# Upper bounds of the histograms' buckets. A full scan takes 0.3 s on a small board, a classification 0.0005 to 0.05 s.
BUCKET_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
# The stage `classify` is timed in every frame, also if no face is due. No inference is faster than this.
MIN_INFERENCE_SECONDS = 20e-6


@dataclass(slots=True)
class Second:
    """Sums over the frames of one second."""

    number: int  # of the second, from 0 at the first frame
    probabilities: dict[str, float]  # of all labels of the model, in its order
    frames: int = 0
    skipped: int = 0  # frames
    faces: int = 0  # face results
    latency: float = 0.0  # seconds

    def add(self, result: FrameResult, skipped: int, latency: float) -> None:
        """Add a result with its latency in seconds, and the number of frames skipped before it."""
        self.frames += 1
        self.skipped += skipped
        self.faces += len(result.faces)
        self.latency += latency
        for face in result.faces:
            for label in self.probabilities:
                self.probabilities[label] += face.probabilities.get(label, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return its point of the timeline, ready for JSON; `probabilities` are means, None without a face."""
        means = (
            {label: round(total / self.faces, 3) for label, total in self.probabilities.items()} if self.faces else None
        )
        return {"second": self.number, "faces": round(self.faces / max(1, self.frames), 2), "probabilities": means}


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames per second, and the mean latency over AVERAGE_SECONDS."""

    process_fps: float  # processed
    skipped_fps: float
    latency: float | None  # seconds from a frame's capture to its result; None: no frame

    @property
    def camera_fps(self) -> float:
        """Frames per second that the camera delivered."""
        return self.process_fps + self.skipped_fps


class RunState:
    """The last result, the timeline of the last minutes, and counters since the start. Thread-safe.

    Args:
        labels: of the model.
        keep_image: whether the last frame is kept with its image; otherwise only its faces are.
    """

    def __init__(self, labels: Sequence[str], *, keep_image: bool = False) -> None:
        self.labels, self._keep_image = tuple(labels), keep_image
        self._lock = threading.Lock()
        self._first_time: float | None = None  # monotonic seconds, as _last_time
        self._last_time: float | None = None
        self._seconds: deque[Second] = deque(maxlen=TIMELINE_SECONDS)
        self._result: tuple[float, int, tuple[FaceResult, ...]] | None = None  # the source's time, frame index, faces
        self._result_with_image: FrameResult | None = None
        self.stats = RunStats()
        self.detection, self.inference, self.latency = (Histogram(BUCKET_SECONDS) for _ in range(3))
        self.face_statistics = FaceStatistics(labels)

    def record(self, result: FrameResult, now: float) -> None:
        """Take a result that was complete at `now`, monotonic seconds."""
        frame = result.frame
        latency = max(0.0, now - frame.captured_at)
        with self._lock:
            self._first_time, self._last_time = self._first_time or now, now
            self._result = frame.time, frame.index, result.faces
            self._result_with_image = result if self._keep_image else None
            number = int(now - self._first_time)
            if not self._seconds or self._seconds[-1].number != number:
                self._seconds.append(Second(number, dict.fromkeys(self.labels, 0.0)))
            self._seconds[-1].add(result, max(0, result.stats.skipped - self.stats.skipped), latency)
            self.stats = result.stats
            self.face_statistics.add(result)
            self.latency.observe(latency)
            if "detect" in result.timings:
                self.detection.observe(result.timings["detect"])
            if result.timings.get("classify", 0.0) >= MIN_INFERENCE_SECONDS:
                self.inference.observe(result.timings["classify"])

    @property
    def faces(self) -> tuple[FaceResult, ...]:
        """The faces in the last frame."""
        return self._result[2] if self._result else ()

    @property
    def result_with_image(self) -> FrameResult | None:
        """The last result with its frame; None if images are not kept, or before the first frame."""
        return self._result_with_image

    def last_result(self, now: float) -> dict[str, Any]:
        """Return the last result and the timeline's present second, ready for JSON; `time` None: no frame yet."""
        result: dict[str, Any] = {"time": None, "frame": None, "faces": []}
        if self._result is not None:
            result = serialize.frame_to_dict(*self._result)
        return {**result, "second": self.second(now)}

    def last_frame_age(self, now: float) -> float | None:
        """Return the seconds since the last frame; None: no frame yet."""
        last = self._last_time
        return None if last is None else max(0.0, now - last)

    def is_receiving_frames(self, now: float) -> bool:
        age = self.last_frame_age(now)
        return age is not None and age < STALE_SECONDS

    def second(self, now: float) -> int:
        """Return the number of the timeline's present second."""
        return 0 if self._first_time is None else int(now - self._first_time)

    def timeline(self, after: int, now: float) -> list[dict[str, Any]]:
        """Return the points of all complete seconds with a number above `after`."""
        with self._lock:
            present = self.second(now)
            return [second.to_dict() for second in self._seconds if after < second.number < present]

    def rates(self, now: float) -> Rates:
        """Return the rates over the last complete seconds, or within the first one."""
        with self._lock:
            present = self.second(now)
            start = max(0, present - AVERAGE_SECONDS)
            seconds = [second for second in self._seconds if start <= second.number < max(1, present)]
            elapsed = (present - start) or max(0.1, now - (self._first_time or now))
            frames = sum(second.frames for second in seconds)
            return Rates(
                self.stats.fps if self.is_receiving_frames(now) else 0.0,
                sum(second.skipped for second in seconds) / elapsed,
                sum(second.latency for second in seconds) / frames if frames else None,
            )
