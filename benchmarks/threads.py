"""Measure what more threads gain on this machine: of the model and of OpenCV, while it is quiet and while it is busy.

usage: .venv/bin/python benchmarks/threads.py     (after scripts/run.sh has made .venv)

The same frames of the synthetic camera, drawn beforehand, with each number of threads in turn, ROUNDS times; then once
more beside a program on every core that only counts. Told are medians of the rounds, of a frame of the loop and of a
face of the classifier alone: ms of the clock on the wall, and ms of all cores that the process took for it. Two threads
that end sooner on a machine with idle cores may take more in all: that is heat, and a busy machine has no idle ones.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice

from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.diagnostics.benchmark import gray_face
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker

SOURCE, FRAMES, FACES = "synthetic:fast,faces=2,size=1280x720", 120, 200
ROUNDS = 5
THREADS = (1, 2, 4)


def main() -> None:
    frames = list(islice(cameras.frames(SOURCE), FRAMES))
    models = {threads: Classifier(shipped_model(), threads) for threads in THREADS}

    def loop(threads: int) -> None:
        model = models[threads]
        Pipeline(Tracker(HaarDetector(threads=threads)), model, TemporalSmoother(), model.card.labels).run(iter(frames))

    def alone(threads: int) -> None:
        model = models[threads]
        face = gray_face(model.card.input_size)
        for _ in range(FACES):
            model.classify(face)

    print(f"{f'{os.cpu_count()} cores':17} {'threads':>7} {'a frame: wall, cores':>22} {'a face: wall, cores':>22}")
    for name, busy in (("otherwise quiet", 0), ("every core busy", os.cpu_count() or 1)):
        with others(busy):
            frame, face = in_turn(loop, FRAMES), in_turn(alone, FACES)
        for threads in THREADS:
            wall, cores = zip(frame[threads], face[threads], strict=True)
            frame_face = f"{wall[0]:13.2f} {cores[0]:8.2f} {wall[1]:13.2f} {cores[1]:8.2f}"
            print(f"{name:17} {threads:7} {frame_face}", flush=True)


def in_turn(work: Callable[[int], object], count: int) -> dict[int, tuple[float, float]]:
    """Return the median ms, on the wall and of all cores, of one of the `count` things of `work`, by threads."""
    taken: dict[int, list[tuple[float, float]]] = {threads: [] for threads in THREADS}
    for _ in range(ROUNDS):
        for threads in THREADS:
            wall, cores = time.perf_counter(), time.process_time()
            work(threads)
            spent = time.perf_counter() - wall, time.process_time() - cores
            taken[threads].append((spent[0] / count * 1000, spent[1] / count * 1000))
    return {threads: (_median(each, 0), _median(each, 1)) for threads, each in taken.items()}


def _median(rounds: list[tuple[float, float]], place: int) -> float:
    return statistics.median(each[place] for each in rounds)


@contextmanager
def others(count: int) -> Iterator[None]:
    """Have so many processes count for the length of the block."""
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        yield


if __name__ == "__main__":
    main()
