"""The options of the sink `web`, and its life from start to stop."""

import errno
import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks import registry
from edge.types import RunInfo
from tests.support.commands import EDGE, open_descriptors, run_edge
from tests.support.kiosk import EdgeProcess, wait_until

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from edge.sinks import web
from edge.sinks.web import Sink, server
from edge.sinks.web.run_state import RunState
from tests.support.web_client import (
    RUN_INFO,
    TIMEOUT_SECONDS,
    TOKEN,
    WebClient,
    encode_jpeg,
    next_event,
    nth_result,
    running_sink,
)

STOP_LIMIT_SECONDS = 5.0  # TimeoutStopSec= of the service, after which systemd kills it


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("localhost:99999", "'localhost:99999' is not an address"),
        ("localhost:http", "not an address"),
        (":8080", "not an address"),
        ("::1", "not an address"),
        ("8080,images", "did you mean image"),
        ("fps=3", "needs the option 'image'"),
        ("image,fps=100", "a number from 0.1 to 30"),
        ("0.0.0.0,insecure,token-file=x", "both token-file and insecure"),
        ("image=yes", "image"),
        ("images", "neither an option nor an address"),
    ],
)
def test_wrong_argument_is_refused_when_the_sink_is_made(argument, words):
    with pytest.raises(UsageError, match="sink web: ") as raised:
        Sink(argument)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("", "127.0.0.1:8080"),
        ("9000", "127.0.0.1:9000"),
        ("image", "127.0.0.1:8080"),
        ("localhost", "localhost:8080"),
        ("0.0.0.0:81", "0.0.0.0:81"),
        ("[::1]:81", "[::1]:81"),
        ("[::]", "[::]:8080"),
    ],
)
def test_address_is_a_port_a_host_or_both(argument, address):
    assert str(Sink(argument).address) == address


def test_making_a_sink_opens_nothing_and_reads_no_token():
    before = open_descriptors(), threading.active_count()
    Sink("0.0.0.0,token-file=/does/not/exist")
    assert (open_descriptors(), threading.active_count()) == before


def test_port_in_use_is_one_line_of_error(client):
    result = run_edge("run", "synthetic", "-s", f"web:{client.port}", "--duration", 1)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"edge: error: web: cannot listen on 127.0.0.1:{client.port} (address already in use)")


def test_address_of_another_device_is_an_error(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_WEB_TOKEN", TOKEN)
    with pytest.raises(SinkError, match=r"192\.0\.2\.7:0 \(cannot assign requested address\)"):
        Sink("192.0.2.7:0").__enter__()


def test_service_without_network_is_pointed_to_its_configuration(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EAFNOSUPPORT, "as by the unit's RestrictAddressFamilies=")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(SinkError, match=r"systemd/network\.conf"):
        Sink("0").__enter__()


@pytest.mark.parametrize(("module", "package"), [("tornado.iostream", "tornado"), ("prometheus_client",) * 2])
def test_missing_package_names_what_to_install(module, package):
    program = f"import sys; sys.modules['{module}'] = None\nfrom edge.sinks import registry; registry.find('web')"
    stderr = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stderr
    last = stderr.splitlines()[-1]
    assert last.startswith("edge.errors.UsageError")
    assert package in last
    assert last.endswith("[web]'")


def test_module_loads_only_if_the_sink_is_named():
    assert "web" in registry.names()
    program = (
        "import sys; from edge.sinks import registry; registry.find('console'); sys.exit('tornado' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_reachable_address_without_a_token_is_refused():
    with pytest.raises(UsageError, match=r"0\.0\.0\.0:0.* set a token"):
        Sink("0.0.0.0:0").__enter__()


def test_insecure_allows_access_and_warns_once(caplog):
    caplog.set_level("INFO", "edge")
    with running_sink("0.0.0.0:0,insecure,image") as client:
        assert client.get("/api/result").status == 200
    url, warning = [record for record in caplog.records if record.name.startswith("edge")]
    assert re.fullmatch(r"web: http://[\w.]+:\d+/", url.getMessage())
    assert "0.0.0.0" not in url.getMessage()
    assert warning.levelname == "WARNING"
    assert "insecure" in warning.getMessage()
    assert "image" in warning.getMessage()


def test_sink_can_be_reopened_and_leaves_nothing_behind():
    sink = Sink("0", RUN_INFO)
    with sink:
        pass
    before = open_descriptors(), threading.active_count()
    for index in range(3):
        with sink:
            sink.write(nth_result(index))
            assert WebClient(sink).get("/healthz").status == 200
    assert (open_descriptors(), threading.active_count()) == before


def test_server_error_is_raised_by_the_next_write(monkeypatch):
    async def fail(_):
        raise RuntimeError("made up")

    def write_fails(sink: Sink) -> bool:
        try:
            sink.write(nth_result(0))
        except SinkError as error:
            return "RuntimeError: made up" in str(error)
        return False

    monkeypatch.setattr(server, "publish_events", fail)
    with running_sink() as client:
        wait_until(lambda: write_fails(client.sink))


def test_stop_does_not_wait_for_a_blocked_server(client, monkeypatch):
    blocked, released = threading.Event(), threading.Event()

    def block(*_):
        blocked.set()
        released.wait(TIMEOUT_SECONDS)
        return {"second": 0}

    monkeypatch.setattr(RunState, "last_result", block)
    sender = threading.Thread(target=send_without_response, args=(client.get, "/api/result"))
    sender.start()
    assert blocked.wait(TIMEOUT_SECONDS)
    start = time.monotonic()
    client.sink.__exit__(None, None, None)
    assert time.monotonic() - start < STOP_LIMIT_SECONDS
    released.set()
    sender.join()


def test_stop_closes_streams_and_does_not_wait_for_a_photo(portrait):
    analyzing, released = threading.Event(), threading.Event()

    def analyze(_):
        analyzing.set()
        released.wait(TIMEOUT_SECONDS)
        return ()

    with running_sink("0,image", RunInfo(True, ("calm",), str, analyze)) as client, client.stream() as content:
        next_event(content, "init")
        photo = encode_jpeg(portrait)
        sender = threading.Thread(target=send_without_response, args=(client.post_photo, photo))
        sender.start()
        assert analyzing.wait(TIMEOUT_SECONDS)
        start = time.monotonic()
        client.sink.__exit__(None, None, None)
        assert time.monotonic() - start < STOP_LIMIT_SECONDS
        content.read()  # returns, as the connection is closed
        released.set()
        sender.join()


def send_without_response(send, argument) -> None:
    with suppress(ConnectionError, http.client.HTTPException):
        send(argument)


STUCK_WORKER = """
from edge import app
from edge.system.worker_process import WorkerProcess, command
app.make_image_worker = lambda _: WorkerProcess(command("tests.support.worker"))
"""


def test_photo_that_is_being_analyzed_does_not_delay_the_end(tmp_path, monkeypatch):
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    with EdgeProcess("run", "synthetic", "-s", "web:0", patch=STUCK_WORKER) as run:
        found = re.search(r"http://([\d.]+):(\d+)/", run.wait_for_line("http"))
        assert found
        with closing(http.client.HTTPConnection(found[1], int(found[2]), timeout=TIMEOUT_SECONDS)) as connection:
            connection.request("POST", "/api/analyze", b"loop", {"Content-Type": "image/jpeg"})
            wait_until((tmp_path / "started").exists)
            assert run.stop() < STOP_LIMIT_SECONDS
    assert run.process.returncode == 0, run.lines


def test_command_serves_and_stops_with_a_client_connected():
    with subprocess.Popen([EDGE, "run", "synthetic", "-s", "web:0"], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stderr.readline())
            assert found
            port = int(found[1])
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
                wait_until(lambda: receives_frames(connection))
            with socket.create_connection(("127.0.0.1", port)) as stream:
                stream.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert stream.recv(10)
                start = time.monotonic()
                process.terminate()
                process.wait(TIMEOUT_SECONDS)
                assert time.monotonic() - start < STOP_LIMIT_SECONDS
        finally:
            process.kill()
            stderr = process.communicate()[1]
    assert process.returncode == 0, stderr


def receives_frames(connection: http.client.HTTPConnection) -> bool:
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    response.read()
    return response.status == 200


def test_start_that_takes_too_long_is_an_error(monkeypatch):
    async def never_ready(*_):
        return

    monkeypatch.setattr(web, "START_SECONDS", 0.01)
    monkeypatch.setattr(server.Server, "serve", never_ready)
    with pytest.raises(SinkError, match="did not start"):
        Sink("0", RUN_INFO).__enter__()
