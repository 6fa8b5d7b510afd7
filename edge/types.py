"""What flows from camera to sink: frozen values with shapes, units and ranges. Imports nothing of this project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of its frame; (x, y) is the top left corner."""

    x: int
    y: int
    width: int
    height: int

    def scaled(self, factor: float) -> Box:
        """Return the box in the same image `factor` times as large."""
        return Box(*(round(factor * side) for side in (self.x, self.y, self.width, self.height)))

    def padded(self, pixels: int) -> Box:
        """Return the box that is larger by `pixels` on each side."""
        return Box(self.x - pixels, self.y - pixels, self.width + 2 * pixels, self.height + 2 * pixels)

    def iou(self, other: Box) -> float:
        """Return intersection over union, 0 (disjoint) to 1 (equal)."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        intersection = max(width, 0) * max(height, 0)
        union = self.width * self.height + other.width * other.height - intersection
        return intersection / union if union else 0.0

    def clipped(self, width: int, height: int) -> Box:
        """Return the part of the box inside an image of `width` x `height` pixels; without one, a box with a side 0."""
        x0, x1 = (min(max(x, 0), width) for x in (self.x, self.x + self.width))
        y0, y1 = (min(max(y, 0), height) for y in (self.y, self.y + self.height))
        return Box(x0, y0, x1 - x0, y1 - y0)

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns): `image[box.slices]` is the part of an image in the box, which must be inside it."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True, slots=True)
class Detection:
    """A face that the detector found."""

    box: Box
    score: float  # the cascade's neighbor count (how many overlapping hits were merged; from 1), or a probability
    roll: float = 0.0  # degrees by which the head is tilted in the image plane, clockwise positive, -90 to 90


@dataclass(frozen=True, slots=True)
class Track:
    """A face in one frame, with the identity that it keeps from frame to frame."""

    track_id: int  # from 1
    box: Box
    roll: float = 0.0  # degrees, see Detection
    is_frontal: bool = True  # False: the head is turned to one side, too far for its emotion to be read


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A face that is to be classified in this frame."""

    track: Track
    flip: bool = False  # flip test-time augmentation: classify the mirrored, slightly tighter crop
    waited: float = 0.0  # seconds since the face became due


class FilePosition(NamedTuple):
    """Where a frame is in the files that a run reads."""

    time: float  # seconds since the beginning of its own file
    frame_index: int  # position in its own file from 0
    share: float  # of all files, by their size, that is read, 0 to 1


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a camera, a video or a folder."""

    gray: NDArray[np.uint8]  # (height, width), 0 black to 255 white: what detection, tracking and the model read
    color: Callable[[], NDArray[np.uint8]]  # () -> (height, width, 3) BGR; converted only when called
    time: float  # seconds on the source's own clock; only differences are meaningful
    index: int  # position in the source from 0; a gap means skipped frames
    source_name: str = ""  # name of the image or video file, printable; empty: a camera
    convert_seconds: float = 0.0  # that the conversion to `gray` took
    captured_at: float = field(default_factory=monotonic)  # seconds, monotonic clock
    search_image: NDArray[np.uint8] | None = None  # a smaller gray image of the same view, where the camera has one
    is_image: bool = False  # an image file, unrelated to the frames before and after
    file: FilePosition | None = None  # None: a camera


@dataclass(frozen=True, slots=True)
class FaceResult:
    """The result for one face: plain values, ready for JSON."""

    track_id: int  # the same person keeps it from frame to frame; from 1
    box: Box
    probabilities: Mapping[str, float]  # label -> probability, 0 to 1, summing to 1
    label: str | None  # None: uncertain
    confidence: float  # probability of the label, or the highest one where uncertain, 0 to 1
    since: float = 0.0  # seconds on the source's clock: when the label was assigned
    age: float = 0.0  # seconds since the last inference of this face


@dataclass(frozen=True, slots=True)
class InferenceStats:
    """What became of the faces of a run up to a frame: each face of each frame counts once, except in profile."""

    classified: int = 0
    recent: int = 0  # not due: classified less than the shortest interval before
    unchanged: int = 0  # not due: its label is certain, and it looks as it did when it was last classified
    waiting: int = 0  # due, but there was time only for other faces


@dataclass(frozen=True, slots=True)
class RunStats:
    """Counters of a run up to a frame."""

    frames: int = 0  # processed, this one included
    skipped: int = 0  # of the source that never arrived: damaged, or late in a live source
    fps: float = 0.0  # processed frames per second, over the last second or so
    inference: InferenceStats = InferenceStats()


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """One frame with its faces: all that a sink ever gets."""

    frame: Frame
    faces: tuple[FaceResult, ...]
    timings: Mapping[str, float]  # stage -> seconds spent on this frame
    stats: RunStats = RunStats()
    tracks: tuple[Track, ...] = ()  # all that is followed, also without a result; id 0: perhaps no face


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a sink does with results, each a line for people; empty: nothing. `edge config --privacy` prints them."""

    kept: tuple[str, ...] = ()  # on this device: what, where, how long
    sent: tuple[str, ...] = ()  # from this device: what, to whom
    shown: tuple[str, ...] = ()  # what, to whom


class Sink(Protocol):
    """A destination for results: opened when entered, closed when left, whatever happened.

    A sink with a true attribute `reopens` may be entered again after a failure without losing anything. One that writes
    a file or into a folder has its path as the attribute `output`: two sinks of a run must not have the same. A method
    `disclose() -> Disclosure` tells what it keeps, sends and shows; without it, that is unknown.
    """

    def __enter__(self) -> Self: ...

    def write(self, result: FrameResult) -> None:
        """Take one result and return at once; a sink that may block hands its items to a BackgroundWriter."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class RunInfo:
    """What a sink may know about the run that it belongs to."""

    live: bool = False  # a camera, which does not wait: late items may be dropped. Results of files must not be
    labels: tuple[str, ...] = ()  # of the model, in the order of its outputs
    describe_model: Callable[[], str] = lambda: ""  # name and version of the model in use: `auto` may switch it
    # Content of an image file that a user uploads -> {"width", "height", "faces"}, ready for JSON. Runs in a process of
    # its own, independent of the run; takes some tenths of a second, the first call seconds; thread-safe.
    # Raises ImageError if the image is not accepted, WorkerError if it cannot be analyzed within that process's limits.
    analyze_image: Callable[[bytes], Mapping[str, Any]] = lambda _: {"width": 0, "height": 0, "faces": []}
    is_source: Callable[[Path], bool] = lambda _: False  # whether a file, by whatever name, is read by this run
    overwrite: bool = False  # whether a sink may replace a file that this run did not write
    is_service: bool = False  # started, and restarted, by a service manager
    stopped: Callable[[], bool] = lambda: False  # whether the run is to end: a sink that waits for a reader gives up
