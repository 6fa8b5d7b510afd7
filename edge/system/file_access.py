"""What opening, locking and reading files takes on each system: Linux, macOS and Windows.

Windows knows neither FIFOs in folders nor links that every user may make; it ends lines by two characters unless a file
is opened as binary; and its locks keep others from the bytes themselves.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    NO_FOLLOW, NO_WAIT, BINARY = 0, 0, os.O_BINARY
else:
    import fcntl

    NO_FOLLOW, NO_WAIT, BINARY = os.O_NOFOLLOW, os.O_NONBLOCK, 0

LOCKED_BYTE = 2**31 - 2  # the one that is locked on Windows: beyond what a log or an empty lock file holds


def lock_file(descriptor: int, *, wait: bool) -> None:
    """Lock the file for this process until the descriptor is closed; on Windows it is then at its begin.

    Args:
        wait: for another process that holds the lock, on Windows at most ten seconds.

    Raises OSError if another process holds the lock, or the file system has no locks.
    """
    if sys.platform == "win32":
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Return at most `size` bytes of the file from `offset` on, and leave the descriptor after them."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def make_folder(folder: Path) -> bool:
    """Make `folder`, and those above it, and return whether it was missing.

    Raises OSError; NotADirectoryError if there is a file in place of a folder, for which Python says "File exists".
    """
    is_missing = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
    return is_missing


def sync_folder(folder: Path) -> None:
    """Write the names of new files in `folder` to the disk, which fsync(2) of the files does not cover."""
    if sys.platform != "win32":  # which opens no folder, and keeps a journal of names
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
