"""The daily log: one CSV file for each day, which sink daylog writes and `edge summary` reads.

    begin,seconds,run,track_id,label,confidence
    2026-11-21T14:03:20.021+01:00,9.967,5f21c0,3,calm,0.873

A line is a segment: one face that kept one label. `begin` is local time with its offset from UTC. `run` distinguishes
the tracks of different runs, as each run numbers them from 1. An empty label: uncertain. A label that programs for
spreadsheets would take for a formula has a quote before it. Any program reads CSV, damage costs single lines, and one
write of complete lines is all that it asks of an SD card.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import MAXYEAR, date, datetime
from pathlib import Path
from typing import NamedTuple

from edge.sinks.csv_cells import BYTE_ORDER_MARK, split_cells, to_float
from edge.system.file_access import BINARY, NO_FOLLOW, lock_file, read_at, sync_folder
from edge.system.plain_text import escape, from_cell, to_cell

HEADER = "begin,seconds,run,track_id,label,confidence\n"
LOG_FILE_MODE = 0o666  # less the umask, as of any file
MAX_SEGMENT_SECONDS = 86_400  # longer ones are damaged lines
MAX_LINE_CHARACTERS = 1000  # likewise: a label has at most 64
_FILE_NAME = re.compile(r"emotions-(\d{4}-\d{2}-\d{2})\.csv", re.ASCII)


class Segment(NamedTuple):
    """A period in which one face kept one label."""

    begin: datetime  # local time, with its offset from UTC
    seconds: float  # 0: in a single frame
    run: str  # random, a different one for each run
    track_id: int  # from 1, unique within a run
    label: str | None  # None: uncertain
    confidence: float  # mean over the frames, of the label, or of the strongest one if uncertain, 0 to 1


def log_path(folder: Path, day: date) -> Path:
    """Return the path of the log of `day`."""
    return folder / f"emotions-{day.isoformat()}.csv"


def logged_days(folder: Path) -> list[date]:
    """Return the days that have a log in `folder`, the earliest first; files with other names are ignored."""
    days = []
    for path in folder.iterdir():
        name = _FILE_NAME.fullmatch(path.name)
        if name and path.is_file():
            with suppress(ValueError):  # February 31
                days.append(date.fromisoformat(name[1]))
    return sorted(days)


def format_line(segment: Segment) -> str:
    """Return `segment` as a line, with its end."""
    text = io.StringIO()
    label = to_cell(escape(segment.label or ""))
    begin = segment.begin.isoformat(timespec="milliseconds")
    fields = (begin, f"{segment.seconds:.3f}", segment.run, segment.track_id, label, f"{segment.confidence:.3f}")
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


def parse_line(line: str) -> Segment:
    """Return the segment of `line`. Raises ValueError if it is not one, as for a line that a power failure cut."""
    if len(line) > MAX_LINE_CHARACTERS or not line.rstrip("\r\n").isprintable():
        raise ValueError(f"{line[:MAX_LINE_CHARACTERS]!r} is too long, or not printable")
    begin, seconds, run, track_id, cell, confidence = split_cells(line, len(Segment._fields))
    label = from_cell(cell) or None
    segment = Segment(datetime.fromisoformat(begin), to_float(seconds), run, int(track_id), label, to_float(confidence))
    # Written so that NaN is out of range, too.
    in_range = 0 <= segment.seconds <= MAX_SEGMENT_SECONDS and 0 <= segment.confidence <= 1
    if segment.begin.tzinfo is None or not in_range or segment.begin.year == MAXYEAR:
        raise ValueError(f"{line!r} is out of range")
    return segment


def is_header(line: bytes) -> bool:
    """Return whether `line` is the first one of a log, as the sink or a program for spreadsheets has written it."""
    try:
        cells = split_cells(line.removeprefix(BYTE_ORDER_MARK).decode().rstrip("\r"), len(Segment._fields))
    except ValueError:
        return False
    return cells == HEADER.rstrip("\n").split(",")


def append(path: Path, segments: Iterable[Segment]) -> None:
    """Append `segments` to the file at `path`, which is created if missing; all are on the disk when this returns.

    A partial last line, left by a power failure, is removed first. On a full disk nothing is added. Raises OSError,
    also if `path` is a link: somebody else may have placed it.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | NO_FOLLOW | BINARY, LOG_FILE_MODE)
    try:
        lock_file(file, wait=True)  # another run may write to the same folder
        size = _repair(file)
        content = "".join([*([] if size else [HEADER]), *map(format_line, segments)]).encode()
        written = 0
        try:
            while written < len(content):
                written += os.write(file, content[written:])
        except OSError:
            os.ftruncate(file, size)
            raise
        os.fsync(file)
    finally:
        os.close(file)
    if not size:
        sync_folder(path.parent)


def _repair(file: int) -> int:
    """Complete or remove a partial last line of `file`, and return its size in bytes."""
    size = os.fstat(file).st_size
    if not size or read_at(file, 1, size - 1) == b"\n":
        return size
    content = read_at(file, size, 0)
    last_line = content.rfind(b"\n") + 1
    try:
        parse_line(content[last_line:].decode())
    except ValueError:
        os.ftruncate(file, last_line)
        return last_line
    return size + os.write(file, b"\n")  # complete, but for the line break: an editor may omit it
