"""A camera that may be missing, taken or pulled out: it is waited for, and opened again.

Each wait between two tries is announced with its end, so that whoever watches over the process can tell it from a
camera that hangs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

from edge.capture.frame_rate import POLL_SECONDS
from edge.errors import CameraError
from edge.types import Frame

FIRST_WAIT = 1.0  # seconds from one try to the next, doubled each time: a loose plug costs a second
LONGEST_WAIT = 30.0  # a camera that is plugged in again after a day is found within half a minute
GIVE_UP = 600.0  # seconds without a frame after which the run ends: a new process may do better than this one

Frames = Generator[Frame, None, None]


class ReconnectingCamera:
    """The frames of a camera through all its absences, as if it had been there all along: time and index go on.

    Args:
        opened: returns the camera's frames anew, and whether it may be opened again in this process; or raises
            CameraError.
        say: is told in words, for people, what has changed, and whether it is bad; not each try.
        stopped: is asked during a wait whether to end.
    """

    def __init__(
        self,
        opened: Callable[[], tuple[Frames, bool]],
        say: Callable[[str, bool], object],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._opened, self._say, self._stopped = opened, say, stopped
        self._again = True
        self._pause = FIRST_WAIT
        self._until = float("-inf")  # when the wait ends
        self._why = ""  # the error that is waited out; none while frames come
        self._lost = time.monotonic()
        self._came: float | None = None  # the first frame since it was opened
        self._last: Frame | None = None
        self._later, self._further = 0.0, 0  # what time and index of the camera as it is open now are to be moved by

    @property
    def waiting(self) -> str | None:
        """Why no frame can come at this moment, for a known while; None where one should come."""
        return self._why if time.monotonic() < self._until else None

    def frames(self) -> Frames:
        """Yield frames until the camera ends by itself, or `stopped`.

        Raises CameraError when it may not be opened again, or has been gone for GIVE_UP seconds.
        """
        while True:
            try:
                yield from self._session()
                return
            except CameraError as error:
                self._note(error)
            if not self._wait():
                return

    def _session(self) -> Frames:
        self._again = True  # as long as nothing was opened
        frames, self._again = self._opened()
        with closing(frames):
            for frame in frames:
                if self._came is None:
                    self._arrived(frame)
                self._last = replace(frame, time=frame.time + self._later, index=frame.index + self._further)
                yield self._last

    def _arrived(self, frame: Frame) -> None:
        self._came = time.monotonic()
        if self._why:
            self._say(f"the camera is back after {self._came - self._lost:.0f} s", False)
            self._why = ""
        if self._last:
            self._later = self._last.time + frame.captured_at - self._last.captured_at - frame.time
            self._further = self._last.index + 1 - frame.index

    def _note(self, error: CameraError) -> None:
        """Take note of a camera that is not there. Raises `error` where waiting does not help."""
        now = time.monotonic()
        if self._came is not None:
            if now - self._came >= LONGEST_WAIT:
                self._pause = FIRST_WAIT  # one that is lost again and again must not fill the journal
            self._lost, self._came = now, None
        if not self._again:
            raise error
        if now - self._lost >= GIVE_UP:
            raise CameraError(f"{error}; waited {now - self._lost:.0f} s for it") from error
        if str(error) != self._why:
            self._say(f"{error}; waiting for it", True)
        self._why = str(error)

    def _wait(self) -> bool:
        """Wait for the time of the next try; return False if there is to be none."""
        self._until = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_WAIT)
        while (left := self._until - time.monotonic()) > 0:
            if self._stopped():
                return False
            time.sleep(min(left, POLL_SECONDS))
        return True
