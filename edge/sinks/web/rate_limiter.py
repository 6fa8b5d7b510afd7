"""A limit on how often one address may do something."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

MAX_ADDRESSES = 1000  # that are remembered; the one least recently counted is forgotten first


class RateLimiter:
    """Allows each address `limit` events within `seconds`.

    Args:
        clock: in seconds; replaced in tests.
    """

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._seconds, self._clock = limit, seconds, clock
        self._event_times: dict[str, deque[float]] = {}

    def __len__(self) -> int:
        """Return the number of addresses that are remembered."""
        return len(self._event_times)

    def seconds_to_wait(self, address: str) -> float:
        """Return the seconds until `address` is allowed one more event; 0: now."""
        times = self._event_times.get(address, deque())
        return max(0.0, times[0] + self._seconds - self._clock()) if len(times) == self._limit else 0.0

    def count(self, address: str) -> None:
        """Count an event of `address`."""
        times = self._event_times.pop(address, None) or deque(maxlen=self._limit)
        times.append(self._clock())
        self._event_times[address] = times
        if len(self._event_times) > MAX_ADDRESSES:
            del self._event_times[next(iter(self._event_times))]
