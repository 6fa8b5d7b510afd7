"""Connections that stay open and get the same bytes, each as fast as it takes them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tornado.iostream import IOStream, StreamClosedError

MOST = 50  # of events and of images each
PATIENCE = 10.0  # seconds that a viewer may take for what it was sent, before it is dropped


class Viewers:
    """All who look at the same thing. What is sent while one is still taking what was sent before, it never gets.

    So no more than one message waits for each, however slow it is.

    Args:
        buffer: bytes that the kernel may keep for one viewer: little, so that what arrives is new.
        clock: in seconds; another than time's in tests.
    """

    def __init__(self, buffer: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._buffer, self._clock = buffer, clock
        self._taken: dict[IOStream, float] = {}  # when it last had taken everything
        self.dropped = 0  # since the start, because they took nothing

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def is_full(self) -> bool:
        return len(self._taken) >= MOST

    def add(self, stream: IOStream, first: bytes) -> None:
        """Send `first` to the viewer at `stream`, and from then on what all get."""
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)
        stream.set_nodelay(True)
        stream.set_close_callback(partial(self._forget, stream))
        self._taken[stream] = self._clock()
        self._write(stream, first)

    def send(self, message: bytes) -> None:
        """Send `message` to everybody who can take it; drop who has taken nothing for PATIENCE seconds."""
        now = self._clock()
        for stream, taken in list(self._taken.items()):
            if not stream.writing():
                self._taken[stream] = now
                self._write(stream, message)
            elif now - taken > PATIENCE:
                self.dropped += 1
                stream.close()

    def close(self) -> None:
        """Part with everybody."""
        for stream in list(self._taken):
            stream.close()

    def _forget(self, stream: IOStream) -> None:
        self._taken.pop(stream, None)

    def _write(self, stream: IOStream, message: bytes) -> None:
        with suppress(StreamClosedError):  # its callback takes it off the list
            stream.write(message)
