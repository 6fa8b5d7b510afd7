"""The log of the day: one CSV file for each day, which the sink csv writes and `edge summary` reads.

    begin,seconds,run,face,label,confidence
    2026-11-21T14:03:20.021+01:00,9.967,5f21c0,3,calm,0.873

A line is a span: one face that showed one label. `begin` is local time with its offset from UTC, `run` tells the faces
of one run from those of another, as each begins to count at 1; no label: unsure. The files are CSV because everybody
can read them, a damaged one loses single lines, and one write of whole lines is all that is asked of an SD card.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

HEADER = "begin,seconds,run,face,label,confidence\n"
MODE = 0o666  # less the umask, as of any file
_NAME = re.compile(r"emotions-(\d{4}-\d{2}-\d{2})\.csv", re.ASCII)


class Span(NamedTuple):
    """One face showing one label."""

    begin: datetime  # local time, with its offset
    seconds: float  # 0 or more; 0: seen in one frame alone
    run: str  # each run has another one
    face: int  # from 1; the same face of a run keeps it
    label: str | None  # None: unsure
    confidence: float  # mean of the frames, of the label, or of the strongest one where unsure, 0 to 1


def file_of(folder: Path, day: date) -> Path:
    """Return the path of the log of `day`."""
    return folder / f"emotions-{day.isoformat()}.csv"


def days(folder: Path) -> list[date]:
    """Return the days that have a log in `folder`, the first one first; only files of exactly such a name count."""
    found = []
    for path in folder.iterdir():
        name = _NAME.fullmatch(path.name)
        if name and path.is_file():
            with suppress(ValueError):  # the 31st of February
                found.append(date.fromisoformat(name[1]))
    return sorted(found)


def to_line(span: Span) -> str:
    """Return `span` as a line, with its end; a line break within a label becomes a space."""
    text = io.StringIO()
    label = re.sub(r"[\r\n]", " ", span.label or "")
    begin = span.begin.isoformat(timespec="milliseconds")
    fields = (begin, f"{span.seconds:.3f}", span.run, span.face, label, f"{span.confidence:.3f}")
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


def from_line(line: str) -> Span:
    """Return the span of `line`. Raises ValueError where it is none, as of a line that a power cut has corrupted."""
    try:
        (fields,) = csv.reader([line], strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    begin, seconds, run, face, label, confidence = fields
    span = Span(datetime.fromisoformat(begin), float(seconds), run, int(face), label or None, float(confidence))
    # Not a number is in no range.
    if span.begin.tzinfo is None or not (0 <= span.seconds <= 86_400 and 0 <= span.confidence <= 1):
        raise ValueError(f"{line!r} is out of range")
    return span


def append(path: Path, spans: Iterable[Span]) -> None:
    """Add `spans` to the file at `path`, made if it is not there; all of it is on the disk when this returns.

    What a power cut has left of a last line is cut off. Where the disk is full nothing is added. Raises OSError.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # another run may write to the same folder
        size = _mended(file)
        text = "".join([*([] if size else [HEADER]), *map(to_line, spans)])
        _write(file, text.encode(), size)
        os.fsync(file)
    finally:
        os.close(file)
    if not size:
        _sync_names(path.parent)


def _mended(file: int) -> int:
    """Return the bytes of `file`, once its last line is a whole one."""
    size = os.fstat(file).st_size
    if not size or os.pread(file, 1, size - 1) == b"\n":
        return size
    content = os.pread(file, size, 0)
    whole = content.rfind(b"\n") + 1
    try:
        from_line(content[whole:].decode())
    except ValueError:
        os.ftruncate(file, whole)
        return whole
    return size + os.write(file, b"\n")  # an editor may leave it out


def _write(file: int, content: bytes, size: int) -> None:
    """Write all of `content` to the end of `file`, which has `size` bytes, or nothing."""
    written = 0
    try:
        while written < len(content):
            written += os.write(file, content[written:])
    except OSError:
        os.ftruncate(file, size)
        raise


def _sync_names(folder: Path) -> None:
    """Have the names in `folder` on the disk, too, of which fsync(2) of a file says nothing."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
