"""A run as the service starts it: a real process, with a service manager, and a camera that can be unplugged."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.support.paths import ROOT

TIMEOUT_SECONDS = 30.0  # for anything that a test waits for: only a failing test waits as long

# OpenCV opens any file as if it were the device: a video is a camera that is unplugged at its end, and a FIFO without a
# writer is a camera that is stuck in its driver. Its images always come in color.
_PROGRAM = """
import sys
import cv2
open_file = cv2.VideoCapture
class FileAsDevice:
    def __init__(self, path, _):
        self._file = open_file(path)
    def set(self, name, value):
        return name != cv2.CAP_PROP_CONVERT_RGB and self._file.set(name, value)
    def __getattr__(self, name):
        return getattr(self._file, name)
cv2.VideoCapture = FileAsDevice
from edge.capture import latest_frame, reconnecting
from edge.cli import main
{patch}
main()
"""


class FakeSystemdManager:
    """The receiving end of a notify socket. A context manager."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._received = threading.Condition()
        self._thread = threading.Thread(target=self._receive)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def wait_for(self, text: str, start: int = 0) -> int:
        """Wait for a message with `text` among those from number `start` on, and return its number."""

        def numbers() -> list[int]:
            return [number for number, message in enumerate(self.messages) if number >= start and text in message]

        with self._received:
            assert self._received.wait_for(numbers, TIMEOUT_SECONDS), (text, self.messages)
            return numbers()[0]

    def _receive(self) -> None:
        while message := self._socket.recv(4096):
            with self._received:
                self.messages.append(message.decode())
                self._received.notify_all()


class EdgeProcess:
    """`edge ARGUMENTS` in a process of its own. A context manager that leaves no process behind.

    Args:
        patch: Python code that runs first; it can use `latest_frame`, `reconnecting` and `cv2`.
        manager: that the process notifies.
        watchdog_seconds: of the manager; 0: no watchdog.
        stdout: file descriptor.
    """

    def __init__(
        self,
        *arguments: object,
        patch: str = "",
        manager: FakeSystemdManager | None = None,
        watchdog_seconds: float = 0,
        stdout: int = subprocess.DEVNULL,
    ):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENCV_")}
        if manager:
            environment["NOTIFY_SOCKET"] = manager.address
        if watchdog_seconds:
            environment["WATCHDOG_USEC"] = f"{watchdog_seconds * 1e6:.0f}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(patch=patch), *map(str, arguments)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self.lines: list[str] = []  # of stderr
        self._new_lines: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read_stderr)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._thread.join()
        assert self.process.stderr
        self.process.stderr.close()

    def wait_for_line(self, text: str) -> str:
        """Wait for the next line on stderr that contains `text`, and return it."""
        while True:
            try:
                line = self._new_lines.get(timeout=TIMEOUT_SECONDS)
            except queue.Empty:
                raise AssertionError(f"no line with {text!r} in {self.lines}") from None
            if text in line:
                return line

    def wait_for_exit(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        status = self.process.wait(TIMEOUT_SECONDS)
        self._thread.join()
        return status

    def stop(self) -> float:
        """Send SIGTERM, wait until the process has ended, and return the seconds that it took."""
        start = time.monotonic()
        self.process.terminate()
        self.process.wait(TIMEOUT_SECONDS)
        seconds = time.monotonic() - start
        self._thread.join()
        return seconds

    def _read_stderr(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            self._new_lines.put(line.rstrip("\n"))


def write_video(path: Path, frames: int) -> Path:
    """Write a video of uniform gray images, and return its path."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for _ in range(frames):
        writer.write(np.full((480, 640, 3), 100, np.uint8))
    writer.release()
    return path


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until `condition()` is true."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.01)
