"""The loop's frame rate: a limiter, and a counter of the rate that it reaches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

IDLE_AFTER_SECONDS = 10.0  # without a face
POLL_SECONDS = 0.2  # between two checks for a stop request, wherever something is waited for
RATE_WINDOW_SECONDS = 1.0


class FrameRateLimiter:
    """Delays the loop to a frame rate: a kiosk with nobody in front of it stays cool.

    Args:
        max_fps: frames per second; None: no limit.
        idle_fps: limit after IDLE_AFTER_SECONDS without a face; None: `max_fps`.
        clock, sleep: in seconds; injected by tests.
    """

    def __init__(
        self,
        max_fps: float | None = None,
        idle_fps: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._max_fps, self._idle_fps = max_fps, idle_fps
        self._clock, self._sleep = clock, sleep
        self._last_frame = float("-inf")
        self._last_face = clock()

    @property
    def idle(self) -> bool:
        """Whether `idle_fps` applies."""
        return self._idle_fps is not None and self._clock() - self._last_face > IDLE_AFTER_SECONDS

    def wait(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Wait until the next frame is due, or until `stopped`, which is called every POLL_SECONDS."""
        rates = [rate for rate in (self._max_fps, self._idle_fps if self.idle else None) if rate is not None]
        if rates:
            due = self._last_frame + 1 / min(rates)
            while (left := due - self._clock()) > 0 and not stopped():
                self._sleep(min(left, POLL_SECONDS))
        self._last_frame = self._clock()

    def report(self, *, faces: bool) -> None:
        """Report a processed frame, and whether it had faces."""
        if faces:
            self._last_face = self._clock()


class FrameRateCounter:
    """Counts the frames of the last RATE_WINDOW_SECONDS."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now: float) -> float:
        """Count a frame at `now` seconds and return the frames per second; 0 for the first one."""
        self._times.append(now)
        while now - self._times[0] > RATE_WINDOW_SECONDS and len(self._times) > 2:
            self._times.popleft()
        elapsed = now - self._times[0]
        return (len(self._times) - 1) / elapsed if elapsed > 0 else 0.0
