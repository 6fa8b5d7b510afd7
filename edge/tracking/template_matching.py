"""Template matching: finds where a face moved since the last frame, far faster than detection, and also in profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.detection.downscale import downscale
from edge.types import Box

TEMPLATE_PIXELS = 20  # side of a template
MATCH_RADIUS = 0.35  # of the face's side, in each direction, that a face can move from one frame to the next
NEAR_RADIUS = 0.15  # of a first search, which takes half the instructions and is enough for most frames
MIN_CORRELATION = 0.6  # normalized, -1 to 1; below it the face is lost
HIGH_CORRELATION = 0.9  # from which the first search is enough: with 0.8 faces at the image's border were lost
# Of the template's standard deviation. A match with less is a uniform wall whose shading resembles that of the face.
MIN_CONTRAST = 0.25


def extract_template(gray: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return the face in `box` of `gray` (height, width), downscaled to TEMPLATE_PIXELS a side."""
    part = _part(gray, box, 0)[0]
    return downscale(part, box.width / TEMPLATE_PIXELS)


@dataclass(frozen=True, slots=True)
class Match:
    """Where the face of a template is."""

    box: Box
    correlation: float  # normalized, MIN_CORRELATION to 1


def match_template(gray: NDArray[np.uint8], box: Box, template: NDArray[np.uint8]) -> Match | None:
    """Return where in `gray` (height, width) the face of `template` is, which was in `box`; None: lost."""
    contrast = _contrast(template)
    if not contrast:
        return None
    for radius in (NEAR_RADIUS, MATCH_RADIUS):
        part, x0, y0 = _part(gray, box, radius)
        area = downscale(part, box.width / TEMPLATE_PIXELS)
        if area.shape[0] < template.shape[0] or area.shape[1] < template.shape[1]:
            return None
        correlation = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
        correlation[~np.isfinite(correlation)] = -1.0  # undefined where the image is uniform
        _, best, _, (x, y) = cv2.minMaxLoc(correlation)
        at_edge = x in (0, correlation.shape[1] - 1) or y in (0, correlation.shape[0] - 1)
        if best >= HIGH_CORRELATION and not at_edge:
            break
    match = area[y : y + template.shape[0], x : x + template.shape[1]]
    if best < MIN_CORRELATION or _contrast(match) < MIN_CONTRAST * contrast:
        return None
    dx, dy = _subpixel_offset(correlation[y, :], x), _subpixel_offset(correlation[:, x], y)
    factor = part.shape[1] / area.shape[1]
    found = Box(x0 + round((x + dx) * factor), y0 + round((y + dy) * factor), box.width, box.height)
    is_inside = 0 <= found.x + box.width / 2 < gray.shape[1] and 0 <= found.y + box.height / 2 < gray.shape[0]
    return Match(found, best) if is_inside else None


def _contrast(gray: NDArray[np.uint8]) -> float:
    """Return the standard deviation of `gray`: NumPy takes twenty times the instructions for so few pixels."""
    return float(cv2.meanStdDev(gray)[1][0, 0])


def _subpixel_offset(correlation: NDArray[Any], peak: int) -> float:
    """Return the offset, -0.5 to 0.5, of the vertex of the parabola through the peak and its two neighbors.

    A face of 200 pixels is matched at 20, where one pixel stands for ten.
    """
    if not 0 < peak < len(correlation) - 1:
        return 0.0
    before, here, after = (float(value) for value in correlation[peak - 1 : peak + 2])
    curvature = before - 2 * here + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0


def _part(gray: NDArray[np.uint8], box: Box, padding: float) -> tuple[NDArray[np.uint8], int, int]:
    """Return the part of `gray` at `box`, padded by `padding` times its side, with its left and top.

    Beyond the image its border pixels are repeated.
    """
    area = box.padded(round(box.width * padding))
    height, width = gray.shape
    x0, y0 = (min(max(start, 0), side - 1) for start, side in ((area.x, width), (area.y, height)))
    x1, y1 = max(x0 + 1, area.x + area.width), max(y0 + 1, area.y + area.height)
    part = gray[y0:y1, x0:x1]
    if part.shape != (area.height, area.width):
        top, left = max(0, y0 - area.y), max(0, x0 - area.x)
        below, right = max(0, area.height - top - part.shape[0]), max(0, area.width - left - part.shape[1])
        border = top, below, left, right
        part = cv2.copyMakeBorder(part, *border, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    return part, area.x, area.y
