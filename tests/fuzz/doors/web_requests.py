"""Requests of strangers to the page: any bytes on a connection to the sink `web`, which requires a token."""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import suppress
from functools import cache

from edge.sinks.web import Sink, authentication, photo_queue
from edge.types import RunInfo
from tests.fuzz.door import Door
from tests.support.fakes import face_result, frame_result

TOKEN = "correct-horse-battery"
ANSWER_SECONDS = 0.05  # until an incomplete request is given up; a complete one is answered sooner
TIMEOUT_SECONDS = 20.0
ATTEMPTS = 10  # to see that the server answers: a campaign runs behind all other processes, and may wait for minutes
STREAMS = re.compile(rb"/api/(events|stream)")


class RefusedError(Exception):
    """The server answered with an error of the client, or closed the connection."""


@cache
def server() -> Sink:
    os.environ["EMOTION_EDGE_WEB_TOKEN"] = TOKEN
    authentication.MAX_FAILED_LOGINS = photo_queue.MAX_PHOTOS = sys.maxsize  # all inputs come from one address
    sink = Sink("0,image", RunInfo(live=True, labels=("calm", "cross"), describe_model=lambda: "tiny 1"))
    sink.__enter__()
    sink.write(frame_result(face_result()))
    return sink


def seeds() -> list[bytes]:
    token, form = f"Authorization: Bearer {TOKEN}", "Content-Type: application/x-www-form-urlencoded"
    multipart = b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\na\r\n--x--'
    chunks = b"3\r\nabc\r\n0\r\n\r\n"
    return [
        request("GET /healthz HTTP/1.1"),
        request("HEAD /healthz HTTP/1.0", "Connection: keep-alive"),
        request("GET /api/result HTTP/1.1", token)
        + request("GET /metrics HTTP/1.1", token, "Accept: application/openmetrics-text;version=1.0.0;q=0.5"),
        request("GET /page/app.js HTTP/1.1", 'Cookie: emotion-edge="2|1:0|10:9|1:a|4:MA==|x"'),
        request("POST /login HTTP/1.1", form, body=f"token={TOKEN}".encode()),
        request("POST /login HTTP/1.1", "Content-Type: multipart/form-data; boundary=x", body=multipart),
        request("POST /logout HTTP/1.1", token, "Origin: http://localhost"),
        request("POST /api/analyze HTTP/1.1", token, "Content-Type: image/jpeg", body=b"abc"),
        request("POST /api/analyze HTTP/1.1", token, "Content-Type: a/b", "Transfer-Encoding: chunked") + chunks,
    ]


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([line, "Host: localhost", *headers, *length, "", ""]).encode() + body


def receive(content: bytes) -> None:
    """Send `content`, read what is answered, and check that the server has not failed and still answers."""
    answer = exchange(content)
    assert b"HTTP/1.1 500" not in answer, answer[:300]
    health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    alive = next(filter(None, (exchange(health) for _ in range(ATTEMPTS))), b"")
    assert alive.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")), alive[:300]
    if not re.match(rb"HTTP/1\.1 [23]", answer):
        raise RefusedError(answer[:100])


def exchange(content: bytes) -> bytes:
    """Return what the server answers until it closes the connection; of a stream the first bytes."""
    answer = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", server().address.port)) as connection:
        connection.sendall(content)
        connection.settimeout(ANSWER_SECONDS)
        with suppress(TimeoutError):  # an incomplete request: the server waits for the rest
            answer = connection.recv(65_536)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.shutdown(socket.SHUT_WR)
        while not STREAMS.search(content) and (block := connection.recv(65_536)):
            answer += block
    return answer


DOOR = Door(
    seeds,
    receive,
    refusals=(RefusedError,),
    test_inputs=200,
    tokens=(
        *(b"\r\n", b"\r\n\r\n", b"\r\n ", b"\0", b"\xff", b"%00", b"../", b"http://[", b"HTTP/9.9", b"; boundary="),
        *(b"Origin: http://[\r\n", b"Host: [::1\r\n", b"Authorization: Bearer \xe9\r\n", b"Cookie: emotion-edge=2|"),
        *(b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n"),
        *(b"Expect: 100-continue\r\n", b"Range: bytes=0-\r\n", b"Upgrade: websocket\r\n", b"If-None-Match: *\r\n"),
    ),
    campaign_inputs=25_000,
)
