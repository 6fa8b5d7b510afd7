"""How many inferences fit into a frame's time on this board: measured while it runs, not configured.

A camera does not wait: if inferences take longer than the loop has until the next frame, a frame is lost and the boxes
jump. On a Raspberry Pi 4 one inference takes about 20 of these 33 ms. So each frame adds to a credit the time that the
rest of the loop leaves free, and inferences are paid from it. For live sources only: the results of a file must not
depend on the machine.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable

UTILIZATION = 0.9  # of the time between two frames that the loop may use: some frames take longer than the mean
MIN_FRACTION = 0.25  # of all time that inferences get, even if the rest of the loop leaves none: labels must not stop
WINDOW_FRAMES = 30  # over which times are averaged
WINDOW_INFERENCES = 9  # whose median counts: the first one also allocates buffers
# The most that late inferences are paid back for. Time also passes while a process is stopped (Ctrl-Z) or waits for
# memory: after a minute of that within an inference, no face would be classified for a minute.
MAX_DEBT_SECONDS = 0.5


class InferenceBudget:
    """Limits the inferences of a live source.

    Args:
        clock: in seconds; injected by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._started: float | None = None  # seconds, clock: when the last frame began
        self._frame: tuple[float, int] | None = None  # time and index of the last frame
        self._spent = 0.0  # seconds that the inferences of the last frame took
        self._credit = 0.0  # seconds
        self._intervals: deque[float] = deque(maxlen=WINDOW_FRAMES)  # seconds between two frames of the camera
        self._rests: deque[float] = deque(maxlen=WINDOW_FRAMES)  # seconds that a frame took without its inferences
        self._inferences: deque[float] = deque(maxlen=WINDOW_INFERENCES)  # seconds of one

    def start_frame(self, frame_time: float, index: int, waited: float) -> int:
        """Return how many inferences the frame may have, which begins now; 1 until times are known.

        Args:
            frame_time: seconds, on the camera's clock.
            index: of the frame, in the camera's count.
            waited: seconds that the loop waited for the frame.
        """
        now = self._clock()
        if self._started is not None and self._frame is not None:
            elapsed, count = frame_time - self._frame[0], index - self._frame[1]
            if elapsed > 0 and count > 0:
                self._intervals.append(elapsed / count)
            if self._intervals:
                self._add_credit(now - self._started, waited)
        self._started, self._frame, self._spent = now, (frame_time, index), 0.0
        if not self._intervals or not self._inferences:
            return 1
        return max(0, int(self._credit / statistics.median(self._inferences)))

    def spend(self, inferences: int, seconds: float) -> None:
        """Pay for inferences of this frame, which took `seconds` in total; with 0 of them, for what else takes time."""
        if inferences:
            self._inferences.append(seconds / inferences)
        self._spent += seconds
        self._credit = max(self._credit - seconds, -MAX_DEBT_SECONDS)

    def inferences_per_second(self, seconds: float) -> float | None:
        """Return how many inferences of `seconds` there is time for in each second; None until times are known."""
        if not self._intervals or not self._rests:
            return None
        busy = statistics.fmean(self._rests) / statistics.median(self._intervals)
        return max(UTILIZATION - busy, MIN_FRACTION) / seconds

    def expect(self, seconds: float) -> None:
        """Take `seconds` for an inference from now on, as of another model, until others are measured."""
        self._inferences.clear()
        self._inferences.append(seconds)

    def _add_credit(self, period: float, waited: float) -> None:
        """Add what is free of a frame that began `period` seconds ago, of which the loop waited `waited` seconds."""
        interval = statistics.median(self._intervals)
        self._rests.append(min(max(0.0, period - waited - self._spent), interval))
        if waited > interval:  # for a slower rate than the camera's, which a setting asks for
            interval = period
        free = max(UTILIZATION * interval - statistics.fmean(self._rests), MIN_FRACTION * period)
        one = statistics.median(self._inferences) if self._inferences else 0.0
        self._credit = min(self._credit + free, free + one)  # what is left over is less than one
