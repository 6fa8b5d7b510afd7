"""Bar chart of probabilities: one row per label, which stands inside its bar to be large even on a small screen."""

from __future__ import annotations

from typing import NamedTuple

from edge.sinks.window import palette, primitives, text
from edge.sinks.window.primitives import Image
from edge.types import FaceResult

# A vmin is a hundredth of the screen's shorter side, as in CSS.
MIN_ROW_VMIN, MAX_ROW_VMIN = 8.1, 11.0  # from one row to the next
BAR_FRACTION, FONT_FRACTION = 0.86, 0.68  # height of a bar and font size, of the distance between rows
MIN_PERCENT_EMS = 9.0  # width of a bar, in font sizes, that has room for the percentage


class Area(NamedTuple):
    """A rectangle of the screen in pixels."""

    left: int
    top: int
    width: int
    height: int


def draw(image: Image, face: FaceResult, area: Area, row_height: float) -> None:
    """Draw as many rows of `row_height` pixels as fit into `area`: all labels in their order, or the most probable."""
    labels, count = list(face.probabilities), max(0, int(area.height / row_height))
    shown = labels
    if count < len(labels):
        shown = sorted(labels, key=lambda label: -face.probabilities[label])[:count]
    font_size = round(row_height * FONT_FRACTION)
    padding = round(font_size * 0.45)
    for row, label in enumerate(shown):
        bar = Area(area.left, round(area.top + row * row_height), area.width, round(row_height * BAR_FRACTION))
        color = palette.UNCERTAIN_DARK
        if face.label is not None:
            color = palette.dark_color(labels.index(label), len(labels))
        primitives.fill_bar(image, *bar, face.probabilities[label], palette.BAR_TRACK, color)
        room = bar.width
        if bar.width > MIN_PERCENT_EMS * font_size:
            percent = text.render(format_percent(face.probabilities[label]), font_size)
            room -= percent.shape[1] + padding
            _draw_text(image, percent, bar.left + room, bar)
        _draw_text(image, text.render_to_width(label, font_size, room - 2 * padding), bar.left + padding, bar)


def format_percent(probability: float) -> str:
    """Return a probability as percent."""
    return f"{probability:.0%}"


def _draw_text(image: Image, mask: Image, left: float, bar: Area) -> None:
    """Draw `mask` at the column `left`, centered vertically in `bar`."""
    primitives.draw_mask(image, mask, left, bar.top + (bar.height - mask.shape[0]) / 2, palette.LIGHT_TEXT)
