"""A USB camera that is not there, is none, or falls silent is told apart, and is always given back."""

import fcntl
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pytest

from edge.capture import usb
from edge.errors import CameraError, UsageError
from tests.support.commands import open_descriptors

COUNT = 5
DEVICE = "/dev/null"  # it is there, as a device must be


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Let DEVICE deliver as many frames as asked for, and then nothing: OpenCV reads a real video in its place."""
    path = str(tmp_path / "recorded.avi")
    real = cv2.VideoCapture

    def opened(name, backend):
        assert (name, backend) == (DEVICE, cv2.CAP_V4L2)
        return real(path)

    def write(count: int) -> None:
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
        for level in range(count):
            writer.write(np.full((480, 640, 3), 40 * level, np.uint8))
        writer.release()
        monkeypatch.setattr(cv2, "VideoCapture", opened)

    return write


def test_frames_come_one_after_the_other_until_the_camera_stops_delivering(record):
    record(COUNT)
    source = usb.frames(DEVICE)
    taken = [next(source) for _ in range(COUNT)]
    with pytest.raises(CameraError, match=f"{DEVICE}: the camera stopped delivering after {COUNT} frames; check plug"):
        next(source)
    assert [frame.index for frame in taken] == list(range(COUNT))
    assert [frame.gray.mean() for frame in taken] == pytest.approx([0, 40, 80, 120, 160], abs=2)
    assert [frame.color().mean() for frame in taken] == pytest.approx([0, 40, 80, 120, 160], abs=2)
    assert all(later.time > sooner.time >= 0 for sooner, later in pairwise(taken))


def test_a_frame_tells_when_it_arrived_and_how_long_it_took_to_make_it_gray(record, monkeypatch):
    record(3)
    clock, convert = SimpleNamespace(now=50.0), cv2.cvtColor
    clock.monotonic = lambda: clock.now

    def slowly(*arguments):
        clock.now += 0.25
        return convert(*arguments)

    monkeypatch.setattr(usb, "time", clock)
    monkeypatch.setattr(cv2, "cvtColor", slowly)
    source = usb.frames(DEVICE)
    taken = [next(source) for _ in range(3)]
    assert [frame.convert_seconds for frame in taken] == [0.25] * 3
    assert [frame.captured_at for frame in taken] == [50, 50.25, 50.5]  # before it was made gray
    assert [frame.time for frame in taken] == [0, 0.25, 0.5]


class Driver:
    """A camera that has the formats `has`, and takes the first of them in place of any other, as drivers do."""

    def __init__(self, *has: str) -> None:
        self._has = [cv2.VideoWriter.fourcc(*name) for name in has]
        self.format = self._has[0]

    def set(self, setting, value):
        assert setting == cv2.CAP_PROP_FOURCC
        self.format = value if value in self._has else self._has[0]
        return True  # as OpenCV, which does not look

    def get(self, setting):
        assert setting == cv2.CAP_PROP_FOURCC
        return float(self.format)


@pytest.mark.parametrize(
    ("has", "taken"),
    [(("BGR3", "YUYV", "MJPG"), "MJPG"), (("BGR3", "YUYV"), "YUYV"), (("NV12",), "NV12")],
)
def test_motion_jpeg_is_asked_for_and_yuyv_where_the_camera_has_none(has, taken):
    driver = Driver(*has)
    usb._choose_format(cast("cv2.VideoCapture", driver))
    assert driver.format == cv2.VideoWriter.fourcc(*taken)


def test_a_usb_camera_is_live():
    assert usb.live("0")


def test_the_camera_is_given_back_when_the_run_ends_early(record):
    record(COUNT)
    before = open_descriptors()
    source = usb.frames(DEVICE)
    next(source)
    source.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("argument", ["/dev/null", "/dev/full"])
def test_what_is_no_camera_is_refused_with_the_likely_reasons(argument):
    with pytest.raises(CameraError, match=f"^{argument}: cannot be opened; taken by another program, no permission"):
        next(usb.frames(argument))


@pytest.mark.parametrize("argument", ["987654", "/dev/video987654"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(argument):
    with pytest.raises(CameraError, match=r"^/dev/video987654: no such camera; found (no video device|/dev/video)"):
        next(usb.frames(argument))


@pytest.mark.parametrize("argument", ["front", "0x", "-1", "1.5"])
def test_an_argument_that_is_no_number_and_no_device_is_refused(argument):
    with pytest.raises(UsageError, match=f"usb:{argument}: expected a number"):
        next(usb.frames(argument))


def test_without_an_argument_it_is_the_first_device(monkeypatch):
    monkeypatch.setattr(usb, "_open", pytest.fail)
    with pytest.raises(pytest.fail.Exception, match="/dev/video0"):
        next(usb.frames(""))


def test_what_is_no_video_device_is_no_camera(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "nothing", tmp_path, Path("/dev/null")):
        assert usb._camera_name(path) is None


@pytest.mark.parametrize(
    ("driver", "capabilities", "device", "expected"),
    [
        (b"uvcvideo", 0x84A00001, 0x04200001, "Webcam"),
        (b"uvcvideo", 0x84A00001, 0x04A00000, None),  # the webcam's second node, which only tells about frames
        (b"old", 0x00000001, 0, "Webcam"),  # a driver that does not tell about the node itself
        (b"vivid", 0x80000001, 0x00000002, None),  # an output
        (b"unicam", 0x80000001, 0x00000001, None),  # the camera module's receiver on a Raspberry Pi
        (b"rp1-cfe", 0x80000001, 0x00000001, None),
    ],
)
def test_only_a_node_that_captures_and_is_no_part_of_the_pi_is_a_camera(
    monkeypatch, driver, capabilities, device, expected
):
    def answer(_, request, buffer):
        assert (request, len(buffer)) == (0x80685600, 104)  # VIDIOC_QUERYCAP, which writes so much
        buffer[: len(driver)] = driver
        buffer[16:22] = b"Webcam"
        buffer[84:92] = capabilities.to_bytes(4, "little") + device.to_bytes(4, "little")

    monkeypatch.setattr(fcntl, "ioctl", answer)
    assert usb._camera_name(Path(DEVICE)) == expected


def test_the_first_camera_is_chosen_in_the_order_of_their_numbers(monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda *_: [Path(f"/dev/video{number}") for number in (10, 2, 0)])
    monkeypatch.setattr(usb, "_camera_name", lambda path: None if path.name == "video0" else "Webcam")
    assert usb.present() == ("/dev/video2", "found Webcam at /dev/video2")


def test_without_a_camera_there_is_none_and_a_reason(monkeypatch):
    monkeypatch.setattr(usb, "_camera_name", lambda _: None)
    assert usb.present() == (None, "no USB camera")
