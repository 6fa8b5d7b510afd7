"""Downscaling for detection and tracking, where speed counts; edge.inference.preprocess makes the model's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_PIXELS_AVERAGED = 2  # in each direction, for each pixel of the result


def downscale(gray: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return `gray` (height, width) downscaled by `factor` in each direction; upscaled where `factor` is below 1.

    Area interpolation reads every pixel: at 1920 x 1080 it took longer than the detection itself. For a large factor
    the rows and columns are therefore subsampled first. Repeated halving, which uses every pixel, found as many faces
    in the stage clip at the same cost, but tracked large faces less exactly.
    """
    size = max(1, round(gray.shape[1] / factor)), max(1, round(gray.shape[0] / factor))
    if size == (gray.shape[1], gray.shape[0]):
        return gray
    step = min(int(factor / MIN_PIXELS_AVERAGED), *gray.shape)
    if step > 1:
        gray = np.ascontiguousarray(gray[step // 2 :: step, step // 2 :: step])
    interpolation = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    return cv2.resize(gray, size, interpolation=interpolation).astype(np.uint8, copy=False)
