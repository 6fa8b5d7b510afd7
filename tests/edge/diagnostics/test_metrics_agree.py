"""`/metrics` has what `edge benchmark` tells of inferences: rate per face, why others were left out, age of results."""

from dataclasses import astuple
from typing import Any

import pytest

from edge.diagnostics.stage_recorder import WARM_UP_FRAMES, StageRecorder
from edge.pipeline import STAGES
from edge.pipeline import run as run_loop
from edge.types import FrameResult, InferenceStats, RunStats
from tests.support.benchmark_reports import BenchmarkClock, SlowSink
from tests.support.fakes import FAKE_LABELS, face_result, frame

pytest.importorskip("tornado", reason="the extra web is not installed")

FRAMES = WARM_UP_FRAMES + 120
FACES = 4


class Processor:
    """Has FACES faces in each frame, of which one to three are classified; the others for each of the reasons not."""

    def __init__(self, clock):
        self.clock, self.stats = clock, InferenceStats()

    def process(self, frame, _):
        self.clock.now += 0.1
        classified = 1 + frame.index % 3
        left = FACES - classified
        added = (classified, left // 3, left // 3 + left % 3, left // 3)  # recent, unchanged, waiting
        self.stats = InferenceStats(*(sum(pair) for pair in zip(astuple(self.stats), added, strict=True)))
        faces = tuple(face_result(track_id=number, age=number / 10) for number in range(FACES))
        return FrameResult(frame, faces, dict.fromkeys(STAGES, 0.01), RunStats(inference=self.stats))


def make_processor(clock) -> Any:
    """Return a Processor where a FrameProcessor is expected."""
    return Processor(clock)


class MetricsSink(SlowSink):
    """Keeps the metrics at the end of the benchmark's warm-up and after each later frame."""

    def __init__(self, clock, state, scrape):
        super().__init__(clock)
        self.state, self.scrape, self.scrapes = state, scrape, []

    def write(self, result):
        super().write(result)
        self.state.record(result, self.clock.now)
        if result.stats.frames >= WARM_UP_FRAMES:
            self.scrapes.append(self.scrape())


def test_metrics_and_benchmark_tell_the_same_of_inferences(monkeypatch):
    pytest.importorskip("prometheus_client")
    from edge.sinks.web.metrics import FaceCollector, RunCollector
    from edge.sinks.web.run_state import RunState

    clock = BenchmarkClock(monkeypatch)
    state = RunState(FAKE_LABELS)

    def scrape():
        metrics = [*RunCollector(state).collect(), *FaceCollector(state).collect()]
        samples = [sample for metric in metrics for sample in metric.samples]
        return {
            (sample.name.removeprefix("emotion_edge_"), *sample.labels.values()): sample.value for sample in samples
        }

    sink = MetricsSink(clock, state, scrape)
    recorder = StageRecorder(sink, 600)
    processor = make_processor(clock)
    run_loop(processor, iter([frame(index / 10, index) for index in range(FRAMES)]), [recorder])
    _, loop, _ = recorder.result(live=False)
    first, last = sink.scrapes[0], sink.scrapes[-1]
    added = {name: value - first[name] for name, value in last.items()}
    inferences, reasons = added["inferences_total",], ("recent", "unchanged", "waiting")
    faces = inferences + sum(added["skipped_inferences_total", reason] for reason in reasons)
    assert faces == FACES * added["frames_total",] == FACES * loop.frames
    shown = loop.inference
    assert shown is not None
    assert shown.per_second == pytest.approx(inferences / loop.seconds)
    assert shown.per_face_second == pytest.approx(inferences / loop.seconds / (faces / added["frames_total",]))
    for reason in reasons:
        assert getattr(shown, reason) == pytest.approx(added["skipped_inferences_total", reason] / faces)
        assert getattr(shown, reason) > 0
    ages = {each["result_age_seconds",] for each in sink.scrapes[1:]}  # of the oldest result of each frame
    assert 1000 * ages.pop() == pytest.approx(shown.age_ms.p99)
    assert not ages
