"""Measure what outputs cost the loop of a camera, and what it takes to load them.

usage: .venv/bin/python benchmarks/sink_cost.py [SINK...]     (after scripts/run.sh has made .venv)

Each sink in turn with none, several rounds: frames of the synthetic camera, drawn beforehand, 30 a second in a live
run. All in ms a frame:
    loop    the time from a frame to the end of the sinks' `write`, and its ratio to that without a sink in the same
            round: on a busy machine much of it is other people's
    cpu     the processor's time of the loop's thread, and its ratio likewise
    write   the sink's part of `loop`, median
    thread  the processor's time of everything but the loop: the sink's own threads
    to load what naming it adds to a fresh process, in ms and in modules. One that is not named adds nothing, as its
            module is not loaded, which tests/test_architecture.py holds
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.sinks import registry as sinks
from edge.tracking.tracker import Tracker
from edge.types import Frame, RunInfo

FPS = 30
FRAMES = 120
ROUNDS = 5
LOADS = 5
LOADED = """
import sys, time
from edge import cli
from edge.sinks import registry as sinks
from edge.inference.classifier import Classifier
start, before = time.perf_counter(), len(sys.modules)
sinks.make(sys.argv[1])
print(time.perf_counter() - start, len(sys.modules) - before)
"""


class Cost(NamedTuple):
    """Of one run, in seconds a frame."""

    loop: float  # median
    cpu: float  # mean
    write: float  # median
    thread: float  # mean


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, stdout_for_us_alone() as out:
        specs = sys.argv[1:] or ["console", f"jsonl:{folder}/out", f"csv:{folder}/log", f"video:{folder}/out.mp4"]
        frames = list(islice(cameras.frames("synthetic:fast"), FRAMES))
        rounds: dict[str, list[tuple[Cost, Cost]]] = {spec: [] for spec in specs}
        for _ in range(ROUNDS):
            for spec in specs:
                rounds[spec].append((run(frames, []), run(frames, [spec])))
        print(HEAD, file=out)
        for spec, pairs in rounds.items():
            print(line(spec, pairs), file=out)


HEAD = (
    f"{'sink':10} {'loop':>6} {'ratio':>6}  {'cpu':>6} {'ratio':>6}  {'write':>7} {'thread':>7}  {'to load':>8} modules"
)


def line(spec: str, pairs: Sequence[tuple[Cost, Cost]]) -> str:
    """Return the table's line of a sink; `pairs` are runs without and with it."""
    with_it = Cost(*map(statistics.median, zip(*(cost for _, cost in pairs), strict=True)))
    loop = statistics.median(cost.loop / alone.loop for alone, cost in pairs)
    cpu = statistics.median(cost.cpu / alone.cpu for alone, cost in pairs)
    thread = statistics.median(cost.thread - alone.thread for alone, cost in pairs)
    load, modules = to_load(spec)
    name = Path(spec.partition(":")[0]).stem[:10]
    times = f"{1000 * with_it.loop:6.2f} {loop:6.2f}  {1000 * with_it.cpu:6.2f} {cpu:6.2f}"
    return f"{name:10} {times}  {1000 * with_it.write:7.4f} {1000 * thread:7.2f}  {1000 * load:8.1f} {modules:7d}"


def run(frames: Sequence[Frame], specs: Sequence[str]) -> Cost:
    """Run the loop on `frames` with the sinks of `specs`."""
    classifier = Classifier(shipped_model())
    pipeline = Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(), classifier.card.labels)
    about = RunInfo(live=True, labels=classifier.card.labels)
    loops, writes = [], []
    whole, own = time.process_time(), time.thread_time()
    with ExitStack() as stack:
        opened = [stack.enter_context(sinks.make(spec, about)) for spec in specs]
        due = time.perf_counter()
        for frame in frames:
            due += 1 / FPS
            time.sleep(max(0.0, due - time.perf_counter()))
            begun = time.perf_counter()
            seen = pipeline.process(replace(frame, captured_at=time.monotonic()))
            read = time.perf_counter()
            for sink in opened:
                sink.write(seen)
            written = time.perf_counter()
            loops.append(written - begun)
            writes.append(written - read)
        cpu = time.thread_time() - own
        thread = time.process_time() - whole - cpu
    return Cost(statistics.median(loops), cpu / len(frames), statistics.median(writes), thread / len(frames))


def to_load(spec: str) -> tuple[float, int]:
    """Return the median seconds that naming the sink adds to a fresh process, and how many modules."""
    told = [
        subprocess.run([sys.executable, "-c", LOADED, spec], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(LOADS)
    ]
    return statistics.median(float(seconds) for seconds, _ in told), int(told[0][1])


@contextmanager
def stdout_for_us_alone() -> Iterator[TextIO]:
    """Give the stdout that there is; what sinks write to stdout meanwhile goes to nowhere."""
    with os.fdopen(os.dup(1), "w") as ours, Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        yield ours
        os.dup2(ours.fileno(), 1)


if __name__ == "__main__":
    main()
