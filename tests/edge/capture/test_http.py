"""A network camera with HTTP delivers Motion JPEG or a video, verified and with a login, until it stops."""

import threading
from contextlib import closing
from itertools import islice

import cv2
import numpy as np
import pytest

from edge.capture import http, reconnecting
from edge.capture import registry as cameras
from edge.capture.latest_frame import LatestFrame
from edge.capture.reconnecting import ReconnectingCamera
from edge.errors import CameraError
from tests.support.mjpeg_server import CameraServer, mjpeg

LEVELS = (40, 120, 200)  # of gray, of the images that the camera sends


@pytest.fixture(autouse=True)
def no_login(monkeypatch):
    for name in ("USER", "PASSWORD"):
        monkeypatch.delenv(f"EMOTION_EDGE_CAMERA_{name}", raising=False)


def images():
    return [cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes() for level in LEVELS]


def read_levels(url: str, count: int = len(LEVELS)) -> list[int]:
    """Return the gray levels of the first `count` images."""
    with closing(cameras.frames(url)) as frames:
        return [round(float(frame.gray.mean())) for frame in islice(frames, count)]


def test_the_images_of_an_mjpeg_camera_arrive_in_gray_and_color():
    with CameraServer(mjpeg(images())) as server, closing(cameras.frames(server.url())) as frames:
        found = list(islice(frames, 3))
    assert [round(float(frame.gray.mean())) for frame in found] == list(LEVELS)
    assert [frame.index for frame in found] == [0, 1, 2]
    assert found[0].color().shape == (48, 64, 3)


def test_a_damaged_image_is_left_out():
    first, _, last = images()
    with CameraServer(mjpeg([first, b"no image", last])) as server:
        assert read_levels(server.url(), 2) == [LEVELS[0], LEVELS[2]]


def test_a_video_is_decoded_as_it_comes(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for level in LEVELS:
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    with CameraServer([path.read_bytes()], "video/x-msvideo", ends=True) as server:
        assert read_levels(server.url()) == pytest.approx(LEVELS, abs=3)
        with pytest.raises(CameraError, match="stopped delivering after 3 frames"):
            read_levels(server.url(), 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"content_type": "image/jpeg"}, "a single image"),
        ({"content_type": "text/html"}, "a page or a text"),
        ({"content_type": "application/vnd.apple.mpegurl"}, "a playlist"),
        ({"content_type": "multipart/x-mixed-replace"}, "no boundary"),
        ({"content_type": "video/mp4", "ends": True}, "cannot be decoded as a video"),
        (
            {"content_type": "video/mp4", "headers": [("Content-Length", "5200000")]},
            "a file of 5.2 MB, not a stream; download it",
        ),
        ({"status": 404}, "no stream of that path"),
        ({"status": 302, "headers": [("Location", "http://127.0.0.1:1/")]}, "not followed"),
        ({"status": 500}, "status 500"),
        ({"challenge": 'Basic realm="camera"'}, "asks for a user and a password"),
        ({"challenge": "Bearer"}, "cannot be opened"),
        ({"ends": True}, "ended its stream"),
    ],
)
def test_what_is_no_stream_is_refused_with_the_reason(options, message):
    with CameraServer([b""], **options) as server, pytest.raises(CameraError, match=message):
        read_levels(server.url())


def test_a_camera_that_is_not_there_is_an_error():
    with CameraServer([]) as server:
        url = server.url()
    with pytest.raises(CameraError, match=r"cannot be opened \(Connection refused\)"):
        read_levels(url)


def test_a_camera_that_falls_silent_is_given_up(monkeypatch):
    monkeypatch.setattr(http, "CONNECT_TIMEOUT_SECONDS", 0.1)
    with CameraServer(mjpeg(images())) as server, pytest.raises(CameraError, match="stopped delivering"):
        read_levels(server.url(), 4)


def test_a_camera_that_sends_an_image_byte_by_byte_is_given_up(monkeypatch):
    monkeypatch.setattr(http, "IMAGE_TIMEOUT_SECONDS", -1.0)  # over at once
    with CameraServer(mjpeg(images())) as server, pytest.raises(CameraError, match="no complete image"):
        read_levels(server.url())


@pytest.mark.parametrize(
    ("challenge", "expected"),
    [
        ('Basic realm="camera"', "Basic YWRtaW46aHVudGVyMg=="),
        ('Digest realm="camera", nonce="n", qop="auth", algorithm=MD5', "Digest username="),
    ],
)
def test_a_login_is_sent_only_when_the_camera_asks(challenge, expected, monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", "hunter2")
    with CameraServer(mjpeg(images()), challenge=challenge) as server:
        assert read_levels(server.url().replace("//", "//admin@")) == list(LEVELS)
    (_, first), (_, second) = server.requests
    assert first == ""
    assert second.startswith(expected)


def test_a_login_in_the_query_is_filled_in_and_never_shown(monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_USER", "admin")
    monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", "hunter2")
    with CameraServer([], status=404) as server, pytest.raises(CameraError) as caught:
        read_levels(server.url("/video?u={user}&pwd={password}"))
    assert server.requests == [("/video?u=admin&pwd=hunter2", "")]
    assert "hunter2" not in str(caught.value)


def test_a_certificate_is_verified_with_its_name(camera_certificate):
    with CameraServer(mjpeg(images()), certificate=camera_certificate) as server:
        for end, host in (("", "localhost"), (f"#ca={camera_certificate}", "127.0.0.1")):
            with pytest.raises(CameraError, match=r"self-signed|IP address mismatch"):
                read_levels(server.url(host=host) + end)
        assert server.requests == []
        for end, host in ((f"#ca={camera_certificate}", "localhost"), ("#insecure", "127.0.0.1")):
            assert read_levels(server.url(host=host) + end) == list(LEVELS)


def test_a_camera_that_was_killed_is_opened_again(monkeypatch):
    monkeypatch.setattr(reconnecting, "FIRST_RETRY_SECONDS", 0.05)
    reports, left = [], threading.Event()
    server = CameraServer(mjpeg(images()), ends=True)
    server.__enter__()
    url = server.url()
    camera = ReconnectingCamera(
        lambda: (cameras.undecoded_frames(url), cameras.can_reconnect(url)),
        lambda message, is_problem: reports.append((message, is_problem)),
        left.is_set,
    )
    with LatestFrame(camera.frames(), waiting=lambda: camera.wait_reason is not None) as frames:
        first = next(frames)
        server.__exit__(None, None, None)
        with CameraServer(mjpeg(images()), port=server.port):
            while (frame := next(frames)).index < len(LEVELS):
                assert frame.index > first.index
        left.set()
    assert [is_problem for _, is_problem in reports[:2]] == [True, False]  # the second server is gone by now, too
