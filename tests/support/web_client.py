"""The sink `web` on a free port, and a client of it: needs tornado."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlencode

import cv2
import numpy as np
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from edge.sinks.web import Sink
from edge.types import FaceResult, FrameResult, RunInfo, RunStats
from tests.support.fakes import FAKE_LABELS, frame_result

TOKEN = "correct-horse-battery"
RUN_INFO = RunInfo(live=True, labels=FAKE_LABELS, describe_model=lambda: "tiny 1")
TIMEOUT_SECONDS = 30.0  # only a failing test waits as long
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Response(NamedTuple):
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cookie(self) -> str:
        """The cookie that it sets, without its attributes."""
        return str(self.headers["Set-Cookie"]).split(";")[0]


class WebClient:
    """A client of the running `sink`."""

    def __init__(self, sink: Sink) -> None:
        self.sink, self.host, self.port = sink, sink.address.host, sink.address.port

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Response:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Response:
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post_photo(self, content: bytes, content_type: str = "image/jpeg", **headers: str) -> Response:
        return self.request("POST", "/api/analyze", content, {"Content-Type": content_type, **headers})

    def log_in(self, token: str = TOKEN) -> Response:
        return self.request("POST", "/login", urlencode({"token": token}), FORM)

    def log_out(self, **headers: str) -> Response:
        return self.request("POST", "/logout", "", {**FORM, **headers})

    @contextmanager
    def stream(self, path: str = "/api/events", buffer_bytes: int = 0, **headers: str) -> Iterator[BinaryIO]:
        """Give the bytes of a response that does not end, as a file."""
        with socket.socket() as connection:
            if buffer_bytes:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect((self.host, self.port))
            lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            connection.sendall("\r\n".join(lines).encode())
            with connection.makefile("rb") as content:
                yield content

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Return what Prometheus reads: name -> (labels, value) of each sample."""
        response = self.get("/metrics")
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(response.body.decode()):
            assert family.documentation.endswith(".")
            assert family.type in ("counter", "gauge", "histogram"), family
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return samples

    def client_counts(self) -> dict[str, float]:
        """Return stream -> number of its clients."""
        return {labels["stream"]: count for labels, count in self.metrics()["emotion_edge_web_clients"]}


@contextmanager
def running_sink(argument: str = "0", run_info: RunInfo = RUN_INFO) -> Iterator[WebClient]:
    with Sink(argument, run_info) as sink:
        yield WebClient(sink)


def nth_result(index: int, *faces: FaceResult, **of_frame: Any) -> FrameResult:
    """Return the result of the frame `index` of a run that skipped none."""
    return replace(frame_result(*faces, index=index, **of_frame), stats=RunStats(index + 1, 0, 30.0))


def read_head(content: BinaryIO) -> tuple[int, dict[str, str]]:
    """Return status and headers at the start of a response that does not end."""
    status = int(content.readline().split()[1])
    fields = iter(lambda: content.readline().decode().strip(), "")
    return status, dict(field.split(": ", 1) for field in fields)


def next_event(content: BinaryIO, name: str) -> Any:
    """Return the data of the next event `name`."""
    while True:
        line = content.readline()
        assert line, "the stream has ended"
        if line == f"event: {name}\n".encode():
            return json.loads(content.readline().removeprefix(b"data: "))


def next_image(content: BinaryIO) -> NDArray[np.uint8]:
    """Return the next image of an MJPEG response, decoded."""
    while not (found := re.match(rb"Content-Length: (\d+)", line := content.readline())):
        assert line, "the stream has ended"
    content.readline()
    image = cv2.imdecode(np.frombuffer(content.read(int(found[1])), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()
