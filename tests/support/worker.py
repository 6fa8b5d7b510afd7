"""A child process for tests of edge.system.worker_process: a request is the name of what it does."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from edge.system import worker_process


def main() -> None:
    worker_process.CPU_SECONDS = 1
    if "broken" in sys.argv:
        sys.exit(3)
    worker_process.serve(work)


def work(content: bytes) -> bytes:
    """Do what `content` says, and return what came of it."""
    match content:
        case b"pid":
            return str(os.getpid()).encode()
        case b"allocate":
            try:
                bytearray(2 * worker_process.MEMORY_BYTES)
            except MemoryError:
                return b"MemoryError"
        case b"write":
            try:
                Path(sys.argv[1]).write_bytes(b"x")
            except OSError as error:
                return os.strerror(error.errno or 0).encode()
        case b"print":
            for descriptor in (1, 2):
                os.write(descriptor, b"libpng warning\n")
        case b"core":
            return str(resource.getrlimit(resource.RLIMIT_CORE)[0]).encode()
        case b"loop":
            if "STARTED" in os.environ:
                Path(os.environ["STARTED"]).touch()
            while True:
                pass
        case b"crash":
            os.abort()
    return content
