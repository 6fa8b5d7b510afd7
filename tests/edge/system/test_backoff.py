"""The waiting time doubles up to its maximum."""

from edge.system.backoff import Backoff


def test_the_time_doubles_up_to_the_maximum():
    backoff = Backoff(1.0, 30.0)
    assert [backoff.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_reset_starts_with_the_first_time():
    backoff = Backoff(1.0, 30.0)
    backoff.next()
    backoff.reset()
    assert [backoff.next(), backoff.next()] == [1, 2]


def test_jitter_shortens_the_time_at_random():
    times = [Backoff(10.0, 10.0, jitter=0.5).next() for _ in range(100)]
    assert all(5 <= time <= 10 for time in times)
    assert len(set(times)) > 10


def test_advancing_continues_with_the_maximum():
    backoff = Backoff(1.0, 30.0)
    backoff.advance_to_max()
    assert [backoff.next(), backoff.next()] == [30, 30]
