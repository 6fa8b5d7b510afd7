"""The door for files of lines that a sink appends to: only complete lines, and only in a file of this sink.

A partial last line, left by a power failure or a killed run, is completed or removed before the file is continued.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edge.errors import UsageError
from edge.system.file_access import BINARY, NO_WAIT, read_at

LINE_FILE_MODE = 0o666  # less the umask, as of any file
MAX_LINE_BYTES = 10_000_000  # a face takes 400


class LineFormat(NamedTuple):
    """What the lines of a sink look like, without their end."""

    is_first: Callable[[bytes], bool]  # whether a file of this sink begins with this line
    is_line: Callable[[bytes], bool]  # whether this is a complete line
    may_begin: Callable[[bytes], bool]  # whether this may be a part of the first line


def open_lines(name: str, path: Path, line_format: LineFormat, *, replace: bool) -> int:
    """Return a descriptor at the end of the file at `path`, which holds only complete lines of the sink `name`.

    Args:
        replace: begin the file anew. A device is opened as it is.

    Raises OSError; UsageError if the file has other content.
    """
    if path.is_socket() or path.is_fifo():  # the sink jsonl opens a FIFO itself: opening it waits for a reader
        raise OSError(errno.EINVAL, "a FIFO or a socket, not a file")
    if path.exists() and not path.is_file():
        return os.open(path, os.O_WRONLY | os.O_APPEND | BINARY)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | NO_WAIT | BINARY
    file = os.open(path, flags, LINE_FILE_MODE)
    try:
        if replace:
            os.ftruncate(file, 0)
        elif not complete_last_line(file, line_format):
            raise UsageError(
                f"{name}: the file exists, and was not written by this sink, or was saved again by another program; "
                "name another file, or replace it by --overwrite"
            )
    except BaseException:
        os.close(file)
        raise
    return file


def complete_last_line(file: int, line_format: LineFormat) -> bool:
    """Complete or remove a partial last line of `file`; return False, and change nothing, if it has other content.

    Its first and its last complete line tell which content it has.
    """
    size = os.fstat(file).st_size
    head = read_at(file, MAX_LINE_BYTES, 0)
    begin = max(0, size - MAX_LINE_BYTES)
    *lines, rest = read_at(file, MAX_LINE_BYTES, begin).split(b"\n")
    if begin:
        lines = lines[1:]  # the first one begins before what was read
    if b"\n" not in head:
        if size and not line_format.may_begin(head):
            return False
    elif not line_format.is_first(head[: head.index(b"\n")]) or (
        head.index(b"\n") + 1 + len(rest) < size and not (lines and line_format.is_line(lines[-1]))
    ):
        return False
    is_complete = line_format.is_line if b"\n" in head else line_format.is_first
    if rest and is_complete(rest):
        os.write(file, b"\n")
    elif rest:
        os.ftruncate(file, size - len(rest))
    return True
