"""How fast the loop may run: a kiosk that nobody stands before stays cool."""

from __future__ import annotations

import time
from collections.abc import Callable

IDLE_AFTER = 10.0  # seconds without a face
LISTEN = 0.2  # seconds between two questions whether to end, wherever something is waited for
IDLE_FPS = 5.0  # then; with the sweep's half second somebody who comes is seen within 0.7 s


class Pace:
    """Keeps frames apart.

    Args:
        max_fps: frames a second at most; None: as many as come.
        idle_fps: the same while nobody has been there for IDLE_AFTER seconds; None: as otherwise.
        clock, sleep: in seconds; others than time's in tests.
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
        self._last = float("-inf")
        self._seen = clock()

    @property
    def idle(self) -> bool:
        """Whether nobody has been there for a while."""
        return self._idle_fps is not None and self._clock() - self._seen > IDLE_AFTER

    def wait(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when the next frame may be asked for, or soon after `stopped` says that none will be."""
        rates = [rate for rate in (self._max_fps, self._idle_fps if self.idle else None) if rate is not None]
        if rates:
            due = self._last + 1 / min(rates)
            while (left := due - self._clock()) > 0 and not stopped():
                self._sleep(min(left, LISTEN))
        self._last = self._clock()

    def saw(self, anybody: bool) -> None:
        """Take note of whether the frame showed a face."""
        if anybody:
            self._seen = self._clock()
