"""Writes files atomically: to a partial file in the same folder, which then replaces the old file.

A partial file has an unpredictable name, and is created without following a link: in a shared folder nobody can place
one in its way. It is locked as long as it is written, so that the next process knows which partial files were left by a
process that was killed, and removes them.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.errors import EmotionEdgeError, FileError
from edge.system.file_access import BINARY, NO_FOLLOW, NO_WAIT, lock_file, make_folder

FILE_MODE = 0o666  # less the umask, as of any file
_PARTIAL_NAME = re.compile(r"\.part\.[0-9a-f]{8}\..+", re.DOTALL)
_cleaned: set[Path] = set()  # folders from which this process has removed what was left


class PartialFile:
    """A new, empty file beside `target`, with the same suffix. Close it by `replace` or `discard`.

    Attributes:
        path: of the new file.
        target: the path that `replace` gives it.

    Raises OSError if it cannot be created, or the target is no regular file: a device or a folder is not replaced, nor
    is a link to one, such as /dev/stdout. Missing folders are created.
    """

    def __init__(self, target: Path) -> None:
        if target.exists() and not target.is_file():
            raise OSError(errno.EINVAL, "not a regular file; name a file")
        self.target = target
        make_folder(target.parent)
        remove_left_files(target.parent)
        self.path = target.with_name(f".part.{secrets.token_hex(4)}.{target.name}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY
        self._descriptor = os.open(self.path, flags, FILE_MODE)
        with suppress(OSError):  # a file system without locks: nothing is removed there, either
            lock_file(self._descriptor, wait=False)

    def replace(self) -> None:
        """Give the file the name of the target, in place of an earlier file. Raises OSError."""
        if sys.platform == "win32":  # which renames no open file
            self._close()
        self.path.replace(self.target)
        self._close()

    def discard(self) -> None:
        """Remove the file, if it has not replaced the target."""
        if sys.platform == "win32":
            self._close()
        with suppress(OSError):
            self.path.unlink()
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def remove_left_files(folder: Path) -> None:
    """Remove this user's partial files in `folder` that no process writes; only once in each process."""
    folder = folder.absolute()
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    try:
        left = [path for path in folder.iterdir() if _PARTIAL_NAME.fullmatch(path.name)]
    except OSError:  # a folder that may be written but not listed
        return
    for path in left:
        with suppress(OSError):  # it is locked, not a file, or of somebody else
            if sys.platform == "win32":
                path.unlink()  # which fails while a process has it open
                continue
            descriptor = os.open(path, os.O_RDONLY | NO_FOLLOW | NO_WAIT)
            try:
                lock_file(descriptor, wait=False)
                if os.fstat(descriptor).st_uid == os.geteuid():
                    path.unlink()
            finally:
                os.close(descriptor)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield the path of a partial file with the suffix of `path`; after the block it replaces the file at `path`.

    After an error, or if the process is killed, `path` is unchanged. Raises FileError if it cannot be written.
    """
    partial: PartialFile | None = None
    try:
        partial = PartialFile(path)
        yield partial.path
        partial.replace()
    except EmotionEdgeError:
        raise
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if partial is not None:
            partial.discard()


def atomic_write(path: Path, content: bytes) -> None:
    """Replace the file at `path` by one with `content`, or leave it unchanged. Raises FileError."""
    with atomic_path(path) as partial:
        partial.write_bytes(content)


def check_writable(path: Path) -> None:
    """Raise FileError unless a file can be written to `path`: before the work whose result it is to hold."""
    try:
        PartialFile(path).discard()
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror or error})") from error
