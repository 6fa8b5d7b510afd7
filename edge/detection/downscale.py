"""Smaller pictures for finding and following, where speed counts; what the model sees is made in edge.inference.preprocess."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

OVERSAMPLED = 2  # pixels a side that are averaged at least into one


def shrink(grey: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return `grey` (height, width) smaller by `factor` in each direction; larger where it is below 1.

    Averaging over areas reads every pixel, and at 1920 x 1080 cost more than the whole search: of a much too large
    picture only every so manieth row and column is looked at. Halving again and again instead, which uses every pixel,
    found as many faces of the stage clip at the same cost, and followed large ones less exactly.
    """
    size = max(1, round(grey.shape[1] / factor)), max(1, round(grey.shape[0] / factor))
    if size == (grey.shape[1], grey.shape[0]):
        return grey
    step = min(int(factor / OVERSAMPLED), *grey.shape)
    if step > 1:
        grey = np.ascontiguousarray(grey[step // 2 :: step, step // 2 :: step])
    method = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    return cv2.resize(grey, size, interpolation=method).astype(np.uint8, copy=False)
