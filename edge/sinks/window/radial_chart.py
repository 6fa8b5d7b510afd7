"""What is shown in place of an image: a flower with a petal a label, as long as the label's share. No face."""

from __future__ import annotations

import math

from edge.sinks.window import bar_chart as bars
from edge.sinks.window import palette
from edge.sinks.window import primitives as shapes
from edge.sinks.window import text as lettering
from edge.sinks.window.bar_chart import Area
from edge.sinks.window.messages import Look
from edge.sinks.window.palette import Color
from edge.sinks.window.primitives import Image, Point
from edge.types import FaceResult

WIDEST = math.radians(50)  # of a petal, however few there are
CALM = 0.25  # share of every petal while nobody is there
SHORTEST = 0.30  # of the longest petal: a share of nothing is still a place on the flower
HEART = 0.24  # radius of the flower's middle, of the flower's
WORD_EM, SMALL_EM = 13.0, 9.0  # hundredths of the screen's shorter side


def draw(image: Image, readings: tuple[FaceResult, ...], look: Look) -> None:
    """Fill the screen with the emblems of `readings` and their words, or with a calm one and a hint."""
    height, width = image.shape[:2]
    if len(readings) > 1:
        for reading, cell in zip(readings, cells(len(readings), width, height), strict=True):
            _draw_small(image, reading, cell, look)
        return
    flower, words = _halves(width, height)
    unit = min(width, height) / 100
    if readings:
        _draw_flower(image, flower, readings[0])
        _draw_words(image, words, readings[0], look, unit)
    else:
        _draw_calm(image, flower, len(look.labels))
        write_lines(image, words, look.nobody, round(SMALL_EM * unit), palette.DIM, left=width > height)


def cells(count: int, width: int, height: int) -> list[Area]:
    """Return `count` equal parts of the screen, in rows, as square as they get."""
    columns = max(range(1, count + 1), key=lambda number: min(width / number, height / math.ceil(count / number)))
    rows = math.ceil(count / columns)
    wide, high = width // columns, height // rows
    return [Area(number % columns * wide, number // columns * high, wide, high) for number in range(count)]


def words_of(reading: FaceResult, look: Look) -> str:
    return look.unsure if reading.label is None else reading.label


def color_of(reading: FaceResult) -> Color:
    """Return the color of what was read."""
    labels = list(reading.probabilities)
    return palette.UNSURE if reading.label is None else palette.bright(labels.index(reading.label), len(labels))


def write_lines(image: Image, area: Area, text: str, em: int, color: Color, *, left: bool) -> None:
    """Write `text` into the middle of `area`, as many lines as its width makes of it."""
    lines = [lettering.fitted(line, em, area.width) for line in wrapped(text, em, area.width)]
    top = area.top + (area.height - sum(line.shape[0] for line in lines)) / 2
    for line in lines:
        shapes.stamp(image, line, area.left + (0 if left else (area.width - line.shape[1]) / 2), top, color)
        top += line.shape[0]


def wrapped(text: str, em: int, width: int) -> list[str]:
    """Return `text` in lines no wider than `width` pixels, if its words are not."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and lettering.mask(longer, em).shape[1] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _halves(width: int, height: int) -> tuple[Area, Area]:
    """Return where the flower stands and where the words do: side by side, or above one another."""
    if width > height:
        side, gap = min(height, width // 2), width // 24
        return Area(0, 0, side, height), Area(side + gap, 0, width - side - 2 * gap, height)
    side, gap = min(width, round(height * 0.46)), width // 12
    return Area(0, 0, width, side), Area(gap, side, width - 2 * gap, height - side - gap)


def _draw_words(image: Image, area: Area, reading: FaceResult, look: Look, unit: float) -> None:
    """Write the label large, and its bars under it."""
    pitch = max(bars.PITCH * unit, min(bars.WIDE_PITCH * unit, 0.55 * area.height / len(reading.probabilities)))
    word = lettering.fitted(words_of(reading, look), round(WORD_EM * unit), area.width)
    rows = min(len(reading.probabilities), int((area.height - word.shape[0] - 6 * unit) / pitch))
    top = area.top + (area.height - word.shape[0] - rows * pitch - 2 * unit) / 2
    shapes.stamp(image, word, area.left, top, color_of(reading))
    below = round(top + word.shape[0] + 2 * unit)
    bars.draw(image, reading, Area(area.left, below, area.width, math.ceil(rows * pitch)), pitch)


def _draw_small(image: Image, reading: FaceResult, cell: Area, look: Look) -> None:
    """Draw one of several emblems, its word under it."""
    em = round(min(SMALL_EM * min(image.shape[:2]) / 100, cell.height * 0.2))
    word = lettering.fitted(words_of(reading, look), em, cell.width - em)
    side = min(cell.width, cell.height - round(word.shape[0] * 1.2))
    top = cell.top + (cell.height - side - word.shape[0]) // 2
    _draw_flower(image, Area(cell.left, top, cell.width, side), reading)
    shapes.stamp(image, word, cell.left + (cell.width - word.shape[1]) / 2, top + side, color_of(reading))


def _draw_flower(image: Image, area: Area, reading: FaceResult) -> None:
    shares, count = list(reading.probabilities.values()), len(reading.probabilities)
    center, radius = _round_in(area)
    _draw_ground(image, center, radius)
    for number in sorted(range(count), key=lambda number: shares[number]):
        leads = list(reading.probabilities)[number] == reading.label
        color = palette.bright(number, count) if leads else palette.deep(number, count)
        _draw_petal(
            image, center, radius, number, count, shares[number], color if reading.label else palette.UNSURE_DEEP
        )
    _draw_heart(image, center, radius, "?" if reading.label is None else bars.percent(reading.confidence), reading)


def _draw_heart(image: Image, center: Point, radius: float, text: str, reading: FaceResult) -> None:
    """Write `text` into the middle of the flower."""
    shapes.disc(image, center, radius * HEART, palette.BACKGROUND)
    shapes.ring(image, center, radius * HEART * 0.93, color_of(reading), max(2, round(radius * 0.02)))
    word = lettering.fitted(text, round(radius * 0.17), round(radius * HEART * 1.6))
    shapes.stamp(image, word, center[0] - word.shape[1] / 2, center[1] - word.shape[0] / 2, color_of(reading))


def _draw_calm(image: Image, area: Area, count: int) -> None:
    center, radius = _round_in(area)
    _draw_ground(image, center, radius)
    for number in range(count):
        _draw_petal(image, center, radius, number, count, CALM, palette.TRACK)
    shapes.disc(image, center, radius * HEART, palette.BACKGROUND)
    shapes.ring(image, center, radius * HEART * 0.93, palette.DIM, max(2, round(radius * 0.02)))


def _draw_ground(image: Image, center: Point, radius: float) -> None:
    shapes.disc(image, center, radius, palette.PANEL)


def _draw_petal(
    image: Image, center: Point, radius: float, number: int, count: int, share: float, color: Color
) -> None:
    """Draw petal `number`; its area grows with the share, as the eye compares areas."""
    length = radius * 0.94 * (SHORTEST + (1 - SHORTEST) * math.sqrt(share))
    angle, rim = 2 * math.pi * number / count, radius * 0.02
    width = 2 * length * math.tan(min(WIDEST, 2 * math.pi / max(count, 2) * 0.72) / 2)
    shapes.petal(image, center, angle, length + rim, width + 2 * rim, palette.PANEL)  # sets it off from the one below
    shapes.petal(image, center, angle, length, width, color)


def _round_in(area: Area) -> tuple[Point, float]:
    """Return the middle of `area` and the radius of the flower in it."""
    center = area.left + area.width / 2, area.top + area.height / 2
    return center, max(0, min(area.width, area.height)) * 0.44
