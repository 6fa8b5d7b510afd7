"""Exponential backoff."""

from itertools import islice

from edge.system.backoff import Backoff


def delays(backoff, count):
    return list(islice(iter(backoff.next, None), count))


def test_delay_doubles_up_to_the_maximum():
    assert delays(Backoff(1.0, 5.0), 5) == [1, 2, 4, 5, 5]


def test_reset_starts_with_the_first_delay():
    backoff = Backoff(1.0, 5.0)
    delays(backoff, 3)
    backoff.reset()
    assert delays(backoff, 2) == [1, 2]


def test_advance_to_max_continues_with_the_maximum():
    backoff = Backoff(1.0, 5.0)
    backoff.advance_to_max()
    assert delays(backoff, 2) == [5, 5]


def test_jitter_shortens_each_delay_at_random():
    shortened = delays(Backoff(4.0, 4.0, jitter=0.25), 100)
    assert all(3 <= delay <= 4 for delay in shortened)
    assert len(set(shortened)) > 50
