"""Memory, threads and age of this process, from /proc/self. What cannot be read is None. One MB is 10^6 bytes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.system.sysfs import ROOT, read_field, read_megabytes, read_text


def resident_mb(root: Path = ROOT) -> float | None:
    """Return the resident memory of this process in MB."""
    return read_megabytes(root / "proc/self/status", "VmRSS")


def peak_resident_mb(root: Path = ROOT) -> float | None:
    """Return the highest resident memory of this process so far in MB."""
    return read_megabytes(root / "proc/self/status", "VmHWM")


def thread_count(root: Path = ROOT) -> int | None:
    """Return the number of threads of this process, including those of the runtime and of OpenCV."""
    count = read_field(root / "proc/self/status", "Threads")
    return int(count) if count and count.isdecimal() else None


def seconds_since_start(root: Path = ROOT) -> float | None:
    """Return the age of this process in seconds, at the kernel's resolution of 0.01 s; see proc_pid_stat(5)."""
    # The second field, the program's name in parentheses, may contain any character. The start time is the 22nd.
    fields_after_name = (read_text(root / "proc/self/stat") or "").rpartition(")")[2].split()
    if sys.platform != "linux" or len(fields_after_name) < 20:
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields_after_name[19]) / os.sysconf("SC_CLK_TCK")


@contextmanager
def memory_limit(more_bytes: int) -> Iterator[None]:
    """Within the block, let this process take at most `more_bytes` of address space more than it has: others fail.

    Where the present size cannot be read, there is no limit.
    """
    size = read_megabytes(ROOT / "proc/self/status", "VmSize")
    if sys.platform == "win32" or size is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = round(size * 1e6) + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit if soft < 0 else min(soft, limit), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
