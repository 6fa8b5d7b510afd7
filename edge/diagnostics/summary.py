"""What a day's log (edge/sinks/daily_log.py) comes to: in words for a terminal, as JSON, and as a drawing."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from edge.errors import FileError, SourceNotFound, UsageError
from edge.sinks import daily_log as daylog
from edge.sinks.daily_log import Span

UNSURE = "unsure"  # shown for no label
BAR = 24  # characters of the longest bar of a label
HOUR_BAR = 12  # and of an hour
LABEL = 16  # columns of a label at most
NAMED = 5  # damaged lines that are named, at most


@dataclass
class Part:
    """A day, or an hour of it."""

    faces: set[tuple[str, int]] = field(default_factory=set)  # run and number
    seconds: float = 0.0  # that faces were seen, each face for itself
    labels: Counter[str | None] = field(default_factory=Counter)  # label, None: unsure -> seconds

    def add(self, span: Span) -> None:
        self.faces.add((span.run, span.face))
        self.seconds += span.seconds
        self.labels[span.label] += span.seconds  # type: ignore[assignment] # Counter's stubs know whole numbers only

    def shares(self) -> list[tuple[str | None, float]]:
        """Return labels and their share of the time, 0 to 1, the largest first."""
        return [(label, seconds / self.seconds) for label, seconds in self.labels.most_common() if seconds]


@dataclass
class Day:
    """All that one day's log tells."""

    day: date
    path: Path
    whole: Part = field(default_factory=Part)
    hours: dict[int, Part] = field(default_factory=dict)  # hour of the local time, 0 to 23, that somebody was there
    first: datetime | None = None  # local time that the first face came
    last: datetime | None = None  # and the last one went
    damaged: list[int] = field(default_factory=list)  # numbers of lines, from 1, that could not be read

    def add(self, span: Span) -> None:
        """Count `span`. The log has none that goes on for long into another hour than it begins in."""
        end = span.begin + timedelta(seconds=span.seconds)
        self.first = min(self.first or span.begin, span.begin)
        self.last = max(self.last or end, end)
        self.whole.add(span)
        self.hours.setdefault(span.begin.hour, Part()).add(span)

    def labels(self) -> list[str | None]:
        """Return the labels that were seen, in the order of the alphabet, so that days look alike; unsure last."""
        return sorted(self.whole.labels, key=lambda label: (label is None, label or ""))


def read(folder: Path, wanted: str | None) -> Day:
    """Return the day `wanted` (YYYY-MM-DD; None: the last one that there is) of the log in `folder`.

    Raises SourceNotFound where there is no such folder or day, naming what there is; UsageError where it is no date;
    FileError where the file cannot be read.
    """
    day = _day(folder, wanted)
    found = Day(day, daylog.file_of(folder, day))
    try:
        lines = found.path.read_bytes().split(b"\n")
    except OSError as error:
        raise FileError(f"{found.path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        if line and line != daylog.HEADER.rstrip().encode():
            try:
                found.add(daylog.from_line(line.decode()))
            except ValueError:
                found.damaged.append(number)
    return found


def _day(folder: Path, wanted: str | None) -> date:
    try:
        day = date.fromisoformat(wanted) if wanted else None
    except ValueError:
        raise UsageError(f"--date is {wanted!r}, expected a date as 2026-11-21") from None
    if not folder.is_dir():
        raise SourceNotFound(f"{folder}: no such folder; name the one that the run's sink csv:FOLDER writes to")
    known = daylog.days(folder)
    if not known:
        raise SourceNotFound(f"{folder}: no log of any day found, expected files as {_example()}")
    if day and day not in known:
        near = ", ".join(map(str, sorted(sorted(known, key=lambda each: abs(each - day))[:3])))
        raise SourceNotFound(f"{folder}: no log of {day} found; the nearest of the {len(known)} that there are: {near}")
    return day or known[-1]


def _example() -> str:
    return daylog.file_of(Path(), date(2026, 11, 21)).name


def as_json(day: Day) -> dict[str, Any]:
    """Return plain values: times in seconds, labels as they are, the unsure time apart from them."""
    return {
        "date": day.day.isoformat(),
        "file": str(day.path),
        "first": day.first and day.first.isoformat(timespec="seconds"),
        "last": day.last and day.last.isoformat(timespec="seconds"),
        **_part_as_json(day.whole),
        "hours": [{"hour": hour, **_part_as_json(part)} for hour, part in sorted(day.hours.items())],
        "damaged_lines": day.damaged,
    }


def _part_as_json(part: Part) -> dict[str, Any]:
    emotions = {label: round(seconds, 3) for label, seconds in part.labels.most_common() if label is not None}
    unsure = round(float(part.labels[None]), 3)
    return {"faces": len(part.faces), "seconds": round(part.seconds, 3), "emotions": emotions, "unsure": unsure}


def text(day: Day, width: int) -> str:
    """Return `day` in words and bars, for a terminal of `width` columns, 72 or more."""
    title = f"{day.day}, {day.day:%A}"
    parts = [[f"{title}: nobody was seen"]]
    if day.first and day.last:
        faces = f"{len(day.whole.faces)} face{'s' * (len(day.whole.faces) != 1)}"
        parts = [[f"{title}: {faces}, {lasting(day.whole.seconds)} in all, {day.first:%H:%M} to {day.last:%H:%M}"]]
        parts += [list(_label_lines(day.whole)), list(_hour_lines(day, width))]
    if day.damaged:
        parts.append([_damage(day)])
    return "\n\n".join("\n".join(part) for part in parts if part)


def _label_lines(part: Part) -> Iterator[str]:
    shares = part.shares()
    column = min(LABEL, max((_columns(_name(label)) for label, _ in shares), default=0))
    for label, share in shares:
        bar = _padded(_bar(share / shares[0][1], BAR), BAR)
        yield f"  {_padded(_name(label), column)}  {bar}  {_percent(share):>4}  {lasting(share * part.seconds)}"


def _hour_lines(day: Day, width: int) -> Iterator[str]:
    """Yield a line for each hour from the first to the last one with somebody there, those between with nobody too."""
    longest = max(part.seconds for part in day.hours.values())
    yield f"hour   faces  {'time':>10}"
    for hour in range(min(day.hours), max(day.hours) + 1):
        part = day.hours.get(hour, Part())
        line = f"{hour:02d}:00  {len(part.faces):5}  "
        if part.faces:
            bar = _padded(_bar(part.seconds / longest if longest else 0.0, HOUR_BAR), HOUR_BAR)
            line += f"{lasting(part.seconds):>10}  {bar}  "
            line += _fitting((f"{_name(label)} {_percent(share)}" for label, share in part.shares()), width - len(line))
        yield line.rstrip()


def _damage(day: Day) -> str:
    named = ", ".join(map(str, day.damaged[:NAMED])) + ", ..." * (len(day.damaged) > NAMED)
    lines = "1 damaged line was" if len(day.damaged) == 1 else f"{len(day.damaged)} damaged lines were"
    return f"{lines} left out: {day.path}:{named}"


def lasting(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    minutes = round(seconds / 60)
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _fitting(words: Iterable[str], room: int) -> str:
    """Return as many of `words` as fit into `room` columns, a comma between them."""
    line = ""
    for word in words:
        longer = f"{line}, {word}" if line else word
        if _columns(longer) > room:
            break
        line = longer
    return line


def _name(label: str | None) -> str:
    return UNSURE if label is None else label


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "<1%"


def _bar(share: float, longest: int) -> str:
    """Return a bar of `share`, 0 to 1, of `longest` characters, exact to an eighth of one."""
    full, rest = divmod(round(share * longest * 8), 8)
    return ("█" * full + " ▏▎▍▌▋▊▉"[rest]).rstrip()


def _columns(words: str) -> int:
    """Return the columns that a terminal takes for `words`: East Asian letters two, accents on their own none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in words)
    return len(words) + wide - sum(unicodedata.combining(letter) > 0 for letter in words)


def _padded(words: str, columns: int) -> str:
    """Return `words` in exactly so many `columns`, cut off or filled up with spaces."""
    while _columns(words) > columns:
        words = words[:-1]
    return words + " " * (columns - _columns(words))


# The drawing. SVG: any browser shows it, in letters of any language, and nothing has to be installed to write it.

SIZE = 860, 420  # of the drawing
LEFT, TOP, RIGHT, BOTTOM = 64, 56, 190, 40  # margins; the legend is on the right
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")  # Okabe and Ito's, for all eyes
GRAY = "#b8b8b8"  # unsure
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 36_000)  # seconds, between two lines
LINES = 6  # at most, above the ground line


def svg(day: Day) -> str:
    """Return a drawing of `day`: for each hour a bar as high as the time that faces were seen, made of its labels."""
    title = f"{day.day}: emotions by hour"
    scale = _scale_for(max((part.seconds for part in day.hours.values()), default=0.0))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE[0]} {SIZE[1]}" font-family="sans-serif">',
        f"<title>{title}</title>",
        f'<rect width="{SIZE[0]}" height="{SIZE[1]}" fill="#ffffff"/>',
        _text(LEFT, 26, title, 18, "start", "#111111"),
        _text(LEFT, 44, "time that faces were seen, each face for itself", 12, "start", "#555555"),
        *_lines(scale),
        *_bars(day, scale),
        *_legend(day),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def check_plot(path: Path) -> None:
    """Raise UsageError where a drawing cannot be written to `path` because of its name."""
    if path.suffix.lower() != ".svg":
        raise UsageError(f"--plot {path}: found {path.suffix or 'no ending'!r}, expected .svg, which any browser shows")


class Scale(NamedTuple):
    """Of the time that a bar stands for."""

    step: int  # seconds, from one line to the next
    lines: int  # above the ground

    def height(self, seconds: float) -> float:
        """Return how high `seconds` are in the drawing."""
        return seconds / (self.step * self.lines) * (SIZE[1] - TOP - BOTTOM)


def _scale_for(longest: float) -> Scale:
    """Return the scale for bars of up to `longest` seconds."""
    step = next((step for step in STEPS if step * LINES >= longest), STEPS[-1] * math.ceil(longest / STEPS[-1] / LINES))
    return Scale(step, max(1, math.ceil(longest / step)))


def _lines(scale: Scale) -> Iterator[str]:
    for number in range(scale.lines + 1):
        y = SIZE[1] - BOTTOM - scale.height(number * scale.step)
        color = "#dddddd" if number else "#555555"
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{SIZE[0] - RIGHT}" y2="{y:.1f}" stroke="{color}"/>'
        yield _text(LEFT - 8, y + 4, _short(number * scale.step) if number else "0", 12, "end", "#555555")


def _short(seconds: int) -> str:
    """Return a round length of time, as it stands at the scale."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds % (length / 2) == 0 and seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds} s"


def _bars(day: Day, scale: Scale) -> Iterator[str]:
    colors = _colors(day.labels())
    first, last = (min(day.hours), max(day.hours)) if day.hours else (0, 23)
    step = (SIZE[0] - LEFT - RIGHT) / (last - first + 1)
    width = min(step * 0.72, 60)
    for hour in range(first, last + 1):
        middle, ground = LEFT + (hour - first + 0.5) * step, float(SIZE[1] - BOTTOM)
        yield _text(middle, ground + 18, f"{hour:02d}", 12, "middle", "#555555")
        part = day.hours.get(hour, Part())
        for label, color in colors.items():
            if seconds := part.labels[label]:
                high = scale.height(seconds)
                ground -= high
                told = escape(f"{hour:02d}:00, {_name(label)}: {lasting(seconds)} ({_percent(seconds / part.seconds)})")
                place = f'x="{middle - width / 2:.1f}" y="{ground:.2f}" width="{width:.1f}" height="{high:.2f}"'
                yield f'<rect {place} fill="{color}"><title>{told}</title></rect>'


def _legend(day: Day) -> Iterator[str]:
    """Yield the labels with their share of the day, in the order of the bars, the uppermost first."""
    shares = dict(day.whole.shares())
    row = min(22.0, (SIZE[1] - TOP - BOTTOM) / max(1, len(shares)))
    shown = [(label, color) for label, color in _colors(day.labels()).items() if label in shares]
    for number, (label, color) in enumerate(reversed(shown)):
        x, y = SIZE[0] - RIGHT + 20, TOP + number * row
        yield f'<rect x="{x}" y="{y:.1f}" width="{row * 0.6:.1f}" height="{row * 0.6:.1f}" fill="{color}"/>'
        words = _padded(_name(label), min(LABEL, _columns(_name(label))))
        yield _text(x + 20, y + row * 0.5, f"{words} {_percent(shares[label])}", min(13, row * 0.7), "start", "#111111")


def _colors(labels: Sequence[str | None]) -> dict[str | None, str]:
    """Return a color for each of any number of labels."""
    more = [f"hsl({index * 137.5 % 360:.0f},55%,55%)" for index in range(len(labels))]  # 137.5: the golden angle
    colors = iter([*COLORS, *more])
    return {label: GRAY if label is None else next(colors) for label in labels}


def _text(x: float, y: float, words: str, size: float, anchor: str, color: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" text-anchor="{anchor}" fill="{color}"'
    return f"<text {place}>{escape(words)}</text>"
