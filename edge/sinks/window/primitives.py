"""Smooth-edged shapes on a picture, (height, width, 3) uint8 RGB. Lengths are in pixels and may be fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.sinks.window.palette import Colour

Picture = NDArray[np.uint8]
Point = tuple[float, float]
SHIFT = 4  # bits of a pixel's fraction that OpenCV draws with
CORNER_STEPS, PETAL_STEPS = 8, 24
WIDEST = 3 * math.sqrt(3) / 4  # 1 / the maximum of sin(x) * sin(x / 2), from 0 to pi


def plate(
    picture: Picture, left: float, top: float, width: float, height: float, colour: Colour, *, round_by: float = 0
) -> None:
    """Fill a rectangle with corners `round_by` round."""
    if width >= 1 and height >= 1:
        _fill(picture, _rounded(left, top, width, height, round_by), colour)


def bar(
    picture: Picture, left: int, top: int, width: int, height: int, share: float, track: Colour, colour: Colour
) -> None:
    """Fill a rectangle with round corners: its left `share`, 0 to 1, with `colour`, the rest with `track`."""
    round_by, split = height * 0.28, left + round(width * share)
    before = picture[top : top + height, left:split].copy()
    plate(picture, left, top, width, height, track, round_by=round_by)
    full = np.zeros_like(picture[top : top + height, left : left + width])
    full[:, : split - left] = before
    plate(full, 0, 0, width, height, colour, round_by=round_by)
    picture[top : top + height, left:split] = full[:, : split - left]


def glass(
    picture: Picture, left: int, top: int, width: int, height: int, colour: Colour, *, share: float, round_by: float
) -> None:
    """Cover a rectangle with `share` of `colour`, 0 to 1: what is under it shows through."""
    left, top = max(left, 0), max(top, 0)
    part = picture[top : top + height, left : left + width]
    if part.size:
        covered = part.copy()
        plate(covered, 0, 0, part.shape[1], part.shape[0], colour, round_by=round_by)
        part[:] = cv2.addWeighted(part, 1 - share, covered, share, 0)


def frame(
    picture: Picture, left: float, top: float, width: float, height: float, colour: Colour, thick: int, round_by: float
) -> None:
    """Draw the border of a rectangle."""
    points = _fixed(_rounded(left, top, width, height, round_by))
    cv2.polylines(picture, [points], True, colour, thick, cv2.LINE_AA, SHIFT)


def disc(picture: Picture, centre: Point, radius: float, colour: Colour) -> None:
    x, y = (round(value * 2**SHIFT) for value in centre)
    cv2.circle(picture, (x, y), round(radius * 2**SHIFT), colour, cv2.FILLED, cv2.LINE_AA, SHIFT)


def ring(picture: Picture, centre: Point, radius: float, colour: Colour, thick: int) -> None:
    x, y = (round(value * 2**SHIFT) for value in centre)
    cv2.circle(picture, (x, y), round(radius * 2**SHIFT), colour, thick, cv2.LINE_AA, SHIFT)


def petal(picture: Picture, centre: Point, angle: float, length: float, width: float, colour: Colour) -> None:
    """Fill a leaf from `centre` on, round at its end.

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
        x = centre[0] + out * math.cos(turn) - aside * math.sin(turn)
        y = centre[1] + out * math.sin(turn) + aside * math.cos(turn)
        points.append((x, y))
    _fill(picture, points, colour)


def stamp(picture: Picture, mask: NDArray[np.uint8], left: float, top: float, colour: Colour) -> None:
    """Put `colour` where `mask` is, (height, width) 0 to 255, as much of it as lies inside the picture."""
    x, y = round(left), round(top)
    mask = mask[max(0, -y) : picture.shape[0] - y, max(0, -x) : picture.shape[1] - x]
    if not mask.size or x >= picture.shape[1] or y >= picture.shape[0]:
        return
    x, y = max(x, 0), max(y, 0)
    part = picture[y : y + mask.shape[0], x : x + mask.shape[1]]
    share = mask[..., np.newaxis].astype(np.uint16)
    part[:] = ((255 - share) * part + share * np.array(colour, np.uint16)) // 255


def _fill(picture: Picture, points: Sequence[Point], colour: Colour) -> None:
    cv2.fillPoly(picture, [_fixed(points)], colour, cv2.LINE_AA, SHIFT)


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
