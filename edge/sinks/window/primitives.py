"""Anti-aliased shapes on an image, (height, width, 3) uint8 RGB. Lengths are in pixels and may be fractional."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.sinks.window.palette import Color

Image = NDArray[np.uint8]
Point = tuple[float, float]
SHIFT_BITS = 4  # fractional bits of the fixed-point coordinates that OpenCV draws with
CORNER_STEPS, PETAL_STEPS = 8, 24  # line segments of a quarter circle, and of one side of a petal
PETAL_WIDTH_SCALE = 3 * math.sqrt(3) / 4  # 1 / the maximum of sin(x) * sin(x / 2) for x from 0 to pi


def fill_rectangle(
    image: Image, left: float, top: float, width: float, height: float, color: Color, *, radius: float = 0
) -> None:
    """Fill a rectangle with rounded corners of `radius`."""
    if width >= 1 and height >= 1:
        _fill_polygon(image, _rounded_rectangle(left, top, width, height, radius), color)


def fill_bar(
    image: Image, left: int, top: int, width: int, height: int, fraction: float, track: Color, color: Color
) -> None:
    """Fill a rounded rectangle: the left `fraction`, 0 to 1, with `color`, the rest with `track`."""
    radius, split = height * 0.28, left + round(width * fraction)
    background = image[top : top + height, left:split].copy()
    fill_rectangle(image, left, top, width, height, track, radius=radius)
    full = np.zeros_like(image[top : top + height, left : left + width])
    full[:, : split - left] = background
    fill_rectangle(full, 0, 0, width, height, color, radius=radius)
    image[top : top + height, left:split] = full[:, : split - left]


def blend_rectangle(
    image: Image, left: int, top: int, width: int, height: int, color: Color, *, opacity: float, radius: float
) -> None:
    """Blend a rounded rectangle of `color` over the image; `opacity` is 0 (invisible) to 1."""
    left, top = max(left, 0), max(top, 0)
    region = image[top : top + height, left : left + width]
    if region.size:
        covered = region.copy()
        fill_rectangle(covered, 0, 0, region.shape[1], region.shape[0], color, radius=radius)
        region[:] = cv2.addWeighted(region, 1 - opacity, covered, opacity, 0)


def draw_rectangle(
    image: Image, left: float, top: float, width: float, height: float, color: Color, thickness: int, radius: float
) -> None:
    """Draw the outline of a rectangle with rounded corners of `radius`."""
    points = _to_fixed_point(_rounded_rectangle(left, top, width, height, radius))
    cv2.polylines(image, [points], True, color, thickness, cv2.LINE_AA, SHIFT_BITS)


def draw_circle(image: Image, center: Point, radius: float, color: Color, thickness: int = cv2.FILLED) -> None:
    """Draw a circle, with a center and a radius in fractions of a pixel."""
    x, y = (round(value * 2**SHIFT_BITS) for value in center)
    cv2.circle(image, (x, y), round(radius * 2**SHIFT_BITS), color, thickness, cv2.LINE_AA, SHIFT_BITS)


def fill_petal(image: Image, center: Point, angle: float, length: float, width: float, color: Color) -> None:
    """Fill a petal that starts at `center` and is round at its outer end.

    Args:
        angle: its direction, radians clockwise from upwards.
        width: where it is widest.
    """
    direction = angle - math.pi / 2
    points = []
    for step in range(2 * PETAL_STEPS):
        phase = math.pi * step / PETAL_STEPS  # 0 at the center, pi at the tip
        along = length * (1 - math.cos(phase)) / 2
        across = width / 2 * math.sin(phase) * math.sin(phase / 2) * PETAL_WIDTH_SCALE
        x = center[0] + along * math.cos(direction) - across * math.sin(direction)
        y = center[1] + along * math.sin(direction) + across * math.cos(direction)
        points.append((x, y))
    _fill_polygon(image, points, color)


def draw_mask(image: Image, mask: NDArray[np.uint8], left: float, top: float, color: Color) -> None:
    """Blend `color` into the image where `mask`, (height, width) 0 to 255, covers it; clipped to the image."""
    x, y = round(left), round(top)
    mask = mask[max(0, -y) : image.shape[0] - y, max(0, -x) : image.shape[1] - x]
    if not mask.size or x >= image.shape[1] or y >= image.shape[0]:
        return
    x, y = max(x, 0), max(y, 0)
    region = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    alpha = mask[..., np.newaxis].astype(np.uint16)
    region[:] = ((255 - alpha) * region + alpha * np.array(color, np.uint16)) // 255


def _fill_polygon(image: Image, points: Sequence[Point], color: Color) -> None:
    cv2.fillPoly(image, [_to_fixed_point(points)], color, cv2.LINE_AA, SHIFT_BITS)


def _to_fixed_point(points: Sequence[Point]) -> NDArray[np.int32]:
    return np.array([(round(x * 2**SHIFT_BITS), round(y * 2**SHIFT_BITS)) for x, y in points], np.int32)


def _rounded_rectangle(left: float, top: float, width: float, height: float, radius: float) -> list[Point]:
    """Return the outline of a rectangle with rounded corners as a polygon."""
    radius = min(radius, width / 2, height / 2)
    right, bottom = left + width - 1, top + height - 1  # integer coordinates are centers of pixels
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
