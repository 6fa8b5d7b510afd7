"""Measure what more threads gain on this machine: of the model and of OpenCV, while it is quiet and while it is busy.

usage: .venv/bin/python scripts/threads.py     (after scripts/run.sh has made .venv)

The same frames of the synthetic camera, drawn beforehand, with each number of threads in turn, ROUNDS times; then once
more beside a program on every core that only counts. Told is the median of the rounds, in ms of the clock on the wall a
frame of the loop and a face of the classifier alone.
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

from edge import cameras
from edge.benchmark import grey_face
from edge.card import shipped_model
from edge.classifier import Classifier
from edge.detector import Detector
from edge.pipeline import Pipeline
from edge.steady import Steadier
from edge.tracker import Tracker

SOURCE, FRAMES, FACES = "synthetic:fast,faces=2,size=1280x720", 120, 200
ROUNDS = 5
THREADS = (1, 2, 4)


def main() -> None:
    frames = list(islice(cameras.frames(SOURCE), FRAMES))
    models = {threads: Classifier(shipped_model(), threads) for threads in THREADS}

    def loop(threads: int) -> None:
        model = models[threads]
        Pipeline(Tracker(Detector(threads=threads)), model, Steadier(), model.card.labels).run(iter(frames))

    def alone(threads: int) -> None:
        model = models[threads]
        face = grey_face(model.card.input_size)
        for _ in range(FACES):
            model.scores(face)

    print(f"{os.cpu_count()} cores{'':10} {'threads':>7} {'ms a frame':>10} {'ms a face':>10}")
    for name, busy in (("otherwise quiet", 0), ("every core busy", os.cpu_count() or 1)):
        with others(busy):
            frame, face = in_turn(loop, FRAMES), in_turn(alone, FACES)
        for threads in THREADS:
            print(f"{name:17} {threads:7} {frame[threads]:10.2f} {face[threads]:10.2f}", flush=True)


def in_turn(work: Callable[[int], object], count: int) -> dict[int, float]:
    """Return the median milliseconds of one of the `count` things that `work` does, by the number of threads."""
    taken: dict[int, list[float]] = {threads: [] for threads in THREADS}
    for _ in range(ROUNDS):
        for threads in THREADS:
            start = time.perf_counter()
            work(threads)
            taken[threads].append((time.perf_counter() - start) / count * 1000)
    return {threads: statistics.median(each) for threads, each in taken.items()}


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
