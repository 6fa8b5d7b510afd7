"""Clients that behave badly: idle connections, unfinished uploads, requests that would fill the journal."""

import logging
import socket
from contextlib import ExitStack

import pytest

from edge.errors import WorkerError
from edge.types import RunInfo
from tests.support.fakes import FAKE_LABELS, FakeClock
from tests.support.kiosk import wait_until

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from edge.sinks.web import connection_limits, photo_queue, server, upload_budget
from edge.sinks.web.connection_limits import ConnectionLimits
from edge.sinks.web.upload_budget import UploadBudget
from edge.system.limited_log import MAX_CHARACTERS, MAX_LINES, LimitedLog, printable
from tests.support.web_client import TIMEOUT_SECONDS, TOKEN, next_event, nth_result, running_sink

BEARER = f"Bearer {TOKEN}"


# ---- connections


class FakeStream:
    def __init__(self):
        self.is_open = True

    def close(self):
        self.is_open = False

    def closed(self):
        return not self.is_open


def add(limits: ConnectionLimits, count: int, address: str, *, is_trusted: bool = False) -> list[FakeStream]:
    streams = [FakeStream() for _ in range(count)]
    for stream in streams:
        limits.add(stream, address)  # type: ignore[arg-type]
        if is_trusted:
            limits.use(stream, is_trusted=True)  # type: ignore[arg-type]
    return streams


def count_open(streams: list[FakeStream]) -> int:
    return sum(stream.is_open for stream in streams)


def test_address_displaces_its_own_connections_only():
    limits = ConnectionLimits()
    other = add(limits, 5, "192.0.2.1")
    streams = add(limits, 60, "192.0.2.2")
    assert count_open(other) == 5
    assert [stream.is_open for stream in streams] == [False] * 10 + [True] * 50


def test_connection_that_was_idle_for_longest_makes_room(monkeypatch):
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(connection_limits, "RESERVED_CONNECTIONS", 1)
    limits = ConnectionLimits()
    first, second, third = (add(limits, 1, f"192.0.2.{number}")[0] for number in range(3))
    limits.use(first, is_trusted=False)  # type: ignore[arg-type]
    add(limits, 1, "192.0.2.9")
    assert (first.is_open, second.is_open, third.is_open) == (True, False, True)
    assert len(limits) == 3


def test_trusted_connections_are_kept_and_leave_some_over():
    limits = ConnectionLimits()
    trusted = add(limits, 250, "192.0.2.1", is_trusted=True)
    assert len(limits) == 200
    strangers = [add(limits, 1, f"198.51.100.{number}")[0] for number in range(100)]
    assert strangers[-1].is_open, "a monitor that reads /healthz"
    assert count_open(trusted) == 180
    assert count_open(strangers) == 20


def idle_connections(stack: ExitStack, client, count: int, first_request: bytes = b"") -> list[socket.socket]:
    connections = []
    for _ in range(count):
        connection = stack.enter_context(socket.create_connection((client.host, client.port), TIMEOUT_SECONDS))
        connections.append(connection)
        if first_request:
            connection.sendall(first_request)
            connection.recv(4096)
    return connections


@pytest.mark.parametrize("first_request", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_idle_connections_of_a_stranger_lock_nobody_out(guarded, first_request):
    guarded.sink.write(nth_result(0))
    with ExitStack() as stack:
        idle_connections(stack, guarded, 220, first_request)
        assert guarded.get("/api/result", Authorization=BEARER).status == 200
        assert guarded.get("/healthz").status == 200


def test_stream_with_the_token_outlives_idle_connections(guarded):
    with guarded.stream(Authorization=BEARER) as events, ExitStack() as stack:
        next_event(events, "init")
        idle_connections(stack, guarded, 220)
        guarded.sink.write(nth_result(0))
        while next_event(events, "result")["frame"] is None:
            pass


def test_connection_without_a_complete_head_is_closed(monkeypatch):
    monkeypatch.setattr(server, "HEAD_TIMEOUT_SECONDS", 0.1)
    with running_sink() as client, ExitStack() as stack:
        for start in (b"", b"GET / HTTP/1.1\r\nHost: loc"):
            (connection,) = idle_connections(stack, client, 1)
            connection.sendall(start)
            assert connection.recv(100) == b"", "closed by the server"


def test_connection_ends_after_its_share_of_requests(guarded, monkeypatch):
    monkeypatch.setattr(connection_limits, "MAX_REQUESTS", 3)
    with socket.create_connection((guarded.host, guarded.port), TIMEOUT_SECONDS) as connection:
        connection.sendall(b"GET /api/result HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
        answers = b"".join(iter(lambda: connection.recv(4096), b""))
    *others, last = answers.split(b"HTTP/1.1 401 ")[1:]
    assert len(others) == 2
    assert b"\r\nConnection: close\r\n" in last
    assert not any(b"Connection: close" in each for each in others)


# ---- uploads


def begin_upload(client, size: int, sent: int = 0) -> socket.socket:
    connection = socket.create_connection((client.host, client.port), TIMEOUT_SECONDS)
    head = (
        f"POST /api/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n\r\n"
    )
    connection.sendall(head.encode() + bytes(sent))
    return connection


def test_budget_is_bounded_in_all_and_for_an_address():
    budget = UploadBudget()
    held = [budget.reserve(f"192.0.2.{number}", 10_000_000) for number in range(3)]
    assert None not in held
    assert budget.reserve("192.0.2.9", 1) is None
    assert held[0] is not None
    for _ in range(2):  # the second time it changes nothing
        held[0].release()
        assert budget.reserved_bytes == 20_000_000
    assert budget.reserve("192.0.2.1", 1) is None, "its own share is used up"
    assert budget.reserve("192.0.2.9", 10_000_000) is not None


def test_memory_of_an_upload_is_reserved_until_it_ends(monkeypatch):
    budgets = []

    class KeptBudget(UploadBudget):
        def __init__(self):
            super().__init__()
            budgets.append(self)

    monkeypatch.setattr(photo_queue, "UploadBudget", KeptBudget)
    with running_sink() as client:
        (budget,) = budgets
        with begin_upload(client, 9_000_000, sent=100_000):
            wait_until(lambda: budget.reserved_bytes == 9_000_000)
            response = client.post_photo(bytes(2_000_000))
            assert (response.status, response.headers["Retry-After"]) == (429, "2")
            assert client.post_photo(bytes(1_000_000)).status == 200
            wait_until(lambda: budget.reserved_bytes == 9_000_000)
        wait_until(lambda: budget.reserved_bytes == 0)
        assert client.post_photo(bytes(2_000_000)).status == 200
        wait_until(lambda: budget.reserved_bytes == 0)


def test_upload_of_unknown_length_reserves_the_most(monkeypatch):
    monkeypatch.setattr(upload_budget, "MAX_BYTES_OF_ADDRESS", photo_queue.MAX_PHOTO_BYTES - 1)
    with running_sink() as client:
        chunks = iter([b"chunk"])
        assert client.request("POST", "/api/analyze", chunks, {"Content-Type": "image/jpeg"}).status == 429


def test_body_of_a_refused_stranger_is_not_received(guarded):
    with begin_upload(guarded, 9_000_000) as connection:  # before its body is sent
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
    with begin_upload(guarded, 1000) as connection:
        connection.sendall(bytes(1000))
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


def test_photo_beyond_the_limits_of_its_process_is_refused(caplog):
    def fail(_):
        raise WorkerError("the process for it ended: SIGXCPU")

    with running_sink("0", RunInfo(labels=FAKE_LABELS, analyze_image=fail)) as client:
        response = client.post_photo(b"photo")
    assert response.status == 422
    assert "within the limits of memory and time" in response.json["error"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "edge: web: a photo could not be analyzed: the process for it ended: SIGXCPU"
    ]


# ---- the journal


def test_origin_that_is_no_url_is_another_site(client, caplog):
    for _ in range(20):
        assert client.request("POST", "/" + "A" * 15_000, headers={"Origin": "http://["}).status == 403
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_errors_of_requests_are_few_and_short_in_the_log(client, caplog, monkeypatch):
    monkeypatch.setattr("edge.sinks.web.run_state.RunState.timeline", None)
    for _ in range(50):
        client.get("/api/events?" + "A" * 10_000)
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == MAX_LINES
    assert max(map(len, lines)) <= MAX_CHARACTERS + 3


def test_lines_that_are_left_out_are_counted(caplog):
    clock = FakeClock()
    log = LimitedLog(logging.getLogger("edge.test"), clock)
    for number in range(MAX_LINES + 7):
        log.log(logging.WARNING, f"line {number}")
    clock.now = 60.0
    log.log(logging.WARNING, "later")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        *(f"line {number}" for number in range(MAX_LINES)),
        "edge: 7 more lines of this kind were left out",
        "later",
    ]


def test_text_of_strangers_cannot_control_a_terminal():
    assert printable("a\x1b[2J\n<3>b\x9b\u202e\ud800é") == r"a\x1b[2J\n<3>b\x9b\u202e\ud800\xe9"
    assert printable("x" * 1000) == "x" * MAX_CHARACTERS + "..."
