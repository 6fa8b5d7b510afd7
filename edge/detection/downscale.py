"""Downscaling for detection and tracking, where speed counts; edge.inference.preprocess makes the model's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

PIXELS_AVERAGED = 2  # in each direction, for each pixel of the result


def downscale(gray: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return `gray` (height, width) downscaled by `factor` in each direction; upscaled where `factor` is below 1.

    From a factor of 2 on, each pixel is the mean of PIXELS_AVERAGED x PIXELS_AVERAGED pixels, spread evenly over its
    area: OpenCV averages these in a twentieth of the instructions of area interpolation, which reads every pixel. As
    many faces are found in the stage clip (benchmarks/versus_baseline.py). Below 2 every pixel is read: with linear
    interpolation four of a hundred faces fewer were found there.
    """
    size = max(1, round(gray.shape[1] / factor)), max(1, round(gray.shape[0] / factor))
    if size == (gray.shape[1], gray.shape[0]):
        return gray
    if factor >= PIXELS_AVERAGED:
        samples = size[0] * PIXELS_AVERAGED, size[1] * PIXELS_AVERAGED
        gray = cv2.resize(gray, samples, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)
    interpolation = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    return cv2.resize(gray, size, interpolation=interpolation).astype(np.uint8, copy=False)
