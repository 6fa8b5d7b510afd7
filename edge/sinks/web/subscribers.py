"""Connections that stay open and receive the same messages, each as fast as it can."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tornado.iostream import IOStream, StreamClosedError

MAX_SUBSCRIBERS = 50  # of one set
STALLED_SECONDS = 10.0  # without progress, after which a subscriber is disconnected


class SubscriberSet:
    """The subscribers of one stream of messages.

    A subscriber that is still receiving a message misses the ones sent meanwhile, so that at most one message is
    queued for each, however slow it is.

    Args:
        buffer_bytes: size of the kernel's send buffer of a connection; small, so that what arrives is recent.
        clock: in seconds; replaced in tests.
    """

    def __init__(self, buffer_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._buffer_bytes, self._clock = buffer_bytes, clock
        self._idle_times: dict[IOStream, float] = {}  # when the subscriber had last received everything
        self.last_message = b""  # empty while there are no subscribers
        self.dropped = 0  # stalled subscribers disconnected since the start

    def __len__(self) -> int:
        return len(self._idle_times)

    @property
    def is_full(self) -> bool:
        return len(self) >= MAX_SUBSCRIBERS

    def add(self, stream: IOStream, first: bytes) -> None:
        """Send `first` to the subscriber at `stream`, and then every message."""
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer_bytes)
        stream.set_nodelay(True)
        stream.set_close_callback(partial(self._remove, stream))
        self._idle_times[stream] = self._clock()
        self._write(stream, first)

    def send(self, message: bytes) -> None:
        """Send `message` to each subscriber that is ready; disconnect those without progress for STALLED_SECONDS."""
        now = self._clock()
        self.last_message = message if self._idle_times else b""
        for stream, idle_time in list(self._idle_times.items()):
            if not stream.writing():
                self._idle_times[stream] = now
                self._write(stream, message)
            elif now - idle_time > STALLED_SECONDS:
                self.dropped += 1
                stream.close()

    def close(self) -> None:
        """Disconnect all subscribers."""
        for stream in list(self._idle_times):
            stream.close()

    def _remove(self, stream: IOStream) -> None:
        self._idle_times.pop(stream, None)
        if not self._idle_times:
            self.last_message = b""

    def _write(self, stream: IOStream, message: bytes) -> None:
        with suppress(StreamClosedError):  # its close callback removes it
            stream.write(message)
