"""From a face box in an image to the model's input: the only definition, used on the device and in training.

Images are gray, (height, width), or have three channels, (height, width, 3), which are processed alike.

FER2013's faces are 48 pixels wide. A network trained on them knows no finer detail, so a larger face is first
downscaled to the effective resolution of the training images and only then resized to the model's input size.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Box

# Padding of the mirrored crop in flip test-time augmentation. The more two predictions differ, the more their mean
# gains: of 0 to -0.06 this is about the best on PublicTest, and with the cascade's boxes it costs no accuracy.
FLIP_PADDING = -0.03
# Degrees, up to which a tilted head is classified as it is: networks train on faces turned by up to 12. Turning such a
# crop upright cost 1 to 2 points of PublicTest, turning one of 30 degrees gained 4 to 5 (benchmarks/tilted_faces.py).
MAX_TRAINED_ROLL = 15.0
WEIGHT_BITS = 11  # of the weights of linear interpolation, as in OpenCV


def model_input(
    image: NDArray[np.uint8],
    box: Box,
    *,
    padding: float,
    effective_resolution: int,
    size: int,
    flip: bool = False,
    roll: float = 0.0,
) -> NDArray[np.uint8]:
    """Return the (size, size[, 3]) uint8 input of the model for the face in `box` of `image` (height, width[, 3]).

    Args:
        padding: see `crop`.
        effective_resolution, size: see `resample`.
        flip: whether to apply `flip_crop`.
        roll: see `crop`; without effect up to MAX_TRAINED_ROLL.
    """
    face = crop(image, box, padding, roll if abs(roll) > MAX_TRAINED_ROLL else 0.0)
    return resample(flip_crop(face) if flip else face, effective_resolution=effective_resolution, size=size)


def flip_crop(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the square `face` mirrored and a little tighter, for flip test-time augmentation; see FLIP_PADDING."""
    side = face.shape[0]
    tighter = crop(face, Box(0, 0, side, side), FLIP_PADDING)
    return np.ascontiguousarray(tighter[:, ::-1])


def center_square(image: NDArray[np.uint8]) -> Box:
    """Return the largest centered square of `image` (height, width[, 3]): the box of a face that fills its image."""
    height, width = image.shape[:2]
    side = min(height, width)
    return Box((width - side) // 2, (height - side) // 2, side, side)


def crop(image: NDArray[np.uint8], box: Box, padding: float, roll: float = 0.0) -> NDArray[np.uint8]:
    """Return the square around `box`, padded on each side by `padding` times its side (-0.4 to 1).

    Beyond the image its border pixels are repeated, so that the face keeps its place in the crop. Raises ValueError for
    a square outside the image.

    Args:
        roll: degrees by which the head is tilted clockwise; the crop is turned about its center until it is upright.
    """
    side = max(1, round(max(box.width, box.height) * (1 + 2 * padding)))
    left = round(box.x + box.width / 2 - side / 2)
    top = round(box.y + box.height / 2 - side / 2)
    height, width = image.shape[:2]
    square = Box(left, top, side, side)
    inside = square.clipped(width, height)
    if not inside.width or not inside.height:
        raise ValueError(f"{box} lies outside an image of {width} x {height}")
    if roll:
        # Only what the turned square needs: OpenCV refuses to turn an image with a side of 32,767 pixels or more.
        margin = math.ceil(side * (math.sqrt(2) - 1) / 2) + 1
        surroundings = crop(image, square.padded(margin), 0.0)
        center = margin + (side - 1) / 2
        turn = cv2.getRotationMatrix2D((center, center), roll, 1.0)
        turn[:, 2] -= margin
        turned = cv2.warpAffine(surroundings, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
        return turned.astype(np.uint8, copy=False)
    face = image[inside.slices]
    if face.shape[:2] == (side, side):
        return face
    top_border, left_border = inside.y - top, inside.x - left
    border = (top_border, side - face.shape[0] - top_border, left_border, side - face.shape[1] - left_border)
    return cv2.copyMakeBorder(face, *border, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def as_rgb(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `face`, (size, size) gray or (size, size, 3) BGR, as the (size, size, 3) RGB of a model for color."""
    if face.ndim == 2:
        return np.repeat(face[..., np.newaxis], 3, axis=2)
    return np.ascontiguousarray(face[..., ::-1])


def resample(face: NDArray[np.uint8], *, effective_resolution: int, size: int) -> NDArray[np.uint8]:
    """Return the square `face` as (size, size[, 3]), with no finer detail than `effective_resolution` pixels a side."""
    return _resize(_resize(face, min(effective_resolution, face.shape[0])), size)


def _resize(face: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    side = face.shape[0]
    if size > side:
        return _enlarge(face, size)
    if size == side:
        return face
    # Area interpolation keeps a downscaled image free of aliasing.
    return cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _enlarge(face: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the square `face` as (size, size[, 3]), by linear interpolation: the same bits on every processor.

    They are those of OpenCV's INTER_LINEAR on x86-64, with which the models were trained and measured. On arm64 OpenCV
    rounds otherwise, by one gray level in a quarter of the pixels, and labels that are a close call then differ.
    """
    if face.ndim == 3:
        return np.stack([_enlarge(face[..., channel], size) for channel in range(face.shape[2])], axis=-1)
    lower, upper, columns, rows = _linear_weights(face.shape[0], size)
    levels = face.astype(np.int32)
    wide = (levels[:, lower] * columns[0] + levels[:, upper] * columns[1]) >> 4
    # OpenCV multiplies numbers of 16 bits here, and keeps the upper half of each product.
    enlarged: NDArray[np.int32] = (wide[lower] * rows[0] >> 16) + (wide[upper] * rows[1] >> 16)
    return ((enlarged + 2) >> 2).astype(np.uint8)


@lru_cache(maxsize=128)
def _linear_weights(side: int, size: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return for each of `size` pixels its two neighbors among `side` pixels, and their weights in columns and in rows.

    Neighbors have the shape (size,), weights (2, size) and (2, size, 1), in multiples of 2^-WEIGHT_BITS. At the border
    OpenCV gives the whole weight to one column, but divides it between two equal rows.
    """
    positions = ((np.arange(size) + 0.5) * (1 / (size / side)) - 0.5).astype(np.float32)
    lower = np.floor(positions).astype(np.intp)
    fractions = positions - lower.astype(np.float32)
    rows = np.rint(np.stack([1 - fractions, fractions]) * 2**WEIGHT_BITS).astype(np.int32)
    at_border = (lower < 0) | (lower >= side - 1)
    columns = np.where(at_border, np.array([[2**WEIGHT_BITS], [0]], np.int32), rows)
    return lower.clip(0, side - 1), (lower + 1).clip(0, side - 1), columns, rows[..., np.newaxis]
