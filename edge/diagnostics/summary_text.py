"""The summary of a day as text with bars for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from edge.diagnostics.summary import DaySummary, Totals

UNCERTAIN = "uncertain"  # shown for no label
MAX_LABEL_WIDTH = 16  # columns
LABEL_BAR_WIDTH = 24  # columns of the longest bar of a label
HOUR_BAR_WIDTH = 12  # columns of the longest bar of an hour
MAX_LINES_NAMED = 5  # of the damaged ones


def text(summary: DaySummary, width: int) -> str:
    """Return `summary` for a terminal of `width` columns, 72 or more."""
    title = f"{summary.day}, {summary.day:%A}"
    sections = [[f"{title}: no faces"]]
    if summary.begin and summary.end:
        count = len(summary.totals.faces)
        period = f"{summary.begin:%H:%M} to {summary.end:%H:%M}"
        total = format_duration(summary.totals.seconds)
        sections = [[f"{title}: {count} face{'s' * (count != 1)}, {total} in total, {period}"]]
        fractions = summary.totals.fractions()
        label_width = min(MAX_LABEL_WIDTH, max((display_width(label_name(label)) for label, _ in fractions), default=0))
        label_lines = []
        for label, fraction in fractions:
            bar = pad(_bar(fraction / fractions[0][1], LABEL_BAR_WIDTH), LABEL_BAR_WIDTH)
            duration = format_duration(fraction * summary.totals.seconds)
            name = pad(label_name(label), label_width)
            label_lines.append(f"  {name}  {bar}  {format_percent(fraction):>4}  {duration}")
        sections += [label_lines, list(_hour_lines(summary, width))]
    if summary.damaged_lines:
        numbers = ", ".join(map(str, summary.damaged_lines[:MAX_LINES_NAMED]))
        more = ", ..." * (len(summary.damaged_lines) > MAX_LINES_NAMED)
        sections.append([f"damaged lines ignored: {len(summary.damaged_lines)} ({summary.path}:{numbers}{more})"])
    return "\n\n".join("\n".join(section) for section in sections if section)


def _hour_lines(summary: DaySummary, width: int) -> Iterator[str]:
    """Yield a line for each hour from the first to the last one with a face."""
    longest = max(totals.seconds for totals in summary.hours.values())
    yield f"hour   faces  {'time':>10}"
    for hour in range(min(summary.hours), max(summary.hours) + 1):
        totals = summary.hours.get(hour, Totals())
        line = f"{hour:02d}:00  {len(totals.faces):5}  "
        if totals.faces:
            bar = pad(_bar(totals.seconds / longest if longest else 0.0, HOUR_BAR_WIDTH), HOUR_BAR_WIDTH)
            line += f"{format_duration(totals.seconds):>10}  {bar}  "
            labels = (f"{label_name(label)} {format_percent(fraction)}" for label, fraction in totals.fractions())
            line += _join_within(labels, width - len(line))
        yield line.rstrip()


def _join_within(words: Iterable[str], width: int) -> str:
    """Return as many of `words` as fit into `width` columns, separated by commas."""
    line = ""
    for word in words:
        longer = f"{line}, {word}" if line else word
        if display_width(longer) > width:
            break
        line = longer
    return line


def _bar(fraction: float, width: int) -> str:
    """Return a bar for `fraction`, 0 to 1, of at most `width` columns, exact to an eighth of a column."""
    full, eighths = divmod(round(fraction * width * 8), 8)
    return ("█" * full + " ▏▎▍▌▋▊▉"[eighths]).rstrip()


def label_name(label: str | None) -> str:
    """Return the name of a label for people; None is uncertain."""
    return UNCERTAIN if label is None else label


def format_percent(fraction: float) -> str:
    """Return a fraction as percent; less than half of one is not 0%."""
    return f"{fraction:.0%}" if fraction >= 0.005 else "<1%"


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    minutes = round(seconds / 60)
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def display_width(line: str) -> int:
    """Return the columns that a terminal uses for `line`: East Asian characters take two, combining accents none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in line)
    return len(line) + wide - sum(unicodedata.combining(character) > 0 for character in line)


def pad(line: str, width: int) -> str:
    """Return `line` cut off or padded with spaces to exactly `width` columns."""
    while display_width(line) > width:
        line = line[:-1]
    return line + " " * (width - display_width(line))
