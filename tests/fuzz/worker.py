"""Tries inputs one after the other in a process of its own, and reports each outcome as a line of JSON on stdout.

    python -m tests.fuzz.worker DOOR SEED FIRST_NUMBER

A crash ends this process only. An input that takes more than CPU_SECONDS of processor time ends it by SIGPROF.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from itertools import count
from pathlib import Path

from edge.system import process
from tests.fuzz.door import Door, find
from tests.fuzz.mutation import make_input

CPU_SECONDS = 5.0  # for one input
MAX_GROWTH_MB = 200.0  # of the process's memory, beyond what it had after the seeds
MAX_VIRTUAL_BYTES = 8 << 30  # keeps an input that allocates without bound from stopping the machine
MESSAGE_CHARACTERS = 100  # of an unexpected error, in its outcome
ACCEPTED, REFUSED = "accepted", "refused"


def main() -> None:
    name, seed, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the program prints does not mix with the reports
    resource.setrlimit(resource.RLIMIT_AS, (MAX_VIRTUAL_BYTES, MAX_VIRTUAL_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    door = find(name)
    seeds = door.seeds()
    for content in seeds:
        try_input(door, content)  # libraries load and caches fill before the memory is measured
    base_mb = process.resident_mb() or 0.0
    for number in count(first):
        content = make_input(door, seeds, seed, number)
        _reset_peak_memory()
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        outcome = try_input(door, content)
        signal.setitimer(signal.ITIMER_PROF, 0)
        growth_mb = (process.peak_resident_mb() or 0.0) - base_mb
        if growth_mb > MAX_GROWTH_MB and outcome in (ACCEPTED, REFUSED):
            outcome = f"memory grew by more than {MAX_GROWTH_MB:g} MB"
        line = {"number": number, "outcome": outcome, "seconds": round(time.process_time() - start, 4)}
        report.write(f"{json.dumps(line | {'growth_mb': round(growth_mb, 1)})}\n")
        report.flush()


def try_input(door: Door, content: bytes) -> str:
    """Return ACCEPTED, REFUSED, or what went wrong."""
    try:
        door.receive(content)
    except door.refusals:
        return REFUSED
    except BaseException as error:  # noqa: BLE001 (any other exception is a finding)
        traceback.print_exc()
        own = [each for each in traceback.extract_tb(error.__traceback__) if "/tests/fuzz/worker" not in each.filename]
        place = f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
        return f"{type(error).__name__}{place}: {str(error)[:MESSAGE_CHARACTERS]!a}"
    return ACCEPTED


def _reset_peak_memory() -> None:
    """Reset VmHWM of this process to its present memory; see proc_pid_clear_refs(5)."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
