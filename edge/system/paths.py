"""The door for paths and file names from outside: a file name may hold any bytes except a slash and a zero byte."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from edge.errors import UsageError
from edge.system.plain_text import escape

MAX_PATH_BYTES, MAX_NAME_BYTES = 4095, 255  # of Linux: PATH_MAX with the zero byte at its end, NAME_MAX
MAX_FOLDERS = 200  # in each other; Python makes missing ones by recursion
QUOTED_CHARACTERS = 60  # of a path that is too long


def expand_path(text: str | Path) -> Path:
    """Return the path that a user wrote, with `~` expanded if it names a home folder.

    A name such as `~tmp.jpg`, which begins with `~` but names no user, is left as it is. Raises UsageError for an empty
    text, such as an unset variable of a shell, which would be the current folder; for a zero byte, which no path can
    hold; and for one that is longer than the system's limits.
    """
    if not str(text):
        raise UsageError("a path is empty; name the current folder '.'")
    if "\0" in str(text):
        raise UsageError(f"{str(text)[:QUOTED_CHARACTERS]!r} holds a zero byte, expected a path")
    parts = PurePath(text).parts
    longest = max((len(os.fsencode(part)) for part in parts), default=0)
    if longest > MAX_NAME_BYTES or len(os.fsencode(text)) > MAX_PATH_BYTES or len(parts) > MAX_FOLDERS:
        raise UsageError(
            f"{display_name(str(text)[:QUOTED_CHARACTERS])}...: too long for a path, which has at most "
            f"{MAX_PATH_BYTES} bytes, {MAX_FOLDERS} folders, and {MAX_NAME_BYTES} bytes in each name"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def file_problem(path: Path) -> str:
    """Return why `path` is no file to read, such as "no such file"; empty if it is one. It may still be unreadable."""
    try:
        return "" if path.is_file() else "not a regular file" if path.exists() else "no such file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def display_name(path: Path | str) -> str:
    r"""Return a name for messages and results: what is not printable text in UTF-8 is escaped, as in `caf\xe9.jpg`."""
    return escape(os.fsencode(path).decode(errors="backslashreplace"))


def native_name(path: Path) -> str:
    """Return the name by which a native library opens the file at `path`.

    It is absolute: FFmpeg takes `12:30:00.mp4` for a protocol. Raises UsageError if the path is not UTF-8, with which
    OpenCV crashes.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{display_name(path)}: the name is not UTF-8; rename the file or its folder") from None
    return name
