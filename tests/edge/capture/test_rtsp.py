"""A network camera with RTSP: FFmpeg gets the options that protect, says nothing, and a failure has its reason."""

import os
import socket
import subprocess
import threading
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import cv2
import pytest

from edge.capture import reconnecting, rtsp
from edge.capture import registry as cameras
from edge.capture.latest_frame import LatestFrame
from edge.capture.reconnecting import ReconnectingCamera
from edge.errors import CameraError, SettingsError
from tests.support.commands import EDGE

SERVER = Path(__file__).parents[2] / "support" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"
PASSWORD = "hunter2@:/"
OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


class FakeCapture:
    """Replaces cv2.VideoCapture: keeps what it was opened with, and delivers nothing."""

    opened: tuple[str, dict[str, str]]

    def __init__(self, address, *_):
        FakeCapture.opened = address, dict(each.split(";") for each in os.environ[OPTIONS].split("|"))

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return True

    def read(self):
        return False, None

    def release(self):
        pass


def opened_with(source: str, monkeypatch) -> tuple[str, dict[str, str]]:
    """Return the address and the options that FFmpeg gets for `source`."""
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with pytest.raises(CameraError, match="stopped delivering after 0 frames"):
        next(rtsp.frames(source))
    return FakeCapture.opened


def test_ffmpeg_verifies_the_certificate_unless_insecure_is_said(camera_certificate, monkeypatch):
    _, verifying = opened_with(f"rtsps://camera/live#ca={camera_certificate}", monkeypatch)
    assert (verifying["tls_verify"], verifying["verifyhost"]) == ("1", "camera")
    assert verifying["ca_file"] == str(camera_certificate)
    assert opened_with("rtsps://camera/live#insecure", monkeypatch)[1]["tls_verify"] == "0"
    with pytest.raises(SettingsError, match="no IP address"):
        next(rtsp.frames("rtsps://192.168.1.2/live"))


def test_ffmpeg_may_use_no_other_protocol(monkeypatch):
    assert opened_with("rtsp://camera/live", monkeypatch)[1] == {"rtsp_transport": "tcp", "protocol_whitelist": "tcp"}


def test_the_login_is_encoded_and_the_environment_restored(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", PASSWORD)
    monkeypatch.setenv(OPTIONS, "of;the user")
    address, _ = opened_with("rtsp://admin@camera/live", monkeypatch)
    assert address == "rtsp://admin:hunter2%40%3A%2F@camera:554/live"
    assert os.environ[OPTIONS] == "of;the user"
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", "x" * 200)
    with pytest.raises(SettingsError, match="at most 127"):
        next(rtsp.frames("rtsp://admin@camera/live"))


@contextmanager
def answering(answer: bytes):
    """Yield the port of a server that answers each connection with `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"RTSP/1.0 401 Unauthorized\r\n\r\n", "asks for a user and a password"),
        (b"RTSP/1.0 404 Not Found\r\n\r\n", "no stream of that path"),
        (b"RTSP/1.0 503 Busy\r\n\r\n", "status 503"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer as an RTSP camera"),
        (b"", "does not answer as an RTSP camera"),
    ],
)
def test_a_camera_that_cannot_be_opened_says_why(answer, message):
    with answering(answer) as port, pytest.raises(CameraError, match=message):
        next(rtsp.frames(f"rtsp://127.0.0.1:{port}/live"))


def test_a_camera_that_is_not_there_is_an_error():
    with pytest.raises(CameraError, match=r"cannot be reached \(Connection refused\)"):
        next(rtsp.frames("rtsp://127.0.0.1:1/live"))


@pytest.mark.slow
def test_a_run_never_prints_the_password(monkeypatch):
    for name, value in {"OPENCV_LOG_LEVEL": "DEBUG", "OPENCV_VIDEOIO_DEBUG": "1", "OPENCV_FFMPEG_DEBUG": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", PASSWORD)
    command = [EDGE, "run", "rtsp://admin@127.0.0.1:1/live", "--debug"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "cannot be reached" in run.stderr
    assert not any(each in run.stdout + run.stderr for each in ("hunter2", "admin", "[tcp @"))


class RealServer:
    """A real RTSP server in a process of its own."""

    def __init__(self, *options: str) -> None:
        command = [SYSTEM_PYTHON, str(SERVER), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            reason = self._process.communicate()[1].strip().splitlines()[-1]
            pytest.skip(f"no RTSP server here, it needs gir1.2-gst-rtsp-server-1.0: {reason}")
        self.port = int(line)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start_server():
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"no {SYSTEM_PYTHON}, which runs the RTSP server")
    servers = []

    def start(*options: str) -> RealServer:
        servers.append(RealServer(*options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def read_frames(source: str, count: int = 2):
    with closing(cameras.frames(source)) as frames:
        return list(islice(frames, count))


@pytest.mark.slow
def test_a_real_camera_that_was_killed_is_read_again(start_server, monkeypatch):
    monkeypatch.setattr(rtsp, "READ_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(reconnecting, "FIRST_RETRY_SECONDS", 0.05)
    server, reports, left = start_server(), [], threading.Event()
    url = f"rtsp://127.0.0.1:{server.port}/live"
    camera = ReconnectingCamera(
        lambda: (cameras.undecoded_frames(url), cameras.can_reconnect(url)),
        lambda message, is_problem: reports.append((message, is_problem)),
        left.is_set,
    )
    with LatestFrame(camera.frames(), waiting=lambda: camera.wait_reason is not None) as frames:
        first = next(frames)
        assert first.gray.shape == (240, 320)
        server.kill()
        start_server("--port", str(server.port))
        while not reports or reports[-1][1]:
            last = next(frames)
        assert last.index > first.index
        left.set()
    assert "stopped delivering" in reports[0][0]


@pytest.mark.slow
def test_a_real_camera_with_tls_and_login_is_verified(start_server, camera_certificate, monkeypatch):
    port = start_server("--password", PASSWORD, "--certificate", str(camera_certificate)).port
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", PASSWORD)
    for source in (f"localhost:{port}/live#ca={camera_certificate}", f"127.0.0.1:{port}/live#insecure"):
        assert len(read_frames(f"rtsps://admin@{source}")) == 2
    with pytest.raises(CameraError, match="certificate is not accepted"):
        read_frames(f"rtsps://admin@localhost:{port}/live")
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", "wrong")
    with pytest.raises(CameraError, match="asks for a user and a password, or refuses them"):
        read_frames(f"rtsps://admin@localhost:{port}/live#insecure")


@pytest.mark.slow
def test_ffmpeg_itself_verifies_the_name_of_a_real_camera(start_server, make_certificate, monkeypatch):
    certificate = make_certificate("another.example")
    port = start_server("--password", PASSWORD, "--certificate", str(certificate)).port
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", PASSWORD)
    monkeypatch.setattr(rtsp, "_explain", lambda _: "FFmpeg refuses it")
    with pytest.raises(CameraError, match="FFmpeg refuses it"):
        read_frames(f"rtsps://admin@localhost:{port}/live#ca={certificate}")
