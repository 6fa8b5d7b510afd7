"""A run as a service has it, in a real process: with a manager that listens, and a camera that comes and goes."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from tests.support.paths import ROOT

PATIENCE = 30.0  # seconds to wait for anything: only a failing test waits as long

# OpenCV opens any file as if it were the device, so that a video is a camera whose plug is pulled at its end, and a
# FIFO that nobody writes to is one that hangs in its driver.
PROGRAM = """
import sys
import cv2
real = cv2.VideoCapture
cv2.VideoCapture = lambda path, _: real(path)
from edge.capture import latest_frame as newest
from edge.capture import reconnecting as reopen
from edge.cli import main
{extra}
main()
"""


class Manager:
    """A service manager: what it is told is in `told`, one message a line. A context manager."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.told: list[str] = []
        self._heard = threading.Condition()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def until(self, words: str, after: int = 0) -> int:
        """Return the number of the first message from number `after` on that holds `words`, waiting for it."""

        def numbers() -> list[int]:
            return [number for number, text in enumerate(self.told) if number >= after and words in text]

        with self._heard:
            assert self._heard.wait_for(numbers, PATIENCE), (words, self.told)
            return numbers()[0]

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            with self._heard:
                self.told.append(message.decode())
                self._heard.notify_all()


class Run:
    """`edge ARGUMENTS` in a process of its own. A context manager that leaves no process behind.

    Args:
        extra: lines of Python that run before, with `newest`, `reopen` and `cv2` at hand.
        manager: who is told how it is doing.
        watchdog: its watchdog's time in seconds.
        stdout: file descriptor.
    """

    def __init__(
        self,
        *arguments: object,
        extra: str = "",
        manager: Manager | None = None,
        watchdog: float = 0,
        stdout: int = subprocess.DEVNULL,
    ):
        plain = {key: value for key, value in os.environ.items() if not key.startswith("OPENCV_")}
        told = {"NOTIFY_SOCKET": manager.address} if manager else {}
        fed = {"WATCHDOG_USEC": f"{watchdog * 1e6:.0f}"} if watchdog else {}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(extra=extra), *map(str, arguments)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**plain, **told, **fed},
        )
        self.lines: list[str] = []  # of stderr
        self._coming: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._thread.join()
        assert self.process.stderr
        self.process.stderr.close()

    def until(self, words: str) -> str:
        """Return the next line on stderr that holds `words`, waiting for it."""
        while True:
            try:
                line = self._coming.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"not said: {words}; but {self.lines}") from None
            if words in line:
                return line

    def end(self) -> int:
        """Return the exit status, waiting for it."""
        status = self.process.wait(PATIENCE)
        self._thread.join()
        return status

    def stop(self) -> float:
        """Send SIGTERM and return how many seconds the process still took."""
        start = time.monotonic()
        self.process.terminate()
        self.process.wait(PATIENCE)
        seconds = time.monotonic() - start
        self._thread.join()
        return seconds

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            self._coming.put(line.rstrip("\n"))


def recording(path: Path, frames: int) -> Path:
    """Write a video of even gray images."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for _ in range(frames):
        writer.write(np.full((480, 640, 3), 100, np.uint8))
    writer.release()
    return path


def until(true) -> None:
    """Wait until `true()`."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
