"""From a box in a grey picture to the pixels that the model sees: THE definition, used on the device and in training.

FER2013's faces are 48 px wide. A network trained on them has never seen finer detail, so a larger face is first shrunk
to the `detail` of the training pictures and only then brought to the model's input size.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Box

# Of its side, by which a face is cut on each side where a model looks at it a second time. The more two looks differ,
# the more their mean is worth: on PublicTest this is about the best of 0 to -0.06, on Haar's boxes it costs nothing.
SECOND = -0.03


def model_input(
    grey: NDArray[np.uint8], box: Box, *, margin: float, detail: int, size: int, again: bool = False
) -> NDArray[np.uint8]:
    """Return the (size, size) uint8 pixels that the model gets for the face in `box` of `grey` (height, width).

    Args:
        again: for a second look at it.
    """
    face = cut(grey, box, margin)
    return resample(second_look(face) if again else face, detail=detail, size=size)


def second_look(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the square `face` for a second opinion: mirrored, and a little tighter, see SECOND."""
    side = face.shape[0]
    tighter = cut(face, Box(0, 0, side, side), SECOND)
    return np.ascontiguousarray(tighter[:, ::-1])


def cut(grey: NDArray[np.uint8], box: Box, margin: float) -> NDArray[np.uint8]:
    """Return the square around `box`, widened on each side by `margin` times its side (-0.4 to 1).

    Where the square leaves the picture the border pixels are repeated, so that the face keeps its place in the crop.
    """
    side = max(1, round(max(box.width, box.height) * (1 + 2 * margin)))
    left = round(box.x + box.width / 2 - side / 2)
    top = round(box.y + box.height / 2 - side / 2)
    height, width = grey.shape
    x0, x1 = (int(np.clip(edge, 0, width)) for edge in (left, left + side))
    y0, y1 = (int(np.clip(edge, 0, height)) for edge in (top, top + side))
    if x0 == x1 or y0 == y1:
        raise ValueError(f"{box} lies outside a picture of {width} x {height}")
    inside = grey[y0:y1, x0:x1]
    if inside.shape == (side, side):
        return inside
    around = (y0 - top, top + side - y1, x0 - left, left + side - x1)
    return cv2.copyMakeBorder(inside, *around, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def resample(face: NDArray[np.uint8], *, detail: int, size: int) -> NDArray[np.uint8]:
    """Return the square `face` as (size, size), holding no finer detail than `detail` pixels a side."""
    return _scale(_scale(face, min(detail, face.shape[0])), size)


def _scale(face: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if face.shape == (size, size):
        return face
    # Averaging over areas when shrinking keeps the picture free of aliasing; enlarging is linear, as in training.
    method = cv2.INTER_AREA if size < face.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(face, (size, size), interpolation=method).astype(np.uint8, copy=False)
