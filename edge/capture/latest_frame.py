"""The newest frame of a live camera: a thread takes what comes, and whoever asks gets the last one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Self

from edge.capture.frame_rate import POLL_SECONDS
from edge.errors import CameraError
from edge.types import Frame

PATIENCE = 0.6  # seconds to wait at the end for a camera that is in the middle of a frame: a stop takes less than one
SILENCE = 20.0  # seconds without a frame after which a camera hangs: one that can tell gives up before, OpenCV after 10


class LatestFrame:
    """An iterator over the newest frames of `frames`; what came in between shows as a gap in their index.

    A context manager: entering starts the thread, leaving stops it and closes the camera.

    Args:
        frames: of the camera.
        stopped: is asked, while no frame comes, whether to end.
        waiting: is asked likewise, whether it is known that none can come; otherwise silence is an error in the end.
    """

    def __init__(
        self,
        frames: Generator[Frame, None, None],
        stopped: Callable[[], bool] = lambda: False,
        waiting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._frames, self._stopped, self._waiting = frames, stopped, waiting
        self._heard = time.monotonic()  # the last frame, or the end of the last wait
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._ended = self._wanted = False
        self.taken = 0  # frames that the camera delivered
        # A camera that hangs in its driver must not keep the process from ending.
        self._thread = threading.Thread(target=self._take, name="camera", daemon=True)

    def __enter__(self) -> Self:
        self._wanted = True
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wanted = False
        self._thread.join(PATIENCE)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        """Return the newest frame that was not returned before, waiting for one.

        Raises what the camera raised; CameraError when it hangs, which only a new process can cure: its thread is lost.
        """
        with self._changed:
            while not self._changed.wait_for(lambda: self._frame is not None or self._ended, POLL_SECONDS):
                if self._stopped():
                    raise StopIteration
                self._listen()
            frame, self._frame = self._frame, None
            if frame is not None:
                return frame
            if self._error is not None:
                raise self._error
            raise StopIteration

    def _listen(self) -> None:
        now = time.monotonic()
        if self._waiting():
            self._heard = now
        elif now - self._heard > SILENCE:
            raise CameraError(f"the camera hangs: no frame and no error for {SILENCE:g} s; plug it out and in again")

    def _take(self) -> None:
        try:
            for frame in self._frames:
                with self._changed:
                    self._frame, self._heard = frame, time.monotonic()
                    self.taken += 1
                    self._changed.notify_all()
                if not self._wanted:
                    break
        except BaseException as error:  # noqa: BLE001 (it is raised where the frame is asked for)
            self._error = error
        finally:
            self._frames.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()
