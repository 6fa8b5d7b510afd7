"""The camera module, by a stand-in that behaves as picamera2 0.3.38: luma as it is, right colour, always closed."""

import logging
import sys
import time
from types import ModuleType
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edge.cameras import picamera
from edge.cameras.picamera import HEIGHT, WIDTH
from edge.errors import CameraError, UsageError

PADDED = WIDTH + 64  # bytes a row, where the hardware wants more than the picture is wide
START = 7_000_000_000  # ns since the machine was started
COLOUR = (40, 90, 200)  # BGR
MODULE = {"Model": "imx708", "Location": 2, "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a", "Num": 0}
OTHER = {"Model": "imx219", "Location": 2, "Id": "/base/soc/i2c0mux/i2c@0/imx219@10", "Num": 1}
WEBCAM = {"Model": "Webcam", "Id": "/base/soc/usb@7e980000/usb1@1-1.2:1.0-349c:0411", "Num": 2}


def i420(stride: int) -> np.ndarray:
    """Return a picture of COLOUR as rows of `stride` bytes, (height * 3/2, stride), with rubbish beyond WIDTH."""
    picture = np.full((HEIGHT, stride, 3), COLOUR, np.uint8)
    picture[:, WIDTH:] = (0, 255, 0)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).astype(np.uint8)


class Picamera2:
    """Has the parts of picamera2.Picamera2 that are used, with its parameters' names and its errors."""

    known: ClassVar = [MODULE]
    stride = PADDED
    delivers = 3  # frames, before it falls silent
    fails_at = ""
    opened: ClassVar[list[Any]] = []

    def __init__(self, camera_num=0):
        self.number, self.state, self.waits = camera_num, "open", []
        self.fail("__init__")
        self.opened.append(self)

    def fail(self, step):
        if step == self.fails_at:
            # Here libcamera's own words are one error further down, as in picamera2.
            try:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
            except RuntimeError as error:
                raise RuntimeError("Camera __init__ sequence did not complete.") from error

    @staticmethod
    def global_camera_info():
        return [dict(info) for info in Picamera2.known]

    def create_video_configuration(self, main=None, queue=True, controls=None, **others):
        assert set(others) <= {"lores", "raw", "transform", "colour_space", "buffer_count", "display", "encode"}
        return {"main": {"stride": self.stride, **main}, "queue": queue, "controls": controls}

    def configure(self, configuration):
        assert self.state == "open"
        assert configuration["main"]["format"] == "YUV420"
        assert configuration["main"]["size"] == (WIDTH, HEIGHT)
        assert configuration["queue"] is False  # else a frame may be old
        self.configuration = configuration
        self.fail("configure")

    def start(self):
        self.fail("start")
        self.state = "started"

    def camera_configuration(self):
        return self.configuration

    def capture_arrays(self, names=("main",), wait=None):
        assert self.state == "started"
        assert list(names) == ["main"]
        assert wait > 0  # None waits for ever, 0 does not wait at all
        if len(self.waits) == self.delivers:
            self.state = "stuck"
            raise TimeoutError
        self.waits.append(wait)
        return [i420(self.stride)], {"SensorTimestamp": START + 33_333_000 * len(self.waits)}

    def cancel_all_and_flush(self):
        self.state = "flushed"

    def stop(self):
        raise AssertionError("stop() waits for ever behind a stuck capture")

    def close(self):
        assert self.state != "stuck"
        self.state = "closed"


@pytest.fixture(autouse=True)
def pi(monkeypatch):
    """A Raspberry Pi whose picamera2 is the stand-in; gives the class, to be changed for one test."""
    monkeypatch.setenv("LIBCAMERA_LOG_LEVELS", "*:ERROR")  # which the camera sets where it is not set
    stand_in = ModuleType("picamera2")
    stand_in.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", stand_in)
    for name in ("known", "stride", "delivers", "fails_at"):
        monkeypatch.setattr(Picamera2, name, getattr(Picamera2, name))
    monkeypatch.setattr(Picamera2, "opened", [])
    yield Picamera2
    assert all(camera.state == "closed" for camera in Picamera2.opened)


def take(count, argument=""):
    source = picamera.frames(argument)
    taken = [next(source) for _ in range(count)]
    source.close()
    return taken


@pytest.mark.parametrize("stride", [WIDTH, PADDED])
def test_the_luma_plane_is_handed_over_as_it_is(pi, stride):
    pi.stride = stride
    (frame,) = take(1)
    assert frame.grey.shape == (HEIGHT, WIDTH)
    assert np.array_equal(frame.grey, i420(stride)[:HEIGHT, :WIDTH])


@pytest.mark.parametrize("stride", [WIDTH, PADDED])
def test_the_colour_is_right_without_the_padding(pi, stride):
    pi.stride = stride
    (frame,) = take(1)
    assert frame.colour().shape == (HEIGHT, WIDTH, 3)
    inside = frame.colour()[:, : WIDTH - 2]  # the last chroma sample may lean on its neighbour
    assert np.abs(inside.astype(int) - COLOUR).max() <= 3


def test_frames_are_timed_by_the_sensor_from_the_first():
    taken = take(3)
    assert [frame.index for frame in taken] == [0, 1, 2]
    assert [frame.time for frame in taken] == pytest.approx([0, 0.033333, 0.066666])


def test_the_luma_plane_takes_no_time_to_make_and_a_frame_tells_when_it_came():
    begin = time.monotonic()
    taken = take(3)
    assert [frame.convert for frame in taken] == [0, 0, 0]
    arrived = [frame.arrived for frame in taken]
    assert begin <= arrived[0] <= arrived[1] <= arrived[2] <= time.monotonic()


def test_a_camera_module_is_live():
    assert picamera.live("")


def test_a_camera_that_falls_silent_is_an_error_and_is_closed(pi):
    source = picamera.frames("")
    for _ in range(3):
        next(source)
    with pytest.raises(CameraError, match="stopped delivering after 3 frames; check the ribbon cable"):
        next(source)
    assert pi.opened[0].state == "closed"


def test_a_camera_that_never_delivers_says_so(pi):
    pi.delivers = 0
    with pytest.raises(CameraError, match="delivers no pictures after 0 frames"):
        next(picamera.frames(""))


def test_the_first_frame_may_take_longer_than_the_others(pi):
    take(3)
    first, *others = pi.opened[0].waits
    assert all(first > wait for wait in others)


def test_the_camera_is_closed_when_the_run_ends_early(pi):
    source = picamera.frames("")
    next(source)
    assert pi.opened[0].state == "started"
    source.close()
    assert pi.opened[0].state == "closed"


def test_an_older_picamera2_is_closed_too(pi, monkeypatch):
    monkeypatch.delattr(pi, "cancel_all_and_flush")  # it came with 0.3.20
    take(1)
    assert pi.opened[0].state == "closed"


@pytest.mark.parametrize("step", ["__init__", "configure", "start"])
def test_a_camera_in_use_is_an_error_with_the_reason_and_is_let_go(pi, step):
    pi.fails_at = step
    with pytest.raises(CameraError, match=r"^picamera:0: cannot be opened \(Failed to acquire camera: Device or res"):
        next(picamera.frames("0"))


@pytest.mark.parametrize(
    ("known", "argument", "opened"),
    [
        ([MODULE], "", 0),
        ([MODULE, OTHER], "1", 1),
        ([WEBCAM, MODULE], "0", 1),
        ([MODULE, WEBCAM, OTHER], "1", 2),
    ],
)
def test_the_number_counts_camera_modules_and_leaves_usb_cameras_out(pi, known, argument, opened):
    pi.known = known
    take(1, argument)
    assert [camera.number for camera in pi.opened] == [opened]


@pytest.mark.parametrize(("known", "argument", "count"), [([], "", 0), ([WEBCAM], "0", 0), ([MODULE], "1", 1)])
def test_a_camera_module_that_is_not_there_is_an_error_with_how_many_are(pi, known, argument, count):
    pi.known = known
    with pytest.raises(CameraError, match=f"{count} modules found; check the ribbon cable"):
        next(picamera.frames(argument))
    assert not pi.opened


def test_a_camera_that_is_not_named_by_a_number_is_refused():
    with pytest.raises(UsageError, match="picamera:front: expected a number"):
        next(picamera.frames("front"))


def test_without_picamera2_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match="sudo apt install python3-picamera2"):
        next(picamera.frames(""))


def test_a_picamera2_built_for_another_numpy_is_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2")
    with pytest.raises(CameraError, match=r"numpy.dtype size changed.*--no-deps simplejpeg"):
        next(picamera.frames(""))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([WEBCAM, MODULE], ("0", "found camera module imx708")),
        ([{"Id": MODULE["Id"]}], ("0", "found camera module ")),  # the model is told only where libcamera knows it
        ([WEBCAM], (None, "no camera module")),
        ([], (None, "no camera module")),
    ],
)
def test_a_camera_module_is_seen_without_being_opened(pi, known, expected):
    pi.known = known
    assert picamera.present() == expected
    assert not pi.opened


def test_without_picamera2_there_is_no_camera_and_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    number, reason = picamera.present()
    assert number is None
    assert reason.startswith("picamera2 is not here")


def test_picamera2_says_nothing_over_our_own_lines():
    take(1)
    assert not logging.getLogger("picamera2").isEnabledFor(logging.ERROR)
