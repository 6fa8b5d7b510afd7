"""A USB camera delivers frames until it stops; a missing or unusable device is an error; it is always closed."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture import usb, v4l2
from edge.errors import CameraError, UsageError
from tests.support.commands import open_descriptors
from tests.support.fakes import FakeClock

FRAMES = 5
DEVICE = "/dev/null"  # exists, as a device must


@pytest.fixture
def connect_camera(tmp_path, monkeypatch):
    """Return a function that makes DEVICE deliver so many frames: OpenCV reads a video in its place."""
    path = str(tmp_path / "recorded.avi")
    video_capture = cv2.VideoCapture

    def open_video(name, backend):
        assert (name, backend) == (DEVICE, cv2.CAP_V4L2)
        return video_capture(path)

    def connect(frames: int) -> None:
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
        for number in range(frames):
            writer.write(np.full((480, 640, 3), 40 * number, np.uint8))
        writer.release()
        monkeypatch.setattr(cv2, "VideoCapture", open_video)

    return connect


def test_frames_come_in_order_until_the_camera_stops(connect_camera):
    connect_camera(FRAMES)
    source = usb.frames(DEVICE)
    frames = [next(source) for _ in range(FRAMES)]
    with pytest.raises(CameraError, match=f"^{DEVICE}: .*stopped delivering after {FRAMES} frames"):
        next(source)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.gray.mean() for frame in frames] == pytest.approx([0, 40, 80, 120, 160], abs=2)
    assert [frame.color().mean() for frame in frames] == pytest.approx([0, 40, 80, 120, 160], abs=2)
    assert all(later.time > earlier.time >= 0 for earlier, later in pairwise(frames))


def test_a_frame_has_its_arrival_and_its_conversion_time(connect_camera, monkeypatch):
    connect_camera(3)
    clock, convert = FakeClock(50.0), cv2.cvtColor

    def convert_slowly(*arguments):
        clock.now += 0.25
        return convert(*arguments)

    monkeypatch.setattr(usb, "time", clock)
    monkeypatch.setattr(cv2, "cvtColor", convert_slowly)
    source = usb.frames(DEVICE)
    frames = [next(source) for _ in range(3)]
    assert [frame.convert_seconds for frame in frames] == [0.25] * 3
    assert [frame.captured_at for frame in frames] == [50, 50.25, 50.5]  # before the conversion
    assert [frame.time for frame in frames] == [0, 0.25, 0.5]


class FakeCapture:
    """Replaces cv2.VideoCapture: a camera that takes its first format in place of an unknown one, as drivers do."""

    def __init__(self, formats):
        self.formats = [cv2.VideoWriter.fourcc(*name) for name in formats]
        self.settings = {cv2.CAP_PROP_FOURCC: self.formats[0]}

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return True

    def set(self, setting, value):
        if setting == cv2.CAP_PROP_FOURCC and value not in self.formats:
            value = self.formats[0]
        self.settings[setting] = value
        return True  # as OpenCV does, whatever the driver chose

    def get(self, setting):
        return float(self.settings[setting])

    def read(self):
        return True, np.zeros((480, 640, 3), np.uint8)

    def release(self):
        pass


@pytest.mark.parametrize(
    ("formats", "chosen"),
    [(("BGR3", "YUYV", "MJPG"), "MJPG"), (("BGR3", "YUYV"), "YUYV"), (("NV12",), "NV12")],
)
def test_motion_jpeg_is_preferred_then_yuyv(monkeypatch, formats, chosen):
    capture = FakeCapture(formats)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
    next(usb.frames(DEVICE))
    assert capture.settings[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*chosen)


def test_the_size_is_requested_with_the_shortest_queue(monkeypatch):
    capture = FakeCapture(("MJPG",))
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
    next(usb.frames(DEVICE))
    assert capture.settings[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert capture.settings[cv2.CAP_PROP_FRAME_HEIGHT] == 480
    assert capture.settings[cv2.CAP_PROP_BUFFERSIZE] == 1


def test_the_camera_is_closed_when_the_run_ends_early(connect_camera):
    connect_camera(FRAMES)
    before = open_descriptors()
    source = usb.frames(DEVICE)
    next(source)
    source.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("argument", ["/dev/null", "/dev/full"])
def test_a_file_that_is_no_camera_is_refused(argument):
    with pytest.raises(CameraError, match=f"^{argument}: cannot be opened"):
        next(usb.frames(argument))


@pytest.mark.parametrize("argument", ["987654", "/dev/video987654"])
def test_a_missing_device_is_an_error_that_lists_the_others(argument, monkeypatch):
    node = v4l2.VideoNode(Path("/dev/video3"), "Webcam", "uvcvideo", True, (), True)
    monkeypatch.setattr(v4l2, "video_nodes", lambda: [node])
    with pytest.raises(CameraError, match=r"^/dev/video987654: no such camera; found /dev/video3$"):
        next(usb.frames(argument))


def test_a_missing_device_without_others_is_an_error(monkeypatch):
    monkeypatch.setattr(v4l2, "video_nodes", list)
    with pytest.raises(CameraError, match="no such camera; found no video device"):
        next(usb.frames("987654"))


@pytest.mark.parametrize("argument", ["front", "0x", "-1", "1.5"])
def test_an_argument_must_be_a_number_or_a_device(argument):
    with pytest.raises(UsageError, match=f"usb:{argument}: expected a number"):
        next(usb.frames(argument))


def test_without_an_argument_it_is_the_first_device(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(CameraError, match=r"^/dev/video0: "):
        next(usb.frames(""))


def test_the_first_camera_is_detected(monkeypatch):
    nodes = [
        v4l2.VideoNode(Path("/dev/video0"), "unicam", "unicam", True, (), True),
        v4l2.VideoNode(Path("/dev/video2"), "Webcam", "uvcvideo", True, (), True),
        v4l2.VideoNode(Path("/dev/video4"), "Other", "uvcvideo", True, (), True),
    ]
    monkeypatch.setattr(v4l2, "video_nodes", lambda: nodes)
    assert usb.detect() == ("/dev/video2", "found Webcam at /dev/video2")


def test_without_a_camera_none_is_detected(monkeypatch):
    monkeypatch.setattr(v4l2, "video_nodes", list)
    assert usb.detect() == (None, "no USB camera")
