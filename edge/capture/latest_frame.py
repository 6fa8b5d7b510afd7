"""The newest frame of a live camera: a thread reads all frames, and the loop gets the last one, which it decodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from types import TracebackType
from typing import Self

from edge.capture.encoded_frame import EncodedFrame, FrameDecoder
from edge.capture.frame_rate import POLL_SECONDS
from edge.errors import CameraError
from edge.types import Frame

CLOSE_TIMEOUT_SECONDS = 0.6  # for the frame that the camera is reading at the end: a run stops within a second
# The loop has waited this long for a frame: the camera is considered stuck. Cameras that detect it themselves give up
# before; OpenCV's V4L2 reader does after 10 s.
STUCK_TIMEOUT_SECONDS = 20.0
# The most that a poll counts as a wait: of a process that was stopped (Ctrl-Z) or a machine that was suspended, the
# camera's thread was as well.
MAX_POLL_SECONDS = 5 * POLL_SECONDS


class LatestFrame:
    """An iterator over the newest frames of `frames`; skipped ones show as a gap in their index.

    A context manager: entering starts the thread, leaving stops it and closes the camera.

    Args:
        frames: of the camera.
        stopped: asked while no frame comes, and after a damaged one; ends the iteration if true.
        waiting: asked while no frame comes; true while none can come for a known reason, so that the camera is not
            considered stuck.
    """

    def __init__(
        self,
        frames: Generator[Frame | EncodedFrame, None, None],
        stopped: Callable[[], bool] = lambda: False,
        waiting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._frames, self._stopped, self._waiting = frames, stopped, waiting
        self._changed = threading.Condition()
        self._frame: Frame | EncodedFrame | None = None
        self._decoder = FrameDecoder()
        self._error: BaseException | None = None
        self._ended = self._running = False
        # A daemon: a camera that is stuck in its driver must not keep the process from ending.
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)

    def __enter__(self) -> Self:
        self._running = True
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = False
        self._thread.join(CLOSE_TIMEOUT_SECONDS)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        """Return the newest frame that was not returned before; wait for one if there is none.

        Raises what the camera raised; CameraError when all its images are damaged, and when it is stuck, which only a
        new process can resolve, as its thread never ends.
        """
        while (frame := self._decoder.decode(self._take())) is None:
            if self._stopped():
                raise StopIteration
        return frame

    def _take(self) -> Frame | EncodedFrame:
        with self._changed:
            waited, polled = 0.0, time.monotonic()
            while not self._changed.wait_for(lambda: self._frame is not None or self._ended, POLL_SECONDS):
                if self._stopped():
                    raise StopIteration
                now = time.monotonic()
                waited += min(now - polled, MAX_POLL_SECONDS)
                polled = now
                if self._waiting():
                    waited = 0.0
                elif waited > STUCK_TIMEOUT_SECONDS:
                    raise CameraError(
                        f"the camera is stuck: no frame and no error for {STUCK_TIMEOUT_SECONDS:g} s; unplug it and "
                        "plug it in again; if it is on the network, check that and the name server"
                    )
            frame, self._frame = self._frame, None
            if frame is not None:
                return frame
            if self._error is not None:
                raise self._error
            raise StopIteration

    def _read(self) -> None:
        try:
            with closing(self._frames) as frames:
                for frame in frames:
                    with self._changed:
                        self._frame = frame
                        self._changed.notify_all()
                    if not self._running:
                        break
        except BaseException as error:  # noqa: BLE001 (raised by __next__; nobody asks for one of closing the camera)
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
