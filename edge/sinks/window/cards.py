"""Cards: a translucent panel per face with a bar chart of its probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge.sinks.window import bar_chart, palette, primitives, text
from edge.sinks.window.bar_chart import Area
from edge.sinks.window.messages import DisplayOptions
from edge.sinks.window.primitives import Image
from edge.sinks.window.radial_chart import label_color, label_text
from edge.types import FaceResult

GAP_VMIN = 2.5  # between elements, and between them and the border of the screen
TITLE_VMIN, SMALL_TITLE_VMIN = 7.0, 5.6  # font sizes: one or two faces, more faces
MIN_CARD_VMIN, MAX_CARD_VMIN = 38.0, 46.0  # width of a card
PADDING_VMIN = 1.6  # inside a card


def draw(canvas: Image, faces: Sequence[FaceResult], area: Area, options: DisplayOptions, vmin: float) -> None:
    """Draw a card per face into the cells of `area`, with titles if there are several; `vmin` is in pixels."""
    gap = round(GAP_VMIN * vmin)
    columns = max(1, min(len(faces), int(area.width / (MIN_CARD_VMIN * 1.2 * vmin))))
    rows = math.ceil(len(faces) / columns)
    width, height = (area.width + gap) // columns - gap, (area.height + gap) // rows - gap
    for index, face in enumerate(faces):
        left, top = area.left + index % columns * (width + gap), area.top + index // columns * (height + gap)
        _draw_card(canvas, face, Area(left, top, width, height), options if len(faces) > 1 else None, vmin)


def _draw_card(canvas: Image, face: FaceResult, cell: Area, options: DisplayOptions | None, vmin: float) -> None:
    """Draw a card in the middle of `cell`; without `options` it has no title."""
    padding, title_height = round(PADDING_VMIN * vmin), round(TITLE_VMIN * vmin) if options else 0
    free_height, count = cell.height - 2 * padding - title_height, len(face.probabilities)
    row_height = max(bar_chart.MIN_ROW_VMIN * vmin, min(bar_chart.MAX_ROW_VMIN * vmin, free_height / count))
    rows = min(count, max(0, int(free_height / row_height)))
    card_height = round(title_height + rows * row_height) + 2 * padding
    card = Area(cell.left, cell.top + (cell.height - card_height) // 2, cell.width, card_height)
    primitives.blend_rectangle(canvas, *card, palette.PANEL, opacity=0.86, radius=2.2 * vmin)
    left, top, width = card.left + padding, card.top + padding, card.width - 2 * padding
    if options:
        font_size = round(SMALL_TITLE_VMIN * vmin)
        percent = text.render(bar_chart.format_percent(face.confidence), font_size)
        room = width - percent.shape[1] - font_size // 2
        label = text.render_to_width(label_text(face, options), font_size, room)
        primitives.draw_mask(canvas, label, left, top, label_color(face))
        primitives.draw_mask(canvas, percent, left + width - percent.shape[1], top, palette.DIM_TEXT)
    bars = Area(left, top + title_height, width, math.ceil(rows * row_height))
    bar_chart.draw(canvas, face, bars, row_height)
