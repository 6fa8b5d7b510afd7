"""The run's side of the window: starts the process that draws, and sends it the newest frame whenever it requests one.

It is a process of its own because the libraries of a window system end their process when the display is lost (Xlib
does), and because drawing in a thread would compete with the loop for Python's global interpreter lock.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from multiprocessing import Pipe

import cv2
import numpy as np

from edge.errors import SinkError
from edge.sinks.window.messages import (
    CloseRequested,
    DisplayEvent,
    DisplayFailed,
    DisplayFrame,
    DisplayOptions,
    FrameRequested,
    SizeChanged,
)
from edge.types import FrameResult

OPEN_TIMEOUT_SECONDS = 15.0  # a Pi with a cold SD card takes several seconds to load the libraries
CLOSE_TIMEOUT_SECONDS = 0.35  # before the process is killed: a run stops in less than a second in all


class WindowProcess:
    """The process that draws, a thread that sends it frames, and a thread that receives its events."""

    def __init__(self, options: DisplayOptions) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()  # also the lock of the four below
        self._latest: FrameResult | None = None
        self._size: tuple[int, int] | None = None  # of the window, once it is open
        self._frame_requested, self._closing = False, False
        self._error: SinkError | None = None
        self._closed = threading.Event()  # by the user, or by an error

    def start(self, wait: bool) -> None:
        """Start the process; `wait` until its window is open. Raises SinkError if it cannot be opened."""
        self._connection, remote = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "edge.sinks.window.screen", str(remote.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # drivers print a lot; what matters comes as DisplayFailed
            pass_fds=(remote.fileno(),),
        )
        remote.close()
        self._threads = [
            threading.Thread(target=target, name=f"sink window: {name}", daemon=True)
            for name, target in (("frames", self._send_frames), ("events", self._receive_events))
        ]
        for thread in self._threads:
            thread.start()
        if not wait:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._size or self._error, OPEN_TIMEOUT_SECONDS)
            error = self._error
            if error is None and self._size is None:
                error = SinkError(f"window: did not open within {OPEN_TIMEOUT_SECONDS:g} s")
        if error is not None:
            self.close()
            raise error

    def show(self, result: FrameResult) -> None:
        """Show `result` unless a newer one replaces it. Returns at once. Raises SinkError if the window failed."""
        with self._changed:
            if self._error is not None:
                raise self._error
            self._latest = result
            self._changed.notify_all()

    def wait_closed(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as the window is closed."""
        self._closed.wait(max(0.0, seconds))

    def close(self) -> None:
        """Close the window; kill its process if it does not end in time."""
        assert self._process is not None
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        try:
            self._process.wait(CLOSE_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(CLOSE_TIMEOUT_SECONDS / 5)
        self._connection.close()

    def _send_frames(self) -> None:
        """Send the newest frame whenever the window requests one, until `close`."""
        try:
            self._connection.send(self._options)
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closing or (self._frame_requested and self._latest))
                    result, size = self._latest, self._size
                    self._latest, self._frame_requested = None, False
                    if self._closing:
                        break
                assert result is not None
                self._connection.send(make_display_frame(result, size if self._options.image else None))
            self._connection.send(None)
        except OSError:
            return  # the process has ended: the other thread reports it
        except Exception as error:  # noqa: BLE001 (raised in the next `show`)
            self._fail(f"cannot convert the image ({type(error).__name__}: {error})")

    def _receive_events(self) -> None:
        """Handle the window's events until its process ends."""
        try:
            while True:
                event: DisplayEvent = self._connection.recv()
                with self._changed:
                    match event:
                        case DisplayFailed(reason):
                            self._fail(reason)
                        case SizeChanged(size):
                            self._size = size
                        case FrameRequested():
                            self._frame_requested = True
                        case CloseRequested():
                            self._closed.set()
                            if not self._closing:  # end the run as Ctrl-C does, even if it waits for a camera
                                os.kill(os.getpid(), signal.SIGINT)
                    self._changed.notify_all()
        except (EOFError, OSError):
            assert self._process is not None
            status = self._process.wait()
            reason = f"by signal {-status}" if status < 0 else f"with status {status}"
            self._fail(f"lost the display (its process ended {reason})")

    def _fail(self, reason: str) -> None:
        with self._changed:
            if self._error is None:  # the first error is the cause of the others
                self._error = SinkError(f"window: {reason}")
            self._changed.notify_all()
        self._closed.set()


def make_display_frame(result: FrameResult, window_size: tuple[int, int] | None) -> DisplayFrame:
    """Return what the window shows of `result`.

    Args:
        window_size: (width, height) in pixels, to which a larger image is shrunk; None: without an image.
    """
    height, width = result.frame.gray.shape
    image = None
    if window_size is not None:
        image = result.frame.color()
        scale = min(window_size[0] / image.shape[1], window_size[1] / image.shape[0])
        if scale < 1:
            size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return DisplayFrame((width, height), result.faces, result.stats.fps, image)
