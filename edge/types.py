"""What flows from camera to sink: frozen values with their shapes, units and ranges. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

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
        """Return where it is in the same picture `factor` times as large."""
        return Box(*(round(factor * side) for side in (self.x, self.y, self.width, self.height)))

    def overlap(self, other: Box) -> float:
        """Return intersection over union, 0 (apart) to 1 (the same)."""
        wide = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        high = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        shared = max(wide, 0) * max(high, 0)
        union = self.width * self.height + other.width * other.height - shared
        return shared / union if union else 0.0


@dataclass(frozen=True, slots=True)
class Find:
    """A face, as the search says."""

    box: Box
    support: int  # overlapping hits that agreed on it, from 1


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody's face in one frame."""

    id: int  # the same person keeps it from frame to frame; from 1
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a camera."""

    grey: NDArray[np.uint8]  # (height, width), 0 black to 255 white: all that the search and the model look at
    colour: Callable[[], NDArray[np.uint8]]  # () -> (height, width, 3) BGR, made only when a sink asks
    time: float  # seconds on the source's own clock; only differences mean anything
    index: int  # position in the source from 0; a gap means frames that were skipped
    name: str = ""  # of the file, where each frame is one; such frames have nothing to do with one another
    convert: float = 0.0  # seconds that it took to make `grey`
    arrived: float = field(default_factory=monotonic)  # seconds, monotonic: when the picture was there
    small: NDArray[np.uint8] | None = None  # the same view with fewer pixels, where the camera makes it: to be searched


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face on its way through: found, followed, scored."""

    box: Box
    scores: NDArray[np.float32]  # (labels,), each 0 to 1, summing to 1
    id: int  # the same person keeps it from frame to frame; from 1
    label: int | None  # which score leads steadily; None: unsure
    since: float = 0.0  # seconds on the source's clock: when that label came


@dataclass(frozen=True, slots=True)
class Reading:
    """What is said of one face: plain values, ready for JSON."""

    face_id: int
    box: Box
    scores: Mapping[str, float]  # label -> share, 0 to 1, summing to 1
    label: str | None  # None: unsure
    confidence: float  # share of the label, or of the strongest one where unsure, 0 to 1
    since: float = 0.0  # seconds on the source's clock: when that label came


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One frame and everything that was read in it: all that a sink ever gets."""

    frame: Frame
    readings: tuple[Reading, ...]
    timings: Mapping[str, float]  # stage -> seconds spent on this frame


def _nothing_read(_: NDArray[np.uint8]) -> Sequence[Reading]:
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a sink may know of the run that it belongs to."""

    live: bool = False  # a camera, which does not wait: what comes late may be dropped. Of files nothing may be lost
    labels: tuple[str, ...] = ()  # of the model, in the order of its scores
    model: str = ""  # its name and version
    # (height, width) grey or (height, width, 3) BGR uint8 -> its faces. Apart from the run, for pictures that somebody
    # tries; takes some 0.1 s, the first time more; may be called by any thread.
    read: Callable[[NDArray[np.uint8]], Sequence[Reading]] = _nothing_read
