"""Keeps C++ libraries from printing over our own lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def suppress_native_output(*streams: int) -> Iterator[None]:
    """Send what is written to the file descriptors `streams` (2: stderr) to nowhere for the length of the block.

    Only for calls whose failures come as exceptions: what they print besides is lost.
    """
    with ExitStack() as stack:
        nowhere = stack.enter_context(Path(os.devnull).open("wb"))
        for stream in streams:
            (sys.stdout if stream == 1 else sys.stderr).flush()
            kept = os.dup(stream)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, stream)
            os.dup2(nowhere.fileno(), stream)
        yield
