"""A broker that accepts every client and then sends what a test gives it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Self

CONNACK = {"3.1.1": b"\x20\x02\x00\x00", "5": b"\x20\x03\x00\x00\x00"}


def packet(first: int, content: bytes) -> bytes:
    """Return an MQTT packet: its first byte, the length of `content` in 7 bits a byte, and `content`."""
    length, digits = len(content), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (128 if length else 0))
        if not length:
            return bytes([first]) + bytes(digits) + content


def publish(topic: str, payload: bytes, qos: int = 0, packet_id: int = 1, properties: bytes = b"") -> bytes:
    """Return a PUBLISH packet; `properties` is b"" in MQTT 3.1.1, and begins with their length in MQTT 5."""
    name = topic.encode()
    identifier = struct.pack(">H", packet_id) if qos else b""
    return packet(0x30 | qos << 1, struct.pack(">H", len(name)) + name + identifier + properties + payload)


class HostileBroker:
    """Sends `answer` to each client after its first packet, then reads until the client closes. A context manager.

    Attributes:
        port: on 127.0.0.1.
        connects: the first packet of each client.
        ended: set when a client has closed its connection.
    """

    def __init__(self, answer: Callable[[], Iterable[bytes]]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.connects: list[bytes] = []
        self.sent_bytes = 0
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # ends the wait for a client; closing alone does not
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listening.accept()
                with connection, contextlib.suppress(OSError):  # the client has closed: that is what is wanted
                    self._attack(connection)
                self.ended.set()

    def _attack(self, connection: socket.socket) -> None:
        self.connects.append(connection.recv(4096))
        for content in self._answer():
            connection.sendall(content)
            self.sent_bytes += len(content)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass
