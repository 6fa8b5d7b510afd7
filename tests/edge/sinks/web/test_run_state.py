"""Rates and timeline of the run, on a clock of the test."""

from dataclasses import replace

import pytest

from edge.types import RunStats
from tests.support.fakes import FAKE_LABELS, face_result, frame_result

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from edge.sinks.web.run_state import TIMELINE_SECONDS, RunState
from tests.support.web_client import nth_result


@pytest.fixture
def run_of_20_seconds():
    """Every other frame of a camera with 30 frames per second, from second 100 on; no face in the last 10 s."""
    state = RunState(FAKE_LABELS)
    for index in range(0, 600, 2):
        faces = [face_result("cross", 0.75)] if index < 300 else []
        result = frame_result(*faces, index=index)
        now = 100 + index / 30
        frame = replace(result.frame, captured_at=now - 0.02)
        state.record(replace(result, frame=frame, stats=RunStats(index // 2 + 1, index // 2, 15.0)), now)
    return state


def test_rates_are_of_the_last_seconds(run_of_20_seconds):
    rates = run_of_20_seconds.rates(120.0)
    assert (rates.process_fps, rates.skipped_fps, rates.camera_fps) == pytest.approx((15, 15, 30), abs=0.3)
    assert rates.latency == pytest.approx(0.02)


def test_rates_are_zero_when_no_frames_arrive(run_of_20_seconds):
    rates = run_of_20_seconds.rates(200.0)
    assert (rates.process_fps, rates.skipped_fps, rates.camera_fps, rates.latency) == (0, 0, 0, None)
    assert not run_of_20_seconds.is_receiving_frames(200.0)
    assert run_of_20_seconds.last_frame_age(200.0) == pytest.approx(80, abs=0.1)


def test_timeline_has_the_means_of_each_complete_second(run_of_20_seconds):
    points = run_of_20_seconds.timeline(-1, 120.0)
    assert [point["second"] for point in points] == list(range(20))
    assert points[3] == {"second": 3, "faces": 1.0, "probabilities": {"calm": 0.25, "cross": 0.75}}
    assert points[15] == {"second": 15, "faces": 0.0, "probabilities": None}
    assert [point["second"] for point in run_of_20_seconds.timeline(17, 120.0)] == [18, 19]
    assert [point["second"] for point in run_of_20_seconds.timeline(17, 119.5)] == [18], "19 is not complete"


def test_timeline_is_bounded():
    state = RunState(("calm",))
    for second in range(TIMELINE_SECONDS + 50):
        state.record(nth_result(second), 1.0 + second)
    assert len(state.timeline(-1, 1.0 + TIMELINE_SECONDS + 50)) == TIMELINE_SECONDS


def test_counters_are_those_of_the_run():
    state = RunState(FAKE_LABELS)
    for stats in (RunStats(1, 0, 0.0), RunStats(2, 10, 20.0)):
        state.record(replace(frame_result(), stats=stats), 1.0)
    assert state.stats == RunStats(2, 10, 20.0)
    assert state.rates(1.5).skipped_fps == pytest.approx(20, rel=0.01)  # 10 within half a second
