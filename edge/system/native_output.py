"""Suppresses what native libraries print to the process's standard streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def suppress_native_output(*descriptors: int) -> Iterator[None]:
    """Discard what is written to the file descriptors (1: stdout, 2: stderr) inside the block.

    For calls whose failures raise exceptions: anything else that they print is lost.
    """
    with ExitStack() as stack:
        null_device = stack.enter_context(Path(os.devnull).open("wb"))
        for descriptor in descriptors:
            (sys.stdout if descriptor == 1 else sys.stderr).flush()
            duplicate = os.dup(descriptor)
            stack.callback(os.close, duplicate)
            stack.callback(os.dup2, duplicate, descriptor)
            os.dup2(null_device.fileno(), descriptor)
        yield
