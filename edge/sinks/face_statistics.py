"""Counters of what a run sees, for monitoring: labels, size and brightness of its faces. No image, no identity.

They show drift: a camera that was turned, a lamp that failed, or people who look different from those that the model
was trained on. Both `web` and `mqtt` publish them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from edge.types import FaceResult, FrameResult

# Upper bounds of the buckets. The smallest face that is searched has 16 pixels, and a model sees 48 to 128 of a face.
FACE_WIDTH_PIXELS = (24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0)
BRIGHTNESS_RATIO = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
BRIGHTNESS_SAMPLES = 16  # in each direction: the mean of a face is known to 1 % or 2 %, in some microseconds
MAX_GRAY = 255.0


class Histogram:
    """Counts values by the upper bounds of its buckets, in increasing order."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)  # above the bound before, up to this one; the last: the rest
        self.sum = 0.0

    @property
    def count(self) -> int:
        """Number of values."""
        return sum(self._counts)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound, number of values up to it), as Prometheus expects it."""
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        return [(bound, float(count)) for bound, count in zip(bounds, accumulate(self._counts), strict=True)]


class FaceStatistics:
    """Counts the faces of all frames since the start, each face once in each frame.

    Args:
        labels: of the model; they bound the number of counters.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labeled = dict.fromkeys(labels, 0)  # label -> faces
        self.uncertain = 0  # faces
        self.width = Histogram(FACE_WIDTH_PIXELS)
        self.brightness = Histogram(BRIGHTNESS_RATIO)  # mean of the face, 0 black to 1 white

    def add(self, result: FrameResult) -> None:
        """Count the faces of `result`."""
        for face in result.faces:
            if face.label is None:
                self.uncertain += 1
            elif face.label in self.labeled:
                self.labeled[face.label] += 1
            self.width.observe(face.box.width)
            self._observe_brightness(result, face)

    def _observe_brightness(self, result: FrameResult, face: FaceResult) -> None:
        """Count the mean gray of the part of the face that is in the image; of a face outside there is none."""
        height, width = result.frame.gray.shape
        box = face.box.clipped(width, height)
        if not (box.width and box.height):
            return
        rows = slice(box.y, box.y + box.height, max(1, box.height // BRIGHTNESS_SAMPLES))
        columns = slice(box.x, box.x + box.width, max(1, box.width // BRIGHTNESS_SAMPLES))
        self.brightness.observe(float(result.frame.gray[rows, columns].mean()) / MAX_GRAY)
