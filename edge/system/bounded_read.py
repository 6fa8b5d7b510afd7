"""The one way to read a file that a user names or somebody else may have written: never more than a stated size."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

from edge.system.file_access import BINARY, NO_WAIT


def read_at_most(path: Path, limit: int) -> bytes:
    """Return the content of the file at `path`.

    A FIFO without a writer reads as empty instead of waiting for one.

    Raises OSError, with a reason in `strerror`, if it cannot be read, has more than `limit` bytes, or is a device or a
    socket.
    """
    mode = path.stat().st_mode
    # Before it is opened: that alone makes some devices act, such as a watchdog, and a socket gives an odd reason.
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, "a device or a socket, not a file")
    descriptor = os.open(path, os.O_RDONLY | NO_WAIT | BINARY)
    if sys.platform != "win32":
        os.set_blocking(descriptor, True)  # only opening must not wait
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"more than {limit:,} bytes")
    return content
