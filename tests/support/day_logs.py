"""Daily logs of the sink daylog, with known segments."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from edge.sinks import daily_log
from edge.sinks.daily_log import Segment

DAY = date(2026, 11, 21)


def at(clock: str) -> datetime:
    """Return the local time `clock` of DAY."""
    return datetime.fromisoformat(f"{DAY} {clock}").astimezone()


def segment(clock: str, seconds: float, label: str | None = "calm", track_id: int = 1, run: str = "a") -> Segment:
    return Segment(at(clock), seconds, run, track_id, label, 0.8)


def write_log(folder: Path, *segments: Segment, day: date = DAY) -> Path:
    """Append `segments` to the log of `day`; return its path."""
    path = daily_log.log_path(folder, day)
    daily_log.append(path, segments)
    return path


def write_busy_day(folder: Path) -> Path:
    """Write the log of DAY with two faces in the morning and one in the afternoon; return its path."""
    return write_log(
        folder,
        segment("09:05:00", 60),
        segment("09:06:00", 30, "cross"),
        segment("09:05:30", 90, None, track_id=2),
        segment("14:59:50", 10, "cross", run="b"),
        segment("15:00:00", 10, "cross", run="b"),
    )
