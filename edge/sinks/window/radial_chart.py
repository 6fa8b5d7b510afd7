"""Radial chart of probabilities, shown in place of the camera's image: one petal per label."""

from __future__ import annotations

import math

from edge.sinks.window import bar_chart, palette, primitives, text
from edge.sinks.window.bar_chart import Area
from edge.sinks.window.messages import DisplayOptions
from edge.sinks.window.palette import Color
from edge.sinks.window.primitives import Image
from edge.types import FaceResult

MAX_PETAL_RADIANS = math.radians(50)  # width of a petal, however few there are
IDLE_PROBABILITY = 0.25  # that every petal shows while there is no face
MIN_PETAL_FRACTION = 0.30  # of the longest petal: a label of probability 0 remains visible
HUB_FRACTION = 0.24  # radius of the hub, of the chart's
LABEL_VMIN, SMALL_LABEL_VMIN = 13.0, 9.0  # font sizes: one face, several faces


def draw(image: Image, faces: tuple[FaceResult, ...], options: DisplayOptions) -> None:
    """Fill the screen with the charts and labels of `faces`, or with an idle chart and a hint."""
    height, width = image.shape[:2]
    vmin = min(width, height) / 100
    if len(faces) > 1:
        for face, cell in zip(faces, grid_cells(len(faces), width, height), strict=True):
            _draw_cell(image, cell, face, options, vmin)
        return
    if width > height:
        side, gap = min(height, width // 2), width // 24
        chart_area = Area(0, 0, side, height)
        text_area = Area(side + gap, 0, width - side - 2 * gap, height)
    else:
        side, gap = min(width, round(height * 0.46)), width // 12
        chart_area = Area(0, 0, width, side)
        text_area = Area(gap, side, width - 2 * gap, height - side - gap)
    _draw_chart(image, chart_area, faces[0] if faces else None, len(options.labels))
    if faces:
        _draw_label_and_bars(image, text_area, faces[0], options, vmin)
    else:
        font_size = round(SMALL_LABEL_VMIN * vmin)
        draw_wrapped(image, text_area, options.nobody, font_size, palette.DIM_TEXT, left_aligned=width > height)


def grid_cells(count: int, width: int, height: int) -> list[Area]:
    """Return `count` equal cells of the screen in rows, as close to squares as possible."""
    columns = max(range(1, count + 1), key=lambda number: min(width / number, height / math.ceil(count / number)))
    rows = math.ceil(count / columns)
    cell_width, cell_height = width // columns, height // rows
    return [
        Area(index % columns * cell_width, index // columns * cell_height, cell_width, cell_height)
        for index in range(count)
    ]


def label_text(face: FaceResult, options: DisplayOptions) -> str:
    """Return the text for the label of `face`, or for an uncertain one."""
    return options.uncertain if face.label is None else face.label


def label_color(face: FaceResult) -> Color:
    """Return the light color of the face's label; gray where it has none."""
    labels = list(face.probabilities)
    return palette.UNCERTAIN if face.label is None else palette.light_color(labels.index(face.label), len(labels))


def draw_wrapped(image: Image, area: Area, words: str, font_size: int, color: Color, *, left_aligned: bool) -> None:
    """Draw `words` in the middle of `area`, wrapped to its width."""
    lines = [text.render_to_width(line, font_size, area.width) for line in text.wrap(words, font_size, area.width)]
    top = area.top + (area.height - sum(line.shape[0] for line in lines)) / 2
    for line in lines:
        left = area.left + (0 if left_aligned else (area.width - line.shape[1]) / 2)
        primitives.draw_mask(image, line, left, top, color)
        top += line.shape[0]


def _draw_label_and_bars(image: Image, area: Area, face: FaceResult, options: DisplayOptions, vmin: float) -> None:
    """Draw the label large, and a bar chart below it."""
    count = len(face.probabilities)
    row_height = min(bar_chart.MAX_ROW_VMIN * vmin, 0.55 * area.height / count)
    row_height = max(bar_chart.MIN_ROW_VMIN * vmin, row_height)
    label = text.render_to_width(label_text(face, options), round(LABEL_VMIN * vmin), area.width)
    rows = min(count, int((area.height - label.shape[0] - 6 * vmin) / row_height))
    top = area.top + (area.height - label.shape[0] - rows * row_height - 2 * vmin) / 2
    primitives.draw_mask(image, label, area.left, top, label_color(face))
    bars_top = round(top + label.shape[0] + 2 * vmin)
    bar_chart.draw(image, face, Area(area.left, bars_top, area.width, math.ceil(rows * row_height)), row_height)


def _draw_cell(image: Image, cell: Area, face: FaceResult, options: DisplayOptions, vmin: float) -> None:
    """Draw one of several charts, with the label below it."""
    font_size = round(min(SMALL_LABEL_VMIN * vmin, cell.height * 0.2))
    label = text.render_to_width(label_text(face, options), font_size, cell.width - font_size)
    side = min(cell.width, cell.height - round(label.shape[0] * 1.2))
    top = cell.top + (cell.height - side - label.shape[0]) // 2
    _draw_chart(image, Area(cell.left, top, cell.width, side), face, len(face.probabilities))
    left = cell.left + (cell.width - label.shape[1]) / 2
    primitives.draw_mask(image, label, left, top + side, label_color(face))


def _draw_chart(image: Image, area: Area, face: FaceResult | None, count: int) -> None:
    """Draw the petals of `count` labels with the confidence in the middle; without a face an idle chart."""
    center = area.left + area.width / 2, area.top + area.height / 2
    radius = max(0, min(area.width, area.height)) * 0.44
    primitives.draw_circle(image, center, radius, palette.PANEL)
    probabilities = list(face.probabilities.values()) if face else [IDLE_PROBABILITY] * count
    for index in sorted(range(count), key=lambda index: probabilities[index]):
        # The area of a petal grows with the probability, as people compare areas.
        length = radius * 0.94 * (MIN_PETAL_FRACTION + (1 - MIN_PETAL_FRACTION) * math.sqrt(probabilities[index]))
        angle, border = 2 * math.pi * index / count, radius * 0.02
        width = 2 * length * math.tan(min(MAX_PETAL_RADIANS, 2 * math.pi / max(count, 2) * 0.72) / 2)
        primitives.fill_petal(image, center, angle, length + border, width + 2 * border, palette.PANEL)
        primitives.fill_petal(image, center, angle, length, width, _petal_color(face, index, count))
    hub_color = label_color(face) if face else palette.DIM_TEXT
    primitives.draw_circle(image, center, radius * HUB_FRACTION, palette.BACKGROUND)
    primitives.draw_circle(image, center, radius * HUB_FRACTION * 0.93, hub_color, max(2, round(radius * 0.02)))
    if face:
        words = "?" if face.label is None else bar_chart.format_percent(face.confidence)
        mask = text.render_to_width(words, round(radius * 0.17), round(radius * HUB_FRACTION * 1.6))
        left, top = center[0] - mask.shape[1] / 2, center[1] - mask.shape[0] / 2
        primitives.draw_mask(image, mask, left, top, hub_color)


def _petal_color(face: FaceResult | None, index: int, count: int) -> Color:
    """Return the color of the petal at `index`; the label of the face is light."""
    if face is None:
        return palette.BAR_TRACK
    if face.label is None:
        return palette.UNCERTAIN_DARK
    has_label = list(face.probabilities)[index] == face.label
    return palette.light_color(index, count) if has_label else palette.dark_color(index, count)
