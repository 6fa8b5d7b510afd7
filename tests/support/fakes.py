"""Fakes that several test files share, and makers of the values that flow from camera to sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edge.detection.tile_scheduler import Tile, make_tiles
from edge.types import Box, Detection, FaceResult, Frame, FrameResult, InferenceRequest, InferenceStats, Track

FACE_BOX = Box(10, 12, 20, 24)  # of every fake face that no test places elsewhere
FAKE_LABELS = ("calm", "cross")  # of every fake model

# --- values -------------------------------------------------------------------------------------------------------


def frame(
    time: float = 0.0, index: int = 0, source_name: str = "", level: int = 100, size: tuple[int, int] = (96, 64)
) -> Frame:
    """Return a uniform gray Frame of `size` (width, height), with `source_name` that of an image file."""
    gray = np.full((size[1], size[0]), level, np.uint8)
    return Frame(
        gray,
        lambda: np.repeat(gray[..., np.newaxis], 3, axis=2),
        time,
        index,
        source_name,
        is_image=bool(source_name),
    )


def face_result(
    label: str | None = "calm", probability: float = 0.8, track_id: int = 1, box: Box = FACE_BOX, **more: Any
) -> FaceResult:
    """Return a result of a model with FAKE_LABELS; label None: uncertain, with calm the most probable."""
    strongest = label or "calm"
    probabilities = {name: probability if name == strongest else 1 - probability for name in FAKE_LABELS}
    return FaceResult(track_id, box, probabilities, label, probability, **more)


def frame_result(*faces: FaceResult, **of_frame: Any) -> FrameResult:
    """Return a FrameResult of `faces` in a `frame` made from the other arguments."""
    return FrameResult(frame(**of_frame), faces, {})


# --- time ---------------------------------------------------------------------------------------------------------


class FakeClock:
    """A clock that advances only by `sleep` or when a test sets `now`.

    A callable for parts that take a clock. Its methods are those of the module `time`, for tests that replace it.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now  # seconds
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds

    monotonic = perf_counter = time = __call__


class TickingClock:
    """Replaces the module `time`: each call of `perf_counter` is a second later than the one before."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1
        return self.now


# --- parts of the pipeline ----------------------------------------------------------------------------------------


class FakeDetector:
    """Replaces a detector: detects each of `faces`, (box, score), inside the area and the range of sizes."""

    sparse_window, dense_window, confirm_score = 20.0, 43.0, 6.0
    rolls: tuple[float, ...] = ()

    def __init__(self, *faces: tuple[Box, float]) -> None:
        self.faces = list(faces)
        self.profiles: list[Box] = []  # heads that only `detect_profiles` finds
        self.windows: list[float] = []  # of each call of `detect`

    def make_tiles(self, width: int, height: int, min_face_size: float) -> list[Tile]:
        return make_tiles(width, height, min_face_size, window=24)

    def detect(
        self,
        gray: NDArray[np.uint8],
        area: Box | None = None,
        min_size: float = 0.0,
        max_size: float | None = None,
        window: float = 24,
        roll: float = 0.0,  # noqa: ARG002 (a detector has it)
    ) -> list[Detection]:
        self.windows.append(window)
        part = area or Box(0, 0, gray.shape[1], gray.shape[0])
        return [
            Detection(box, score)
            for box, score in self.faces
            if part.x <= box.x and box.x + box.width <= part.x + part.width
            if part.y <= box.y and box.y + box.height <= part.y + part.height
            if min_size <= box.width <= (max_size or max(gray.shape))
        ]

    def detect_profiles(
        self,
        gray: NDArray[np.uint8],  # noqa: ARG002
        area: Box,
        min_size: float,  # noqa: ARG002
        max_size: float,  # noqa: ARG002
    ) -> list[Detection]:
        return [Detection(box, 3) for box in self.profiles if box.iou(area)]


class FakeTracker:
    """Finds one face, at `box`, in every image that is not black; keeps the times that it was given."""

    def __init__(self, box: Box = FACE_BOX) -> None:
        self.box = box
        self.times: list[float] = []
        self.candidates: Sequence[Track] = ()

    def update(self, gray: NDArray[np.uint8], now: float) -> Sequence[Track]:
        self.times.append(now)
        return (Track(1, self.box),) if gray.any() else ()


class FakeClassifier:
    """Gives the mean gray level of a face, in percent, as the probability of calm; keeps how often it was asked."""

    def __init__(self) -> None:
        self.flips: list[bool] = []  # of each call of `prepare`
        self.rolls: list[float] = []  # the same
        self.calls = 0  # of `classify`

    uses_color = False

    def prepare(
        self, image: NDArray[np.uint8], box: Box, *, flip: bool = False, roll: float = 0.0
    ) -> NDArray[np.uint8]:
        self.flips.append(flip)
        self.rolls.append(roll)
        return image[box.y : box.y + box.height, box.x : box.x + box.width]

    def classify(self, face: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.calls += 1
        probability = face.mean() / 100
        return np.array([probability, 1 - probability], np.float32)


class FakeSmoother:
    """Plans one inference of each face in each frame and returns each as it is; keeps what it was given."""

    stats = InferenceStats()

    def __init__(self) -> None:
        self.limits: list[int | None] = []  # of each call of `plan`
        self.planned: list[tuple[Sequence[Track], float]] = []
        self.updated: list[tuple[Sequence[Track], dict[int, list[float]], float]] = []

    def plan(
        self,
        gray: NDArray[np.uint8],  # noqa: ARG002 (of the protocol)
        tracks: Sequence[Track],
        now: float,
        limit: int | None,
    ) -> Sequence[InferenceRequest]:
        self.planned.append((tracks, now))
        self.limits.append(limit)
        return [InferenceRequest(track) for track in tracks]

    def update(
        self, tracks: Sequence[Track], probabilities: Mapping[int, NDArray[np.float32]], now: float
    ) -> Sequence[FaceResult]:
        self.updated.append((tracks, {key: value.tolist() for key, value in probabilities.items()}, now))
        return [
            face_result(probability=float(probabilities[track.track_id][0]), track_id=track.track_id, box=track.box)
            for track in tracks
        ]


# --- sinks --------------------------------------------------------------------------------------------------------


class RecordingSink:
    """A sink that keeps the results it gets, and counts how often it was opened and closed."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []
        self.opened = self.closed = 0

    def __enter__(self) -> Self:
        self.opened += 1
        return self

    def write(self, result: FrameResult) -> None:
        self.results.append(result)

    def __exit__(self, *_: object) -> None:
        self.closed += 1
