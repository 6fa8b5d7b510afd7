"""Measure what sinks cost the loop of a camera, and what it takes to import them.

Each sink is interleaved with a run without sinks, in several rounds: frames of the synthetic camera, drawn beforehand,
30 per second in a live run. All times in ms per frame:

    loop     from a frame to the end of the sinks' `write`, median, and its ratio to that without a sink in the same
             round; on a busy machine other programs are much of it
    cpu      processor time of the loop's thread, and its ratio likewise
    write    the sink's part of `loop`, median
    threads  processor time of all other threads: the sink's own
    import   what naming the sink adds to a new process, in ms and in modules; a sink that is not named adds nothing
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
from pathlib import Path
from typing import NamedTuple, TextIO

from benchmarks.common import make_parser, make_pipeline, synthetic_frames
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.sinks import registry as sinks
from edge.types import Frame, RunInfo

FPS = 30
IMPORTS = 5  # of which the median is taken
IMPORT_PROGRAM = """
import sys, time
from edge import cli
from edge.sinks import registry as sinks
from edge.types import RunInfo
from edge.inference.classifier import Classifier
start, before = time.perf_counter(), len(sys.modules)
sinks.find(sys.argv[1])(RunInfo())
print(time.perf_counter() - start, len(sys.modules) - before)
"""
HEADER = (
    f"{'sink':10} {'loop':>6} {'ratio':>6}  {'cpu':>6} {'ratio':>6}  {'write':>7} {'threads':>7}  {'import':>8} modules"
)


class Cost(NamedTuple):
    """Seconds per frame of one run."""

    loop: float  # median
    cpu: float  # mean
    write: float  # median
    threads: float  # mean


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("sink_cost", __doc__)
    parser.add_argument("sinks", nargs="*", metavar="SINK", help="default: all that write to the console or to files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=120)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout_of_sinks() as output:
        files = ("jsonl:{}/out", "csv:{}/out.csv", "daylog:{}/log", "video:{}/out.mp4")
        specs = options.sinks or ["console", *(each.format(folder) for each in files)]
        frames = synthetic_frames(options.frames)
        rounds: dict[str, list[tuple[Cost, Cost]]] = {spec: [] for spec in specs}
        for _ in range(options.rounds):
            for spec in specs:
                rounds[spec].append((run(frames, []), run(frames, [spec])))
        print(HEADER, file=output)
        for spec, pairs in rounds.items():
            print(format_line(spec, pairs), file=output)


def format_line(spec: str, pairs: Sequence[tuple[Cost, Cost]]) -> str:
    """Return the line of a sink; `pairs` are runs without and with it."""
    with_sink = Cost(*map(statistics.median, zip(*(cost for _, cost in pairs), strict=True)))
    loop = statistics.median(cost.loop / without.loop for without, cost in pairs)
    cpu = statistics.median(cost.cpu / without.cpu for without, cost in pairs)
    threads = statistics.median(cost.threads - without.threads for without, cost in pairs)
    seconds, modules = import_cost(spec)
    name = Path(spec.partition(":")[0]).stem[:10]
    times = f"{1000 * with_sink.loop:6.2f} {loop:6.2f}  {1000 * with_sink.cpu:6.2f} {cpu:6.2f}"
    return f"{name:10} {times}  {1000 * with_sink.write:7.4f} {1000 * threads:7.2f}  {1000 * seconds:8.1f} {modules:7d}"


def run(frames: Sequence[Frame], specs: Sequence[str]) -> Cost:
    """Return the cost of the loop over `frames` with the sinks of `specs`."""
    classifier = Classifier(shipped_model())
    pipeline = make_pipeline(classifier)
    run_info = RunInfo(live=True, labels=classifier.card.labels)
    loops, writes = [], []
    process_begin, thread_begin = time.process_time(), time.thread_time()
    with ExitStack() as stack:
        opened = [stack.enter_context(sinks.find(spec)(run_info)) for spec in specs]
        due = time.perf_counter()
        for frame in frames:
            due += 1 / FPS
            time.sleep(max(0.0, due - time.perf_counter()))
            begin = time.perf_counter()
            result = pipeline.process(replace(frame, captured_at=time.monotonic()))
            processed = time.perf_counter()
            for sink in opened:
                sink.write(result)
            written = time.perf_counter()
            loops.append(written - begin)
            writes.append(written - processed)
        cpu = time.thread_time() - thread_begin
        threads = time.process_time() - process_begin - cpu
    return Cost(statistics.median(loops), cpu / len(frames), statistics.median(writes), threads / len(frames))


def import_cost(spec: str) -> tuple[float, int]:
    """Return the median seconds that naming the sink adds to a new process, and how many modules."""
    command = [sys.executable, "-c", IMPORT_PROGRAM, spec]
    answers = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(IMPORTS)
    ]
    return statistics.median(float(seconds) for seconds, _ in answers), int(answers[0][1])


@contextmanager
def redirect_stdout_of_sinks() -> Iterator[TextIO]:
    """Give the present stdout; what sinks write to stdout in the meantime is discarded."""
    with os.fdopen(os.dup(1), "w") as output, Path(os.devnull).open("w") as null:
        os.dup2(null.fileno(), 1)
        yield output
        os.dup2(output.fileno(), 1)


if __name__ == "__main__":
    main()
