"""The budget of inferences: as many as fit between two frames of the camera, on a simulated board."""

from __future__ import annotations

import math
import statistics

import pytest

from edge.inference.budget import MAX_DEBT_SECONDS, MIN_FRACTION, UTILIZATION, InferenceBudget
from tests.support.fakes import FakeClock

FPS = 30


def run(inference, rest, wanted=8, seconds=10.0, max_fps=None, slow=lambda _: 1.0):
    """Return inferences and frames per second of a loop at a camera of FPS.

    Args:
        inference, rest: seconds that one inference, and the rest of a frame, take.
        wanted: inferences that are due in each frame.
        max_fps: of the loop.
        slow: seconds -> factor by which the board is slower then.
    """
    clock = FakeClock()
    budget, last, inferences, frames = InferenceBudget(clock), -1, 0, 0
    next_start = 0.0
    while clock.now < seconds:
        requested = clock.now
        clock.now = max(clock.now, (last + 1) / FPS, next_start)
        if max_fps:
            next_start = clock.now + 1 / max_fps
        last = max(last + 1, math.floor(clock.now * FPS + 1e-9))
        count = min(wanted, budget.start_frame(last / FPS, last, clock.now - requested))
        factor = slow(clock.now)
        clock.now += count * inference * factor
        budget.spend(count, count * inference * factor)
        clock.now += rest * factor
        inferences, frames = inferences + count, frames + 1
    return inferences / seconds, frames / seconds


@pytest.mark.parametrize(
    ("inference", "rest"), [(0.0005, 0.002), (0.004, 0.004), (0.022, 0.004), (0.022, 0.02), (0.016, 0.012)]
)
def test_inferences_use_the_free_time_and_no_frame_is_lost(inference, rest):
    rate, fps = run(inference, rest)
    free = (1 / FPS - rest) / inference * FPS
    assert fps > 0.97 * FPS
    assert 0.75 * min(free, 8 * FPS) < rate < 1.02 * min(free, 8 * FPS)


def test_fast_board_is_not_limited():
    rate, fps = run(0.0005, 0.002, wanted=8)
    assert (rate, fps) == (pytest.approx(8 * FPS, rel=0.01), pytest.approx(FPS, rel=0.01))


def test_board_that_is_too_slow_classifies_nevertheless():
    rate, fps = run(0.05, 0.1)
    assert rate * 0.05 == pytest.approx(MIN_FRACTION, abs=0.1)
    assert fps > 5


def test_slow_first_inference_does_not_matter_for_long():
    rate, fps = run(0.004, 0.004, wanted=2, slow=lambda now: 20.0 if now < 0.05 else 1.0)
    assert rate > 1.9 * FPS
    assert fps > 0.97 * FPS


def test_budget_follows_a_board_that_is_throttled():
    _, fps = run(0.01, 0.005, seconds=20.0, slow=lambda now: 2.0 if now > 5 else 1.0)
    assert fps > 0.97 * FPS


def test_inferences_that_were_late_leave_none_for_the_next_frame():
    clock = FakeClock()
    budget = InferenceBudget(clock)
    for index, seconds in enumerate((0.02, 0.02, 0.02, 0.2)):
        clock.now = index / FPS
        budget.start_frame(clock.now, index, 0.0)
        budget.spend(1, seconds)
    clock.now += seconds
    assert budget.start_frame(clock.now, 10, 0.0) == 0


@pytest.mark.parametrize("stopped", [1.0, 60.0, 3600.0])
def test_process_that_was_stopped_in_an_inference_goes_on_soon(stopped):
    clock = FakeClock()
    budget, counts = InferenceBudget(clock), []
    for index in range(120):
        counts.append(min(max(0, budget.start_frame(clock.now, index, 0.01)), 1))
        seconds = 0.02 * counts[-1] + stopped * (index == 30)
        budget.spend(counts[-1], seconds)
        clock.now += max(seconds, 1 / FPS)
    assert 1 in counts[31 : 31 + math.ceil(MAX_DEBT_SECONDS / MIN_FRACTION * FPS)]


def test_lower_frame_rate_leaves_more_time_for_each_frame():
    rate, fps = run(0.022, 0.02, wanted=3, max_fps=10)
    assert fps == pytest.approx(10, rel=0.05)
    assert rate > 1.3 * run(0.022, 0.02, wanted=3)[0]


@pytest.mark.parametrize("frames", [1, 30])
def test_one_inference_until_one_was_measured(frames):
    clock = FakeClock()
    budget = InferenceBudget(clock)
    for index in range(frames):  # without a face
        clock.now = index / FPS
        assert budget.start_frame(clock.now, index, 0.02) == 1
        budget.spend(0, 0.0)


def test_time_or_index_that_goes_back_gives_no_interval():
    clock = FakeClock()
    budget = InferenceBudget(clock)
    for time, index in ((5.0, 10), (0.0, 0), (0.0, 1), (0.1, 1), (0.2, 0), (0.1, 5)):
        assert budget.start_frame(time, index, 0.0) == 1
        budget.spend(1, 0.01)
        clock.now += 0.05
    assert budget.inferences_per_second(0.01) is None


def test_camera_that_slows_down_leaves_more_time_for_each_frame():
    # As a camera does in the dark: no index is left out.
    clock, counts, captured = FakeClock(), [], 0.0
    budget = InferenceBudget(clock)
    for index in range(240):
        requested, clock.now = clock.now, max(clock.now, captured)
        counts.append(budget.start_frame(captured, index, clock.now - requested))
        budget.spend(counts[-1], counts[-1] * 0.004)
        clock.now += counts[-1] * 0.004 + 0.004
        captured += (1 if index < 120 else 2) / FPS
    assert statistics.mean(counts[60:120]) == pytest.approx((UTILIZATION / FPS - 0.004) / 0.004, abs=0.7)
    assert statistics.mean(counts[180:]) == pytest.approx((UTILIZATION * 2 / FPS - 0.004) / 0.004, abs=0.7)
