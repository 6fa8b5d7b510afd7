"""A benchmark whose figures are known: its clock goes on when a test says so."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from edge.diagnostics import benchmark
from edge.diagnostics.benchmark import WARM_UP_FRAMES, Listener
from edge.diagnostics.benchmark_report import SCHEMA, Alone, Condition, Model, Report, Source, Spread, to_json
from edge.types import FrameResult
from tests.support.fakes import face_result, frame

STAGES = ("capture", "convert", "detect", "crop", "classify", "smooth")


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self, monkeypatch):
        """Take the place of the benchmark's clocks."""
        self.now = 1000.0
        monkeypatch.setattr(benchmark, "time", self)

    def perf_counter(self):
        return self.now

    monotonic = perf_counter

    def process_time(self):
        return self.now / 4  # a quarter of a core


class Slow:
    """A sink that takes 5 ms, or a model that does."""

    def __init__(self, clock, seconds=0.005):
        self.clock, self.seconds = clock, seconds
        self.card = SimpleNamespace(input_size=16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, _):
        self.clock.now += self.seconds

    scores = write


def slow(clock, seconds) -> Any:
    """Return what stands in for a classifier that takes `seconds`."""
    return Slow(clock, seconds)


def look(clock, listener, index, *, wait=0.06, search=0.02, faces=1):
    """Let the loop read one frame: it came after `wait`, was there 10 ms ago, and took `search` and 15 ms more."""
    timings = dict.fromkeys(STAGES, 0.0) | {"capture": wait, "detect": search, "classify": 0.01, "smooth": 0.005}
    clock.now += sum(timings.values())
    shown = replace(frame(index / 10, index), captured_at=clock.now - 0.01)
    listener.write(FrameResult(shown, tuple(face_result(track_id=n) for n in range(faces)), timings))


def listened(clock, frames=100, step=1, **options):
    """Return a listener that has seen the warm-up, of slow frames, and `frames` measured ones."""
    listener = Listener(Slow(clock), 600)
    for index in range(WARM_UP_FRAMES):
        look(clock, listener, index, wait=5.0, faces=2)
    for number in range(frames):
        look(clock, listener, WARM_UP_FRAMES - 1 + (number + 1) * step, **options)
    return listener


def report(clock, live=True, **changes):
    """Return a whole report of a loop with known figures, on a machine that tells nothing."""
    warm_up, loop, process = listened(clock).result(live)
    versions = dict.fromkeys(("python", "numpy", "opencv", "runtime", "runtime_version"), "1.0")
    facts = dict.fromkeys(("board", "architecture", "governor", "system", "kernel", "clock_max_mhz", "memory_mb"))
    made = Report(
        schema=SCHEMA,
        emotion_edge="1.0",
        date="2026-02-03T04:05:06+00:00",
        ended_early=False,
        source=Source("clip.mp4", live, 640, 480, 1),
        model=Model("own.tflite", "own", "ab" * 32),
        settings={"threads": 1, "sinks": ["jsonl"]},
        machine={**facts, "cpus": 4, "versions": versions},
        start=Condition(None, None, None),
        end=Condition(None, None, None),
        warm_up=warm_up,
        loop=loop,
        process=process,
        classifier=Alone(2000, 61.0, True, Spread(0.5, 0.4, 0.6, 0.9)),
    )
    return replace(made, **changes)


def as_read(made):
    return json.loads(to_json(made))
