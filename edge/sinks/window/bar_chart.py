"""Score bars: a row a label, its word within its bar, so that they are large even on a small screen."""

from __future__ import annotations

from typing import NamedTuple

from edge.sinks.window import palette
from edge.sinks.window import primitives as shapes
from edge.sinks.window import text as lettering
from edge.sinks.window.palette import Colour
from edge.sinks.window.primitives import Picture
from edge.types import Reading

PITCH, WIDE_PITCH = 8.1, 11.0  # hundredths of the screen's shorter side from row to row, at least and at most
EM = 0.68  # letters of the pitch: from one row to the next
PERCENT_FROM = 9.0  # widths of a letter from which on a bar has room for its number


class Area(NamedTuple):
    """A rectangle of the screen in pixels."""

    left: int
    top: int
    width: int
    height: int


def draw(picture: Picture, reading: Reading, area: Area, pitch: float) -> None:
    """Draw as many bars as `area` has room for, `pitch` pixels each: all in the labels' order, or the strongest."""
    labels, count = list(reading.scores), max(0, int(area.height / pitch))
    shown = labels if count >= len(labels) else strongest(reading, count)
    for row, label in enumerate(shown):
        line = Area(area.left, round(area.top + row * pitch), area.width, round(pitch * 0.86))
        _draw_bar(picture, line, label, reading.scores[label], _colour(reading, labels.index(label)), round(pitch * EM))


def strongest(reading: Reading, count: int) -> list[str]:
    """Return the `count` labels with the largest shares, the largest first."""
    return sorted(reading.scores, key=lambda label: -reading.scores[label])[:count]


def percent(share: float) -> str:
    """Return `share` in words that fit into a bar."""
    return f"{share:.0%}"


def _draw_bar(picture: Picture, area: Area, label: str, share: float, colour: Colour, em: int) -> None:
    left, top, width, height = area
    shapes.bar(picture, left, top, width, height, share, palette.TRACK, colour)
    pad, room = round(em * 0.45), width
    if width > PERCENT_FROM * em:
        number = lettering.mask(percent(share), em)
        shapes.stamp(picture, number, left + width - pad - number.shape[1], _middle(area, number), palette.PALE)
        room -= number.shape[1] + pad
    word = lettering.fitted(label, em, room - 2 * pad)
    shapes.stamp(picture, word, left + pad, _middle(area, word), palette.PALE)


def _middle(area: Area, mask: Picture) -> float:
    height: int = mask.shape[0]
    return area.top + (area.height - height) / 2


def _colour(reading: Reading, number: int) -> Colour:
    return palette.UNSURE_DEEP if reading.label is None else palette.deep(number, len(reading.scores))
