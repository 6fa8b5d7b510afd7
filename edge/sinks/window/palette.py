"""One color for each label of any model: evenly spaced hues of equal lightness.

Colors are computed in OKLCH (Björn Ottosson, "A perceptual color space for image processing", 2020), where equal
lightness looks equally light. In HSV a yellow is much lighter than a blue: text would be readable on one only.
"""

from __future__ import annotations

import math

Color = tuple[int, int, int]  # RGB, 0 to 255

BACKGROUND: Color = (13, 16, 22)
PANEL: Color = (22, 27, 36)
BAR_TRACK: Color = (43, 50, 63)  # the empty part of a bar
LIGHT_TEXT: Color = (244, 246, 250)
DIM_TEXT: Color = (146, 156, 172)
DARK_TEXT: Color = (13, 16, 22)  # on a light label color
UNCERTAIN: Color = (158, 166, 178)
UNCERTAIN_DARK: Color = (92, 100, 113)

FIRST_HUE_DEGREES = 25.0
LIGHT_LIGHTNESS, LIGHT_CHROMA = 0.80, 0.125  # of title plates, frames and petals: dark text has contrast on them
DARK_LIGHTNESS, DARK_CHROMA = 0.51, 0.13  # of bars: light text has contrast on them


def light_color(index: int, count: int) -> Color:
    """Return the color of the label at `index` of `count`, as a background of dark text."""
    return oklch(LIGHT_LIGHTNESS, LIGHT_CHROMA, FIRST_HUE_DEGREES + 360 * index / count)


def dark_color(index: int, count: int) -> Color:
    """Return a color of the same hue as a background of light text."""
    return oklch(DARK_LIGHTNESS, DARK_CHROMA, FIRST_HUE_DEGREES + 360 * index / count)


def oklch(lightness: float, chroma: float, hue: float) -> Color:
    """Return an OKLCH color as sRGB, clipped to its gamut.

    Args:
        lightness: 0 to 1.
        chroma: 0 (gray) to 0.4.
        hue: degrees.
    """
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encode_srgb(+4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encode_srgb(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encode_srgb(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _encode_srgb(linear: float) -> int:
    """Return a linear intensity, 0 to 1, as an sRGB value, 0 to 255 (IEC 61966-2-1)."""
    linear = min(1.0, max(0.0, linear))
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))
