"""Exponential backoff: the waiting time between attempts doubles with each failure."""

from __future__ import annotations


class Backoff:
    """Waiting times from `first_seconds`, doubled each time, up to `max_seconds`."""

    def __init__(self, first_seconds: float, max_seconds: float) -> None:
        self._first_seconds, self._max_seconds = first_seconds, max_seconds
        self._next_seconds = first_seconds

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        seconds = self._next_seconds
        self._next_seconds = min(2 * seconds, self._max_seconds)
        return seconds

    def reset(self) -> None:
        """Start again with `first_seconds`, after a success."""
        self._next_seconds = self._first_seconds
