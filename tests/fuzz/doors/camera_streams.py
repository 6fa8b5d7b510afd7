"""What a network camera with HTTP answers: any bytes, as Motion JPEG."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from functools import cache
from itertools import islice

import cv2
import numpy as np

from edge.capture import http
from edge.capture import registry as cameras
from tests.fuzz.door import Door

MAX_FRAMES = 20


class RawServer:
    """Answers each connection on loopback with `answer`, and closes it."""

    def __init__(self) -> None:
        self.answer = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with suppress(OSError), connection:
                connection.recv(65_536)
                connection.sendall(self.answer)


@cache
def server() -> RawServer:
    http.CONNECT_TIMEOUT_SECONDS = 20.0  # a campaign runs behind all other processes
    return RawServer()


def seeds() -> list[bytes]:
    image = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    with_length = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(image), image)
    without = b"--x\r\n\r\n" + image + b"\r\n"
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (with_length, with_length)) + b"0\r\n\r\n"
    multipart = b"Content-Type: multipart/x-mixed-replace; boundary=x\r\n"
    return [
        b"HTTP/1.0 200 OK\r\n" + multipart + b"\r\n" + with_length * 2 + b"--x--",
        b"HTTP/1.1 200 OK\r\n" + multipart + b"\r\n" + without * 2 + b"--x",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + multipart + b"\r\n" + chunked,
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="a", nonce="b", qop="auth"\r\n\r\n',
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
    ]


def receive(content: bytes) -> None:
    """Read the frames of a camera that answers with `content`; the errors of a camera are refusals."""
    server().answer = content
    frames = cameras.frames(f"http://127.0.0.1:{server().port}/")
    for frame in islice(frames, MAX_FRAMES):
        assert frame.gray.ndim == 2


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(b"\r\n", b"\r\n\r\n", b"\n\n", b"--x", b"--x--", b"; boundary=", b'boundary="', b"boundary*=utf-8''%00"),
        *(
            b"Content-Length: 99999999999\r\n",
            b"Content-Length: -1\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"ffffffff\r\n",
        ),
        *(b"WWW-Authenticate: Digest ,=\r\n", b"WWW-Authenticate: Basic\r\n", b"image/jpeg", b"HTTP/9.9 100 \r\n"),
    ),
    test_inputs=200,
)
