"""The summary of a day that the sink daylog has logged (edge/sinks/daily_log.py), as values and as JSON.

summary_text.py shows it on a terminal, summary_plot.py draws it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from edge.errors import FileError, SourceNotFoundError, UsageError
from edge.sinks import daily_log
from edge.sinks.daily_log import Segment
from edge.system.bounded_read import read_at_most
from edge.system.paths import display_name

EXAMPLE_DAY = date(2026, 11, 21)  # in messages
MAX_LOG_BYTES = 100_000_000  # of a day; a face that comes, goes or changes adds 0.1 kB
DAYS_SUGGESTED = 3  # where the requested one is missing


@dataclass
class Totals:
    """What was logged in a day or an hour."""

    faces: set[tuple[str, int]] = field(default_factory=set)  # run and track id
    seconds: float = 0.0  # for which faces were visible, summed over the faces
    label_seconds: Counter[str | None] = field(default_factory=Counter)  # label, None: uncertain -> seconds

    def add(self, segment: Segment) -> None:
        self.faces.add((segment.run, segment.track_id))
        self.seconds += segment.seconds
        self.label_seconds[segment.label] += segment.seconds  # type: ignore[assignment] # Counter's stubs have only int

    def fractions(self) -> list[tuple[str | None, float]]:
        """Return the labels and the fractions of the time that they had, 0 to 1, the largest first."""
        return [(label, seconds / self.seconds) for label, seconds in self.label_seconds.most_common() if seconds]


@dataclass
class DaySummary:
    """The log of one day, summed up."""

    day: date
    path: Path
    totals: Totals = field(default_factory=Totals)
    hours: dict[int, Totals] = field(default_factory=dict)  # hour of the local time, 0 to 23, with at least one face
    begin: datetime | None = None  # local time at which the first face appeared
    end: datetime | None = None  # local time at which the last face disappeared
    damaged_lines: list[int] = field(default_factory=list)  # numbers, from 1

    def add(self, segment: Segment) -> None:
        """Count `segment`. The log splits segments at full hours."""
        end = segment.begin + timedelta(seconds=segment.seconds)
        self.begin = min(self.begin or segment.begin, segment.begin)
        self.end = max(self.end or end, end)
        self.totals.add(segment)
        self.hours.setdefault(segment.begin.hour, Totals()).add(segment)

    def labels(self) -> list[str | None]:
        """Return the labels of the day in alphabetical order, None (uncertain) last."""
        return sorted(self.totals.label_seconds, key=lambda label: (label is None, label or ""))


def read(folder: Path, requested: str | None) -> DaySummary:
    """Return the summary of one day of the log in `folder`.

    Args:
        requested: YYYY-MM-DD; None: the last day that was logged.

    Raises:
        SourceNotFoundError: the folder or the day does not exist; the message names the days that do.
        UsageError: `requested` is not a date. FileError: the file cannot be read.
    """
    day = _select_day(folder, requested)
    summary = DaySummary(day, daily_log.log_path(folder, day))
    try:
        lines = read_at_most(summary.path, MAX_LOG_BYTES).split(b"\n")
    except OSError as error:
        raise FileError(f"{summary.path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        try:
            if line:
                summary.add(daily_log.parse_line(line.decode()))
        except ValueError:
            if not daily_log.is_header(line):
                summary.damaged_lines.append(number)
    return summary


def _select_day(folder: Path, requested: str | None) -> date:
    try:
        day = date.fromisoformat(requested) if requested else None
    except ValueError:
        raise UsageError(f"--date is {requested!r}, expected a date such as {EXAMPLE_DAY}") from None
    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder}: no such folder; name the one that the run's sink daylog:FOLDER writes to")
    logged = daily_log.logged_days(folder)
    if not logged:
        example = daily_log.log_path(Path(), EXAMPLE_DAY).name
        raise SourceNotFoundError(f"{folder}: no daily logs found, expected files such as {example}")
    if day and day not in logged:
        nearest = sorted(sorted(logged, key=lambda each: abs(each - day))[:DAYS_SUGGESTED])
        names = ", ".join(map(str, nearest))
        raise SourceNotFoundError(f"{folder}: no log of {day} found; the nearest of {len(logged)} logged days: {names}")
    return day or logged[-1]


def to_dict(summary: DaySummary) -> dict[str, Any]:
    """Return plain values; times in seconds."""
    return {
        "date": summary.day.isoformat(),
        "file": display_name(summary.path),
        "begin": summary.begin and summary.begin.isoformat(timespec="seconds"),
        "end": summary.end and summary.end.isoformat(timespec="seconds"),
        **_totals_to_dict(summary.totals),
        "hours": [{"hour": hour, **_totals_to_dict(totals)} for hour, totals in sorted(summary.hours.items())],
        "damaged_lines": summary.damaged_lines,
    }


def _totals_to_dict(totals: Totals) -> dict[str, Any]:
    labels = {label: round(seconds, 3) for label, seconds in totals.label_seconds.most_common() if label is not None}
    return {
        "faces": len(totals.faces),
        "seconds": round(totals.seconds, 3),
        "label_seconds": labels,
        "uncertain_seconds": round(float(totals.label_seconds[None]), 3),
    }
