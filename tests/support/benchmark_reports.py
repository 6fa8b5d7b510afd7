"""Benchmarks with known measurements: a recorder and a classifier on a clock that a test advances."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from edge.diagnostics import single_stream, stage_recorder
from edge.diagnostics.benchmark_report import SCHEMA, MachineState, ModelId, Report, Source, to_json
from edge.diagnostics.latency import LatencyStats
from edge.diagnostics.single_stream import SingleStreamResult
from edge.diagnostics.stage_recorder import WARM_UP_FRAMES, StageRecorder
from edge.pipeline import STAGES
from edge.types import FrameResult, InferenceStats, RunStats
from tests.support.fakes import FakeClock, face_result, frame

SINK_SECONDS = 0.005


class BenchmarkClock(FakeClock):
    """Replaces the clocks of the benchmark; the process is busy a quarter of the time."""

    def __init__(self, monkeypatch) -> None:
        super().__init__(1000.0)
        for module in (single_stream, stage_recorder):
            monkeypatch.setattr(module, "time", self)

    def process_time(self):
        return self.now / 4


class SlowSink:
    """A sink that takes SINK_SECONDS for each result."""

    def __init__(self, clock):
        self.clock = clock

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, _):
        self.clock.now += SINK_SECONDS


class SlowClassifier:
    """A classifier that takes `seconds` for each face; counts the calls."""

    uses_color = False

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds
        self.card = SimpleNamespace(input_size=16)
        self.calls = 0

    def classify(self, _):
        self.calls += 1
        self.clock.now += self.seconds


def slow_classifier(clock, seconds) -> Any:
    """Return a SlowClassifier where a Classifier is expected."""
    return SlowClassifier(clock, seconds)


def record_frame(clock, recorder, index, *, capture=0.06, detect=0.02, faces=1, **stats):
    """Record a frame that was captured 10 ms ago; other stages: classify 10 ms, smooth 5 ms, sinks 5 ms.

    Results are 0, 100, 200, 0, ... ms old. Unless `stats` has other InferenceStats, the only face was classified in one
    frame, and in two frames it had not changed.
    """
    stats = stats or {"classified": index // 3, "unchanged": index - index // 3}
    timings = dict.fromkeys(STAGES, 0.0) | {"capture": capture, "detect": detect, "classify": 0.01, "smooth": 0.005}
    clock.now += sum(timings.values())
    captured = replace(frame(index / 10, index), captured_at=clock.now - 0.01)
    found = tuple(face_result(track_id=n, age=index % 3 / 10) for n in range(faces))
    recorder.write(FrameResult(captured, found, timings, RunStats(inference=InferenceStats(**stats))))


def record_warm_up(clock, recorder):
    """Record the warm-up, of slow frames with two faces."""
    for index in range(WARM_UP_FRAMES):
        record_frame(clock, recorder, index, capture=5.0, faces=2)


def make_recorder(clock, frames=100, step=1, **options):
    """Return a recorder after the warm-up and `frames` frames, whose indices are `step` apart."""
    recorder = StageRecorder(SlowSink(clock), 600)
    record_warm_up(clock, recorder)
    for number in range(frames):
        record_frame(clock, recorder, WARM_UP_FRAMES - 1 + (number + 1) * step, **options)
    return recorder


def make_report(clock, live=True, **changes):
    """Return a complete report with known measurements, on a machine whose facts are not available."""
    warm_up, loop, process = make_recorder(clock).result(live=live)
    versions = dict.fromkeys(("python", "numpy", "opencv", "runtime", "runtime_version"), "1.0")
    facts = dict.fromkeys(("board", "architecture", "governor", "system", "kernel", "clock_max_mhz", "memory_mb"))
    report = Report(
        schema=SCHEMA,
        version="1.0",
        date="2026-02-03T04:05:06+00:00",
        interrupted=False,
        source=Source("clip.mp4", live, 640, 480, 1),
        model=ModelId("own.tflite", "own", "ab" * 32),
        settings={"threads": 1, "sinks": ["jsonl"]},
        machine={**facts, "cpus": 4, "versions": versions},
        state_at_start=MachineState(None, None, None),
        state_at_end=MachineState(None, None, None),
        warm_up=warm_up,
        loop=loop,
        process=process,
        classifier=SingleStreamResult(2000, 61.0, True, LatencyStats(0.5, 0.4, 0.6, 0.9)),
    )
    return replace(report, **changes)


def parsed(report):
    """Return `report` as a reader of its JSON gets it."""
    return json.loads(to_json(report))
