"""A camera that may be absent, in use or unplugged: it is opened again until it works.

The wait between two attempts is announced with its end, so that a watchdog can distinguish it from a stuck camera.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

from edge.capture.encoded_frame import EncodedFrame
from edge.capture.frame_rate import POLL_SECONDS
from edge.errors import CameraError
from edge.system.backoff import Backoff
from edge.types import Frame

FIRST_RETRY_SECONDS = 1.0  # a loose plug costs a second
MAX_RETRY_SECONDS = 30.0  # a camera that is plugged in after a day is found within half a minute
GIVE_UP_SECONDS = 600.0  # without a frame, after which the run ends: a new process may succeed

Frames = Generator[Frame | EncodedFrame, None, None]


class ReconnectingCamera:
    """The frames of a camera across all interruptions, with continuous time and index.

    Args:
        open_camera: returns the camera's frames, and whether it may be opened again in this process, or raises
            CameraError.
        report: called with a message for people, and whether it is a problem, when the state changes; not for each
            attempt.
        stopped: asked during a wait; ends the frames if true.
    """

    def __init__(
        self,
        open_camera: Callable[[], tuple[Frames, bool]],
        report: Callable[[str, bool], object],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._open_camera, self._report, self._stopped = open_camera, report, stopped
        self._can_reconnect = True
        self._backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
        self._wait_ends = float("-inf")
        self._problem = ""  # the error message that is waited out; empty while frames come
        self._lost_at = time.monotonic()
        self._connected_at: float | None = None  # the first frame since the camera was opened
        self._last_frame: Frame | EncodedFrame | None = None
        self._time_offset, self._index_offset = 0.0, 0  # from the open camera's time and index to the continuous ones

    @property
    def wait_reason(self) -> str | None:
        """Why no frame can come at this moment, for a known time; None if one should come."""
        return self._problem if time.monotonic() < self._wait_ends else None

    def frames(self) -> Frames:
        """Yield frames until the camera ends by itself, or `stopped`.

        Raises CameraError if it has been gone for GIVE_UP_SECONDS, or may not be opened again: when it is lost, or
        MAX_RETRY_SECONDS after it could not be opened, as systemd restarts a service that ends at once 20 times only.
        """
        while True:
            try:
                yield from self._frames_until_lost()
                return
            except CameraError as error:
                now = time.monotonic()
                if self._connected_at is not None:
                    if now - self._connected_at >= MAX_RETRY_SECONDS:
                        self._backoff.reset()  # not sooner: a camera that is lost often must not fill the journal
                    self._lost_at, self._connected_at = now, None
                if not self._can_reconnect and self._last_frame is not None:
                    raise
                if now - self._lost_at >= GIVE_UP_SECONDS:
                    raise CameraError(f"{error}; waited {now - self._lost_at:.0f} s for it") from error
                if str(error) != self._problem:
                    outlook = "waiting for it" if self._can_reconnect else f"the run ends in {MAX_RETRY_SECONDS:g} s"
                    self._report(f"{error}; {outlook}", True)
                self._problem = str(error)
                if not self._wait(self._backoff.next() if self._can_reconnect else MAX_RETRY_SECONDS):
                    return
                if not self._can_reconnect:
                    raise

    def _wait(self, seconds: float) -> bool:
        """Wait, as `wait_reason` announces; return whether the time is over, False if `stopped`."""
        self._wait_ends = time.monotonic() + seconds
        while (left := self._wait_ends - time.monotonic()) > 0:
            if self._stopped():
                return False
            time.sleep(min(left, POLL_SECONDS))
        return True

    def _frames_until_lost(self) -> Frames:
        self._can_reconnect = True  # until something was opened
        frames, self._can_reconnect = self._open_camera()
        with closing(frames):
            for frame in frames:
                if self._connected_at is None:
                    self._connected_at = time.monotonic()
                    if self._problem:
                        self._report(f"the camera is back after {self._connected_at - self._lost_at:.0f} s", False)
                        self._problem = ""
                    if self._last_frame:
                        gap = frame.captured_at - self._last_frame.captured_at
                        self._time_offset = self._last_frame.time + gap - frame.time
                        self._index_offset = self._last_frame.index + 1 - frame.index
                self._last_frame = replace(
                    frame, time=frame.time + self._time_offset, index=frame.index + self._index_offset
                )
                yield self._last_frame
