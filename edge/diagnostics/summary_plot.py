"""The summary of a day as a stacked bar chart in SVG, which any browser shows and which needs no drawing library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from edge.diagnostics.summary import DaySummary, Totals
from edge.diagnostics.summary_text import (
    MAX_LABEL_WIDTH,
    display_width,
    format_duration,
    format_percent,
    label_name,
    pad,
)
from edge.errors import UsageError

# Pixels.
PLOT_WIDTH, PLOT_HEIGHT = 860, 420
MARGIN_LEFT, MARGIN_TOP, MARGIN_RIGHT, MARGIN_BOTTOM = 64, 56, 190, 40  # the legend is on the right
CHART_WIDTH, CHART_HEIGHT = PLOT_WIDTH - MARGIN_LEFT - MARGIN_RIGHT, PLOT_HEIGHT - MARGIN_TOP - MARGIN_BOTTOM
BASELINE_Y = PLOT_HEIGHT - MARGIN_BOTTOM
MAX_BAR_WIDTH, MAX_LEGEND_ROW = 60, 22.0

# Okabe and Ito's palette, for all kinds of color vision; further labels get hues a golden angle apart.
LABEL_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
GOLDEN_ANGLE_DEGREES = 137.5
UNCERTAIN_COLOR = "#b8b8b8"
TEXT_COLOR, AXIS_COLOR, GRID_COLOR = "#111111", "#555555", "#dddddd"

GRID_STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 36_000)
GRID_UNITS = (("h", 3600), ("min", 60))  # and seconds
MAX_GRID_LINES = 6  # above the baseline


class TimeAxis(NamedTuple):
    """The vertical axis."""

    step: int  # seconds between two grid lines
    lines: int  # above the baseline

    def height(self, seconds: float) -> float:
        """Return the height in pixels of a bar for `seconds`."""
        return seconds / (self.step * self.lines) * CHART_HEIGHT


def svg(summary: DaySummary) -> str:
    """Return a chart: for each hour a bar as high as the time for which faces were visible, divided by label."""
    title = f"{summary.day}: emotions by hour"
    axis = make_time_axis(max((totals.seconds for totals in summary.hours.values()), default=0.0))
    elements = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}" font-family="sans-serif">',
        f"<title>{title}</title>",
        f'<rect width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}" fill="#ffffff"/>',
        _text(MARGIN_LEFT, 26, title, 18, "start", TEXT_COLOR),
        _text(MARGIN_LEFT, 44, "time with faces, summed over the faces", 12, "start", AXIS_COLOR),
        *_grid(axis),
        *_bars(summary, axis),
        *_legend(summary),
        "</svg>",
    ]
    return "\n".join(elements) + "\n"


def check_plot(path: Path) -> None:
    """Raise UsageError unless the name of `path` is that of an SVG file."""
    if path.suffix.lower() != ".svg":
        raise UsageError(f"--plot {path}: found suffix {path.suffix!r}, expected .svg")


def make_time_axis(longest: float) -> TimeAxis:
    """Return the axis for bars of up to `longest` seconds."""
    last = GRID_STEPS_SECONDS[-1]
    steps = (step for step in GRID_STEPS_SECONDS if step * MAX_GRID_LINES >= longest)
    step = next(steps, last * math.ceil(longest / last / MAX_GRID_LINES))
    return TimeAxis(step, max(1, math.ceil(longest / step)))


def _grid(axis: TimeAxis) -> Iterator[str]:
    for number in range(axis.lines + 1):
        seconds = number * axis.step
        y = BASELINE_Y - axis.height(seconds)
        color = GRID_COLOR if number else AXIS_COLOR
        yield f'<line x1="{MARGIN_LEFT}" y1="{y:.1f}" x2="{PLOT_WIDTH - MARGIN_RIGHT}" y2="{y:.1f}" stroke="{color}"/>'
        units = (each for each in GRID_UNITS if seconds >= each[1] and seconds % (each[1] / 2) == 0)
        unit, length = next(units, ("s", 1))
        label = f"{seconds / length:g} {unit}" if seconds else "0"
        yield _text(MARGIN_LEFT - 8, y + 4, label, 12, "end", AXIS_COLOR)


def _bars(summary: DaySummary, axis: TimeAxis) -> Iterator[str]:
    colors = _label_colors(summary.labels())
    first, last = (min(summary.hours), max(summary.hours)) if summary.hours else (0, 23)
    step = CHART_WIDTH / (last - first + 1)
    width = min(step * 0.72, MAX_BAR_WIDTH)
    for hour in range(first, last + 1):
        center, y = MARGIN_LEFT + (hour - first + 0.5) * step, float(BASELINE_Y)
        yield _text(center, y + 18, f"{hour:02d}", 12, "middle", AXIS_COLOR)
        totals = summary.hours.get(hour, Totals())
        for label, color in colors.items():
            if seconds := totals.label_seconds[label]:
                height = axis.height(seconds)
                y -= height
                percent = format_percent(seconds / totals.seconds)
                tooltip = escape(f"{hour:02d}:00, {label_name(label)}: {format_duration(seconds)} ({percent})")
                position = f'x="{center - width / 2:.1f}" y="{y:.2f}" width="{width:.1f}" height="{height:.2f}"'
                yield f'<rect {position} fill="{color}"><title>{tooltip}</title></rect>'


def _legend(summary: DaySummary) -> Iterator[str]:
    """Yield the labels with their fraction of the day, in the order of the bars, the uppermost first."""
    fractions = dict(summary.totals.fractions())
    row = min(MAX_LEGEND_ROW, CHART_HEIGHT / max(1, len(fractions)))
    shown = [(label, color) for label, color in _label_colors(summary.labels()).items() if label in fractions]
    for number, (label, color) in enumerate(reversed(shown)):
        x, y, side = PLOT_WIDTH - MARGIN_RIGHT + 20, MARGIN_TOP + number * row, row * 0.6
        yield f'<rect x="{x}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" fill="{color}"/>'
        name = pad(label_name(label), min(MAX_LABEL_WIDTH, display_width(label_name(label))))
        entry = f"{name} {format_percent(fractions[label])}"
        yield _text(x + 20, y + row * 0.5, entry, min(13, row * 0.7), "start", TEXT_COLOR)


def _label_colors(labels: Sequence[str | None]) -> dict[str | None, str]:
    """Return a color for each of any number of labels."""
    more = [f"hsl({index * GOLDEN_ANGLE_DEGREES % 360:.0f},55%,55%)" for index in range(len(labels))]
    colors = iter([*LABEL_COLORS, *more])
    return {label: UNCERTAIN_COLOR if label is None else next(colors) for label in labels}


def _text(x: float, y: float, content: str, size: float, anchor: str, color: str) -> str:
    attributes = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" text-anchor="{anchor}" fill="{color}"'
    return f"<text {attributes}>{escape(content)}</text>"
