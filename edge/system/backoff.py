"""Exponential backoff: the waiting time between attempts doubles with each failure."""

from __future__ import annotations

import random


class Backoff:
    """Waiting times from `first_seconds`, doubled each time, up to `max_seconds`.

    Args:
        jitter: fraction, 0 to 1, by which each time is shortened at most, at random: clients that lost the same server
            do not all return at once.
    """

    def __init__(self, first_seconds: float, max_seconds: float, jitter: float = 0.0) -> None:
        self._first_seconds, self._max_seconds, self._jitter = first_seconds, max_seconds, jitter
        self._next_seconds = first_seconds

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        seconds = self._next_seconds
        self._next_seconds = min(2 * seconds, self._max_seconds)
        return seconds * random.uniform(1 - self._jitter, 1)  # noqa: S311 (no secret)

    def reset(self) -> None:
        """Start again with `first_seconds`, after a success."""
        self._next_seconds = self._first_seconds

    def advance_to_max(self) -> None:
        """Continue with `max_seconds`, after a failure that will most likely repeat."""
        self._next_seconds = self._max_seconds
