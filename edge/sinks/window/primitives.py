"""Smooth-edged shapes on an image, (height, width, 3) uint8 RGB. Lengths are in pixels and may be fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.sinks.window.palette import Color

Image = NDArray[np.uint8]
Point = tuple[float, float]
SHIFT = 4  # bits of a pixel's fraction that OpenCV draws with
CORNER_STEPS, PETAL_STEPS = 8, 24
WIDEST = 3 * math.sqrt(3) / 4  # 1 / the maximum of sin(x) * sin(x / 2), from 0 to pi


def plate(
    image: Image, left: float, top: float, width: float, height: float, color: Color, *, round_by: float = 0
) -> None:
    """Fill a rectangle with corners `round_by` round."""
    if width >= 1 and height >= 1:
        _fill(image, _rounded(left, top, width, height, round_by), color)


def bar(image: Image, left: int, top: int, width: int, height: int, share: float, track: Color, color: Color) -> None:
    """Fill a rectangle with round corners: its left `share`, 0 to 1, with `color`, the rest with `track`."""
    round_by, split = height * 0.28, left + round(width * share)
    before = image[top : top + height, left:split].copy()
    plate(image, left, top, width, height, track, round_by=round_by)
    full = np.zeros_like(image[top : top + height, left : left + width])
    full[:, : split - left] = before
    plate(full, 0, 0, width, height, color, round_by=round_by)
    image[top : top + height, left:split] = full[:, : split - left]


def glass(
    image: Image, left: int, top: int, width: int, height: int, color: Color, *, share: float, round_by: float
) -> None:
    """Cover a rectangle with `share` of `color`, 0 to 1: what is under it shows through."""
    left, top = max(left, 0), max(top, 0)
    part = image[top : top + height, left : left + width]
    if part.size:
        covered = part.copy()
        plate(covered, 0, 0, part.shape[1], part.shape[0], color, round_by=round_by)
        part[:] = cv2.addWeighted(part, 1 - share, covered, share, 0)


def frame(
    image: Image, left: float, top: float, width: float, height: float, color: Color, thick: int, round_by: float
) -> None:
    """Draw the border of a rectangle."""
    points = _fixed(_rounded(left, top, width, height, round_by))
    cv2.polylines(image, [points], True, color, thick, cv2.LINE_AA, SHIFT)


def disc(image: Image, center: Point, radius: float, color: Color) -> None:
    x, y = (round(value * 2**SHIFT) for value in center)
    cv2.circle(image, (x, y), round(radius * 2**SHIFT), color, cv2.FILLED, cv2.LINE_AA, SHIFT)


def ring(image: Image, center: Point, radius: float, color: Color, thick: int) -> None:
    x, y = (round(value * 2**SHIFT) for value in center)
    cv2.circle(image, (x, y), round(radius * 2**SHIFT), color, thick, cv2.LINE_AA, SHIFT)


def petal(image: Image, center: Point, angle: float, length: float, width: float, color: Color) -> None:
    """Fill a leaf from `center` on, round at its end.

    Args:
        angle: where it points to, radians clockwise from upwards.
        width: at its widest place.
    """
    turn = angle - math.pi / 2
    points = []
    for step in range(2 * PETAL_STEPS):
        along = math.pi * step / PETAL_STEPS  # 0 at the root, pi at the tip
        out = length * (1 - math.cos(along)) / 2
        aside = width / 2 * math.sin(along) * math.sin(along / 2) * WIDEST
        x = center[0] + out * math.cos(turn) - aside * math.sin(turn)
        y = center[1] + out * math.sin(turn) + aside * math.cos(turn)
        points.append((x, y))
    _fill(image, points, color)


def stamp(image: Image, mask: NDArray[np.uint8], left: float, top: float, color: Color) -> None:
    """Put `color` where `mask` is, (height, width) 0 to 255, as much of it as lies inside the image."""
    x, y = round(left), round(top)
    mask = mask[max(0, -y) : image.shape[0] - y, max(0, -x) : image.shape[1] - x]
    if not mask.size or x >= image.shape[1] or y >= image.shape[0]:
        return
    x, y = max(x, 0), max(y, 0)
    part = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    share = mask[..., np.newaxis].astype(np.uint16)
    part[:] = ((255 - share) * part + share * np.array(color, np.uint16)) // 255


def _fill(image: Image, points: Sequence[Point], color: Color) -> None:
    cv2.fillPoly(image, [_fixed(points)], color, cv2.LINE_AA, SHIFT)


def _fixed(points: Sequence[Point]) -> NDArray[np.int32]:
    return np.array([(round(x * 2**SHIFT), round(y * 2**SHIFT)) for x, y in points], np.int32)


def _rounded(left: float, top: float, width: float, height: float, radius: float) -> list[Point]:
    """Return the outline of a rectangle whose corners are round."""
    radius = min(radius, width / 2, height / 2)
    right, bottom = left + width - 1, top + height - 1  # a pixel's middle is its whole number
    corners = [
        (right - radius, top + radius, -90),
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
        (left + radius, top + radius, 180),
    ]
    points = []
    for x, y, start in corners:
        for step in range(CORNER_STEPS + 1):
            angle = math.radians(start + 90 * step / CORNER_STEPS)
            points.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
    return points
