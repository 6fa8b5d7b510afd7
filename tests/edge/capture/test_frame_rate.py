"""The limiter keeps the loop at its frame rate and slows it down without faces; the counter measures the rate."""

import pytest

from edge.capture.frame_rate import (
    IDLE_AFTER_SECONDS,
    POLL_SECONDS,
    RATE_WINDOW_SECONDS,
    FrameRateCounter,
    FrameRateLimiter,
)
from tests.support.fakes import FakeClock


@pytest.fixture
def clock():
    return FakeClock(100.0)


def run_loop(limiter, clock, seconds, work=0.0, faces=False):
    """Run the loop for `seconds`, with `work` seconds for each frame, and return the number of frames."""
    end, frames = clock.now + seconds, 0
    while clock.now < end - 1e-9:
        limiter.wait()
        clock.now += work
        limiter.report(faces=faces)
        frames += 1
    return frames


def test_without_a_limit_the_loop_never_waits(clock):
    limiter = FrameRateLimiter(clock=clock, sleep=clock.sleep)
    for _ in range(5):
        limiter.wait()
        limiter.report(faces=False)
    clock.now += 10 * IDLE_AFTER_SECONDS
    assert not limiter.idle
    limiter.wait()
    assert clock.slept == []


@pytest.mark.parametrize("work", [0.0, 0.03, 0.099])
def test_the_frame_rate_is_independent_of_the_work(clock, work):
    limiter = FrameRateLimiter(10, clock=clock, sleep=clock.sleep)
    assert run_loop(limiter, clock, 20, work) == pytest.approx(200, abs=2)


def test_the_first_frame_and_a_late_one_do_not_wait(clock):
    limiter = FrameRateLimiter(10, clock=clock, sleep=clock.sleep)
    limiter.wait()
    clock.now += 0.25
    limiter.wait()
    assert clock.slept == []
    limiter.wait()
    assert clock.slept[-1] == pytest.approx(0.1)  # the delay is not caught up


def test_a_stop_request_ends_a_long_wait(clock):
    limiter = FrameRateLimiter(0.1, clock=clock, sleep=clock.sleep)
    limiter.wait()
    stop_time = clock.now + 0.5
    limiter.wait(lambda: clock.now >= stop_time)
    assert clock.now - stop_time <= POLL_SECONDS


def test_the_loop_idles_without_faces_until_the_first_face(clock):
    limiter = FrameRateLimiter(None, 5, clock=clock, sleep=clock.sleep)
    assert run_loop(limiter, clock, IDLE_AFTER_SECONDS, work=0.1) == pytest.approx(IDLE_AFTER_SECONDS / 0.1, abs=2)
    clock.now += 0.1
    assert limiter.idle
    assert run_loop(limiter, clock, 10, work=0.1) == pytest.approx(50, abs=2)
    limiter.wait()
    limiter.report(faces=True)
    assert not limiter.idle
    slept, seconds = sum(clock.slept), IDLE_AFTER_SECONDS - 1
    assert run_loop(limiter, clock, seconds, work=0.1) == pytest.approx(seconds / 0.1, abs=2)
    assert sum(clock.slept) == slept


def test_the_loop_does_not_idle_with_faces(clock):
    limiter = FrameRateLimiter(None, 1, clock=clock, sleep=clock.sleep)
    frames = run_loop(limiter, clock, 5 * IDLE_AFTER_SECONDS, work=0.5, faces=True)
    assert frames == pytest.approx(10 * IDLE_AFTER_SECONDS, abs=2)


@pytest.mark.parametrize(("max_fps", "idle_fps", "expected"), [(2, 5, 2), (20, 5, 5), (None, 0.5, 0.5)])
def test_the_lower_limit_applies_while_idle(clock, max_fps, idle_fps, expected):
    limiter = FrameRateLimiter(max_fps, idle_fps, clock=clock, sleep=clock.sleep)
    clock.now += IDLE_AFTER_SECONDS + 1
    assert run_loop(limiter, clock, 20) == pytest.approx(20 * expected, abs=1)


def test_the_limit_applies_without_an_idle_rate(clock):
    limiter = FrameRateLimiter(20, None, clock=clock, sleep=clock.sleep)
    clock.now += 10 * IDLE_AFTER_SECONDS
    assert run_loop(limiter, clock, 5) == pytest.approx(100, abs=1)


def test_the_counter_measures_a_constant_rate():
    counter = FrameRateCounter()
    rates = [counter.add(number / 20) for number in range(60)]
    assert rates[0] == 0
    assert rates[1:] == pytest.approx([20] * 59)


def test_the_counter_forgets_frames_outside_its_window():
    counter = FrameRateCounter()
    for number in range(100):
        counter.add(number / 100)
    start = 1 + 2 * RATE_WINDOW_SECONDS
    assert [counter.add(start + number / 2) for number in range(4)][-1] == pytest.approx(2)


def test_the_counter_measures_a_rate_below_its_window():
    counter = FrameRateCounter()
    assert [counter.add(5.0 * number) for number in range(5)][-1] == pytest.approx(0.2)
