"""Measure what more threads of the model and of OpenCV gain, on an idle and on a busy machine.

The same frames of the synthetic camera, drawn beforehand, with each number of threads, interleaved in several rounds;
then once more while other processes keep every core busy. Printed are the medians of the rounds, for a frame of the
loop and for a face of the classifier alone: wall time, and processor time of all cores in ms. Two threads that end
sooner on a machine with idle cores may take more processor time: that is heat, and a busy machine has no idle cores.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.common import make_parser, make_pipeline, synthetic_frames
from edge.config.models import shipped_model
from edge.diagnostics.single_stream import make_face
from edge.inference.classifier import Classifier
from edge.pipeline import run as run_loop

THREADS = (1, 2, 4)
QUERIES = 200  # of the classifier in each round


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("threads", __doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=120)
    options = parser.parse_args(arguments)
    frames = synthetic_frames(options.frames, "faces=2,size=1280x720")
    classifiers = {threads: Classifier(shipped_model(), threads) for threads in THREADS}

    def run_frames(threads: int) -> None:
        run_loop(make_pipeline(classifiers[threads], threads), iter(frames))

    def run_queries(threads: int) -> None:
        face = make_face(classifiers[threads])
        for _ in range(QUERIES):
            classifiers[threads].classify(face)

    cores = os.cpu_count() or 1
    print(f"{f'{cores} cores':10} {'threads':>7} {'frame: wall, cores':>22} {'face: wall, cores':>22}")
    for name, busy_cores in (("idle", 0), ("busy", cores)):
        with busy_processes(busy_cores):
            frame = measure_interleaved(run_frames, options.frames, options.rounds)
            face = measure_interleaved(run_queries, QUERIES, options.rounds)
        for threads in THREADS:
            times = "{:13.2f} {:8.2f} {:13.2f} {:8.2f}".format(*frame[threads], *face[threads])
            print(f"{name:10} {threads:7} {times}", flush=True)


def measure_interleaved(run: Callable[[int], object], count: int, rounds: int) -> dict[int, tuple[float, float]]:
    """Return threads -> median ms, wall and processor time, of one of the `count` items that `run` processes."""
    results: dict[int, list[tuple[float, float]]] = {threads: [] for threads in THREADS}
    for _ in range(rounds):
        for threads in THREADS:
            wall, processor = time.perf_counter(), time.process_time()
            run(threads)
            results[threads].append((time.perf_counter() - wall, time.process_time() - processor))
    medians = {}
    for threads, each in results.items():
        wall, processor = (1000 * statistics.median(column) / count for column in zip(*each, strict=True))
        medians[threads] = wall, processor
    return medians


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run `count` processes that keep a core busy each."""
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        yield


if __name__ == "__main__":
    main()
