"""A color for each label of any model: hues spread evenly over the wheel, all equally light.

Colors are made in OKLCH (Björn Ottosson, "A perceptual color space for image processing", 2020), where equal lightness
looks equally light; in HSV a yellow would outshine a blue, and letters would be readable on one of them alone.
"""

from __future__ import annotations

import math

Color = tuple[int, int, int]  # RGB, 0 to 255

BACKGROUND: Color = (13, 16, 22)
PANEL: Color = (22, 27, 36)
TRACK: Color = (43, 50, 63)  # of a bar that is empty
PALE: Color = (244, 246, 250)
DIM: Color = (146, 156, 172)
INK: Color = (13, 16, 22)  # letters on a bright plate
UNSURE: Color = (158, 166, 178)
UNSURE_DEEP: Color = (92, 100, 113)

FIRST_HUE = 25.0  # degrees
LIGHT, LIGHT_CHROMA = 0.80, 0.125  # of plates, boxes and petals: dark letters stand out on them
DEEP, DEEP_CHROMA = 0.51, 0.13  # of bars: white letters stand out on them


def bright(number: int, count: int) -> Color:
    """Return the color of label `number` of `count`, for dark letters."""
    return oklch(LIGHT, LIGHT_CHROMA, FIRST_HUE + 360 * number / count)


def deep(number: int, count: int) -> Color:
    """Return the same hue for white letters."""
    return oklch(DEEP, DEEP_CHROMA, FIRST_HUE + 360 * number / count)


def oklch(lightness: float, chroma: float, hue: float) -> Color:
    """Return the sRGB color of `lightness` 0 to 1, `chroma` from 0 (gray) to 0.4, and `hue` in degrees; clipped."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encoded(+4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encoded(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encoded(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _encoded(linear: float) -> int:
    """Return a linear share of light as sRGB's 0 to 255 (IEC 61966-2-1)."""
    share = min(1.0, max(0.0, linear))
    return round(255 * (12.92 * share if share <= 0.0031308 else 1.055 * share ** (1 / 2.4) - 0.055))
