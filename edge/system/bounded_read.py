"""The one way to read a file that somebody else may have written: never more than a stated number of bytes."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from edge.system.file_access import BINARY, NO_WAIT


def read_at_most(path: Path, limit: int) -> bytes:
    """Return the content of the file at `path`.

    A FIFO without a writer reads as empty instead of waiting for one. A device that never ends is read up to `limit`.

    Raises OSError, with a reason in `strerror`, if it cannot be read or has more than `limit` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | NO_WAIT | BINARY)
    if sys.platform != "win32":
        os.set_blocking(descriptor, True)  # only opening must not wait
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"more than {limit:,} bytes")
    return content
