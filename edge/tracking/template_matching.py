"""Where a face went since the last frame, by its likeness: far cheaper than a search, and it also follows profiles."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.detection.downscale import shrink
from edge.types import Box

SIDE = 20  # pixels of a face as it is compared
REACH = 0.35  # of the side, in each direction, that a face can go from one frame to the next
LIKENESS = 0.6  # least normalised correlation, -1 to 1, that still is this face
FAINT = 0.25  # of the face's contrast, below which it is an even wall whose shading happens to fall as the face's does


def memorise(grey: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return what to know the face in `box` of `grey` (height, width) by: its visible part, SIDE pixels a side."""
    part = _cut(grey, box, 0)[0]
    return shrink(part, box.width / SIDE)


def follow(grey: NDArray[np.uint8], box: Box, face: NDArray[np.uint8]) -> Box | None:
    """Return where in `grey` (height, width) the `face` from `memorise` is that was in `box`; None if nowhere near."""
    part, x0, y0 = _cut(grey, box, REACH)
    factor = box.width / SIDE
    searched = shrink(part, factor)
    if searched.shape[0] < face.shape[0] or searched.shape[1] < face.shape[1] or face.min() == face.max():
        return None
    likeness = cv2.matchTemplate(searched, face, cv2.TM_CCOEFF_NORMED)
    likeness[~np.isfinite(likeness)] = -1.0  # of an even part, where there is nothing to be like
    _, best, _, (x, y) = cv2.minMaxLoc(likeness)
    there = searched[y : y + face.shape[0], x : x + face.shape[1]]
    if best < LIKENESS or there.std() < FAINT * face.std():
        return None
    dx, dy = _between(likeness[y, :], x), _between(likeness[:, x], y)
    return Box(x0 + round((x + dx) * factor), y0 + round((y + dy) * factor), box.width, box.height)


def _between(likeness: NDArray[Any], place: int) -> float:
    """Return by how much, -0.5 to 0.5, the top of the parabola through the best place and its neighbours is off it.

    A face of 200 pixels is compared at 20, where one pixel is ten.
    """
    if not 0 < place < len(likeness) - 1:
        return 0.0
    before, here, after = (float(value) for value in likeness[place - 1 : place + 2])
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def _cut(grey: NDArray[np.uint8], box: Box, reach: float) -> tuple[NDArray[np.uint8], int, int]:
    extra = round(box.width * reach)
    x0, y0 = max(0, box.x - extra), max(0, box.y - extra)
    x1, y1 = max(x0 + 1, box.x + box.width + extra), max(y0 + 1, box.y + box.height + extra)
    x0, y0 = min(x0, grey.shape[1] - 1), min(y0, grey.shape[0] - 1)
    return grey[y0:y1, x0:x1], x0, y0
