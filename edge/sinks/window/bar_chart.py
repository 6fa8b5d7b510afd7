"""Score bars: a row a label, its word within its bar, so that they are large even on a small screen."""

from __future__ import annotations

from typing import NamedTuple

from edge.sinks.window import palette
from edge.sinks.window import primitives as shapes
from edge.sinks.window import text as lettering
from edge.sinks.window.palette import Color
from edge.sinks.window.primitives import Image
from edge.types import FaceResult

PITCH, WIDE_PITCH = 8.1, 11.0  # hundredths of the screen's shorter side from row to row, at least and at most
EM = 0.68  # letters of the pitch: from one row to the next
PERCENT_FROM = 9.0  # widths of a letter from which on a bar has room for its number


class Area(NamedTuple):
    """A rectangle of the screen in pixels."""

    left: int
    top: int
    width: int
    height: int


def draw(image: Image, reading: FaceResult, area: Area, pitch: float) -> None:
    """Draw as many bars as `area` has room for, `pitch` pixels each: all in the labels' order, or the strongest."""
    labels, count = list(reading.probabilities), max(0, int(area.height / pitch))
    shown = labels if count >= len(labels) else strongest(reading, count)
    for row, label in enumerate(shown):
        line = Area(area.left, round(area.top + row * pitch), area.width, round(pitch * 0.86))
        _draw_bar(
            image, line, label, reading.probabilities[label], _color(reading, labels.index(label)), round(pitch * EM)
        )


def strongest(reading: FaceResult, count: int) -> list[str]:
    """Return the `count` labels with the largest shares, the largest first."""
    return sorted(reading.probabilities, key=lambda label: -reading.probabilities[label])[:count]


def percent(share: float) -> str:
    """Return `share` in words that fit into a bar."""
    return f"{share:.0%}"


def _draw_bar(image: Image, area: Area, label: str, share: float, color: Color, em: int) -> None:
    left, top, width, height = area
    shapes.bar(image, left, top, width, height, share, palette.TRACK, color)
    pad, room = round(em * 0.45), width
    if width > PERCENT_FROM * em:
        number = lettering.mask(percent(share), em)
        shapes.stamp(image, number, left + width - pad - number.shape[1], _middle(area, number), palette.PALE)
        room -= number.shape[1] + pad
    word = lettering.fitted(label, em, room - 2 * pad)
    shapes.stamp(image, word, left + pad, _middle(area, word), palette.PALE)


def _middle(area: Area, mask: Image) -> float:
    height: int = mask.shape[0]
    return area.top + (area.height - height) / 2


def _color(reading: FaceResult, number: int) -> Color:
    return palette.UNSURE_DEEP if reading.label is None else palette.deep(number, len(reading.probabilities))
