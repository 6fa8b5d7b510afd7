"""The processor's own counter of retired instructions, by perf_event_open(2). Runs on the emulated board.

QEMU provides the counter where the clock is driven by instructions: PI_VM_COUNT=1.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading

# From linux/perf_event.h: type hardware, event instructions; bits of the flags.
PERF_EVENT_OPEN = 241  # system call number on arm64
HARDWARE, INSTRUCTIONS, ATTRIBUTES_SIZE = 0, 1, 112
TIME_ENABLED, TIME_RUNNING = 1 << 0, 1 << 1  # parts of what is read
INHERIT, EXCLUDE_USER, EXCLUDE_KERNEL, EXCLUDE_HYPERVISOR = 1 << 1, 1 << 4, 1 << 5, 1 << 6


class InstructionCounter:
    """Counts the instructions of the calling thread since it was made. The processor has six counters: make few.

    Args:
        all_threads: also of the threads and processes that it starts from now on, and of theirs.
        kernel: those of the kernel on its behalf (system calls, page faults), instead of its own.
    """

    def __init__(self, *, all_threads: bool = False, kernel: bool = False) -> None:
        flags = EXCLUDE_HYPERVISOR | (EXCLUDE_USER if kernel else EXCLUDE_KERNEL) | (INHERIT if all_threads else 0)
        read_format = TIME_ENABLED | TIME_RUNNING
        attributes = struct.pack("<IIQQQQQ64x", HARDWARE, ATTRIBUTES_SIZE, INSTRUCTIONS, 0, 0, read_format, flags)
        call = ctypes.CDLL(None, use_errno=True).syscall
        self._counter = call(PERF_EVENT_OPEN, attributes, 0, -1, -1, 0)
        if self._counter < 0:
            number = ctypes.get_errno()
            raise SystemExit(
                f"no instruction counter ({os.strerror(number)}); run as root, on a board with PI_VM_COUNT=1"
            )

    def read(self) -> int:
        """Return the instructions so far. Raises SystemExit if the kernel has let others use the counter meanwhile."""
        instructions, enabled, running = struct.unpack("<QQQ", os.read(self._counter, 24))
        if running < enabled:
            raise SystemExit("more instruction counters than the processor has: these figures would be too low")
        return int(instructions)


class ThreadInstructions(threading.local):
    """Reads the instructions of whichever thread calls it: each has a counter of its own, made by its first call."""

    def __init__(self) -> None:
        self.read = InstructionCounter().read
