"""Smaller images for detection and tracking, where speed counts; the model's input is made in edge.inference.preprocess."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_PIXELS_AVERAGED = 2  # a side, for each pixel of the result


def downscale(gray: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return `gray` (height, width) smaller by `factor` in each direction; larger where `factor` is below 1.

    Area interpolation reads every pixel, and at 1920 x 1080 it took longer than the whole detection. So an image that is
    much too large is first subsampled by rows and columns. Repeated halving, which uses every pixel, found as many faces
    of the stage clip at the same cost, and tracked large faces less exactly.
    """
    size = max(1, round(gray.shape[1] / factor)), max(1, round(gray.shape[0] / factor))
    if size == (gray.shape[1], gray.shape[0]):
        return gray
    step = min(int(factor / MIN_PIXELS_AVERAGED), *gray.shape)
    if step > 1:
        gray = np.ascontiguousarray(gray[step // 2 :: step, step // 2 :: step])
    interpolation = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    return cv2.resize(gray, size, interpolation=interpolation).astype(np.uint8, copy=False)
