"""The loop runs no faster than it was told, idles while nobody is there, and wakes with the first face."""

import pytest

from edge.capture.frame_rate import IDLE_AFTER_SECONDS, POLL_SECONDS, FrameRateLimiter


class Clock:
    """Time that goes on only when somebody sleeps, or when the test says so."""

    def __init__(self):
        self.now, self.slept = 100.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def rounds(pace, clock, seconds, work=0.0, anybody=False):
    """Let the loop run for so long, each round with so much `work`, and return how many rounds it made."""
    end, count = clock.now + seconds, 0
    while clock.now < end - 1e-9:
        pace.wait()
        clock.now += work
        pace.saw(anybody)
        count += 1
    return count


def test_without_a_limit_nobody_waits(clock):
    pace = FrameRateLimiter(clock=clock, sleep=clock.sleep)
    for _ in range(5):
        pace.wait()
        pace.saw(False)
    clock.now += 10 * IDLE_AFTER_SECONDS
    assert not pace.idle
    pace.wait()
    assert clock.slept == []


@pytest.mark.parametrize("work", [0.0, 0.03, 0.099])
def test_frames_are_kept_apart_whatever_the_work_takes(clock, work):
    assert rounds(FrameRateLimiter(10, clock=clock, sleep=clock.sleep), clock, 20, work) == pytest.approx(200, abs=2)


def test_the_first_frame_and_a_late_one_do_not_wait(clock):
    pace = FrameRateLimiter(10, clock=clock, sleep=clock.sleep)
    pace.wait()
    clock.now += 0.25
    pace.wait()
    assert clock.slept == []
    pace.wait()
    assert clock.slept[-1] == pytest.approx(0.1)  # what was late is not made up for


def test_who_wants_to_end_is_heard_while_the_next_frame_is_far_off(clock):
    pace = FrameRateLimiter(0.1, clock=clock, sleep=clock.sleep)
    pace.wait()
    asked = clock.now + 0.5
    pace.wait(lambda: clock.now >= asked)
    assert clock.now - asked <= POLL_SECONDS


def test_while_nobody_is_there_the_loop_idles_and_the_first_face_wakes_it(clock):
    pace = FrameRateLimiter(None, 5, clock=clock, sleep=clock.sleep)
    assert rounds(pace, clock, IDLE_AFTER_SECONDS, work=0.1) == pytest.approx(IDLE_AFTER_SECONDS / 0.1, abs=2)
    clock.now += 0.1
    assert pace.idle
    assert rounds(pace, clock, 10, work=0.1) == pytest.approx(50, abs=2)
    pace.wait()
    pace.saw(True)
    assert not pace.idle
    slept = sum(clock.slept)
    assert rounds(pace, clock, IDLE_AFTER_SECONDS - 1, work=0.1) == pytest.approx((IDLE_AFTER_SECONDS - 1) / 0.1, abs=2)
    assert sum(clock.slept) == slept


def test_nobody_idles_while_somebody_is_there(clock):
    pace = FrameRateLimiter(None, 1, clock=clock, sleep=clock.sleep)
    assert rounds(pace, clock, 5 * IDLE_AFTER_SECONDS, work=0.5, anybody=True) == pytest.approx(
        10 * IDLE_AFTER_SECONDS, abs=2
    )


@pytest.mark.parametrize(("max_fps", "idle_fps", "expected"), [(2, 5, 2), (20, 5, 5), (None, 0.5, 0.5)])
def test_of_both_limits_the_slower_one_holds_while_idle(clock, max_fps, idle_fps, expected):
    pace = FrameRateLimiter(max_fps, idle_fps, clock=clock, sleep=clock.sleep)
    clock.now += IDLE_AFTER_SECONDS + 1
    assert rounds(pace, clock, 20) == pytest.approx(20 * expected, abs=1)


def test_without_idling_a_limit_holds_all_the_time(clock):
    pace = FrameRateLimiter(20, None, clock=clock, sleep=clock.sleep)
    clock.now += 10 * IDLE_AFTER_SECONDS
    assert rounds(pace, clock, 5) == pytest.approx(100, abs=1)
