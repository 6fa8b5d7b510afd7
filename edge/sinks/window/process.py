"""The screen as the run sees it: a process of its own, which is handed the newest view whenever it wants one.

A process, because the libraries of a window system end theirs when the display goes (Xlib does), and because drawing
in a thread would take Python's lock from the loop.
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
from numpy.typing import NDArray

from edge.errors import SinkError
from edge.sinks.window.messages import Closed, Drawn, Failed, Look, Opened, View, Word
from edge.types import FrameResult

OPEN_SECONDS = 15.0  # until the screen must be there: a Pi whose SD card is cold takes some for the libraries
GRACE = 0.35  # seconds that the screen has to go by itself: a stop takes less than one in all


class ScreenProcess:
    """The process that draws, the thread that sends it views, and the thread that hears what it says."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._newest: tuple[FrameResult, float] | None = None
        self._size: tuple[int, int] | None = None  # of the screen, once it is there
        self._asked, self._ending = False, False
        self._closed = threading.Event()
        self._error: SinkError | None = None

    def start(self, wait: bool) -> None:
        """Start it, and `wait` for its screen. Raises SinkError saying why there is none."""
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "edge.sinks.registry.window.screen", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # drivers talk a lot; what matters comes as Failed
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        self._threads = [
            threading.Thread(target=work, name=f"sink window: {name}", daemon=True)
            for name, work in (("views", self._send), ("screen", self._listen))
        ]
        for thread in self._threads:
            thread.start()
        if wait:
            self._wait_opened()

    def show(self, seen: FrameResult, fps: float) -> None:
        """Have `seen` shown, unless a newer one comes first. Returns at once. Raises SinkError when the screen went."""
        with self._changed:
            if self._error is not None:
                raise self._error
            self._newest = seen, fps
            self._changed.notify_all()

    def wait_closed(self, seconds: float) -> None:
        """Return after `seconds`, or when somebody closes the window, or when it goes."""
        self._closed.wait(max(0.0, seconds))

    def end(self) -> None:
        """Close the screen; end its process if it does not hear."""
        assert self._process is not None
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(GRACE / 5)
        self._connection.close()

    def _wait_opened(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._size or self._error, OPEN_SECONDS)
            error = self._error
            if error is None and self._size is None:
                error = SinkError(f"window: the screen did not open within {OPEN_SECONDS:g} s")
        if error is not None:
            self.end()
            raise error

    def _send(self) -> None:
        try:
            self._connection.send(self._look)
            while (view := self._next()) is not None:
                self._connection.send(view)
            self._connection.send(None)
        except OSError:
            return  # the process has gone: the other thread says so
        except Exception as error:  # noqa: BLE001 (it is raised where the next view is given)
            self._fail(f"the image could not be made ({type(error).__name__}: {error})")

    def _next(self) -> View | None:
        """Return what is to be shown next, as soon as it is wanted; None in the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or (self._asked and self._newest))
            if self._ending:
                return None
            assert self._newest is not None
            assert self._size is not None
            (seen, fps), size = self._newest, self._size
            self._newest, self._asked = None, False
        return view_of(seen, fps, size if self._look.image else None)

    def _listen(self) -> None:
        try:
            while True:
                self._take(self._connection.recv())
        except (EOFError, OSError):
            assert self._process is not None
            status = self._process.wait()
            self._fail(f"the screen has gone (its process ended {_ending(status)})")

    def _take(self, word: Word) -> None:
        match word:
            case Failed(why):
                self._fail(why)
            case Closed():
                self._close()
            case Opened() | Drawn():
                with self._changed:
                    if isinstance(word, Opened):
                        self._size = word.size
                    else:
                        self._asked = True
                    self._changed.notify_all()

    def _close(self) -> None:
        """End the run as Ctrl-C does: also while it waits for a camera and writes nothing."""
        self._closed.set()
        with self._changed:
            ending = self._ending
        if not ending:
            os.kill(os.getpid(), signal.SIGINT)

    def _fail(self, why: str) -> None:
        with self._changed:
            if self._error is None:  # the first is the reason of the others
                self._error = SinkError(f"window: {why}")
            self._changed.notify_all()
        self._closed.set()


def view_of(seen: FrameResult, fps: float, screen: tuple[int, int] | None) -> View:
    """Return what is shown of `seen`.

    Args:
        seen: one moment.
        fps: of the loop, frames a second.
        screen: its (width, height): the image is made no larger; None: there is no image.
    """
    height, width = seen.frame.gray.shape
    image = None if screen is None else _shrunk(seen.frame.color(), screen)
    return View((width, height), seen.faces, fps, image)


def _shrunk(image: NDArray[np.uint8], screen: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = min(screen[0] / width, screen[1] / height)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _ending(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"
