"""How many threads the model and face detection should have on a machine, one rule for all: see `useful_threads`."""

from __future__ import annotations

from edge.diagnostics.check import Check

DEFAULT_THREADS = 1


def useful_threads(cores: int) -> int:
    """Return the most threads of the model and of face detection that are useful with `cores` processor cores.

    The default is one everywhere, as it takes the least processor time for a face (benchmarks/threads.py): two take a
    third more, four three quarters more. More than one are for a board where inferences wait for time, and then at most
    half of its cores: 1 of 1, 1 of 2, 2 of 4. The camera's thread, the sinks and the system need the others, and each
    step of a model waits for its slowest thread: where another program has one of the cores, two threads on two cores
    were many times slower than one.
    """
    return max(DEFAULT_THREADS, cores // 2)


def check_threads(threads: int, cores: int | None) -> Check:
    """Check the setting `threads` on a machine with `cores` processor cores; None: unknown."""
    if cores is None:
        return Check("threads", "unavailable", "the number of processor cores is unknown")
    useful = useful_threads(cores)
    message = f"{threads} of the model and of face detection, on {cores} core{'s' * (cores != 1)}"
    if threads > useful:
        advice = f"use --threads {useful}: the camera, the sinks and the system need processor time, too"
        return Check("threads", "warning", f"{message}, where at most {useful} is useful", advice)
    if threads < useful:
        message += f"; up to {useful} are useful if 'edge benchmark' says that inferences wait"
    return Check("threads", "ok", message)
