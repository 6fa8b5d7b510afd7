"""The camera module, with a fake that behaves as picamera2 0.3.38: luma unchanged, correct color, always closed."""

import logging
import re
import sys
import time
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edge.capture import picamera
from edge.errors import CameraError, UsageError
from tests.support.fakes import FakeClock

LARGE, SMALL = (1280, 960), (640, 480)  # of a 4:3 sensor
PADDING = 64  # bytes in each row, where the hardware needs longer rows than the image
START = 7_000_000_000  # ns since boot
COLOR, SMALL_COLOR = (40, 90, 200), (30, 60, 100)  # BGR, of the large image and of the small one
MODULE = {"Model": "imx708", "Location": 2, "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a", "Num": 0}
OTHER = {"Model": "imx219", "Location": 2, "Id": "/base/soc/i2c0mux/i2c@0/imx219@10", "Num": 1}
WEBCAM = {"Model": "Webcam", "Id": "/base/soc/usb@7e980000/usb1@1-1.2:1.0-349c:0411", "Num": 2}


def planes(size, padding, color=COLOR, layout="YUV420"):
    """Return an image of `size` in `color` as rows of luma, then chroma, with noise in the `padding` columns."""
    width, height = size
    image = np.full((height, width + padding, 3), color, np.uint8)
    image[:, width:] = (0, 255, 0)
    i420 = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).astype(np.uint8)
    if layout == "YUV420":
        return i420
    luma, chroma = i420[:height], i420[height:].reshape(2, -1)
    return np.vstack([luma, chroma.T.reshape(height // 2, -1)])[:, :width]  # picamera2 removes the padding of NV12


class Picamera2:
    """The used part of picamera2.Picamera2, with its parameters' names and its errors."""

    known: ClassVar = [MODULE]
    camera_properties: ClassVar[dict[str, Any]] = {"Model": "imx219", "PixelArraySize": (3280, 2464)}
    padding = PADDING
    layout = "YUV420"
    delivers = 3  # frames, before it stops
    fails_at = ""
    opened: ClassVar[list[Any]] = []

    def __init__(self, camera_num=0):
        self.number, self.state, self.waits = camera_num, "open", []
        self.fail("__init__")
        self.opened.append(self)

    def fail(self, step):
        if step == self.fails_at:
            # libcamera's own message is in the cause, as in picamera2.
            try:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
            except RuntimeError as error:
                raise RuntimeError("Camera __init__ sequence did not complete.") from error

    @staticmethod
    def global_camera_info():
        return [dict(info) for info in Picamera2.known]

    def create_video_configuration(self, main=None, lores=None, queue=True, colour_space=None, sensor=None, **others):
        assert set(others) <= {"raw", "transform", "buffer_count", "display", "encode", "controls"}
        assert colour_space == "BT.601"  # the standard that OpenCV converts from
        lores = lores and {"format": "YUV420", **lores}
        return {"main": dict(main), "lores": lores, "queue": queue, "sensor": sensor}

    def configure(self, configuration):
        assert self.state == "open"
        assert not hasattr(self, "configuration")  # a second configuration would leak memory
        for stream in filter(None, (configuration["main"], configuration["lores"])):
            assert stream["format"] == "YUV420"
            assert not any(side % 2 for side in stream["size"])
            stream["format"] = self.layout
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
        assert wait > 0  # None waits without end, 0 does not wait
        if len(self.waits) == self.delivers:
            self.state = "stuck"
            raise TimeoutError
        self.waits.append(wait)
        colors = {"main": COLOR, "lores": SMALL_COLOR}
        sizes = {name: self.configuration[name]["size"] for name in names}
        arrays = [planes(sizes[name], self.padding, colors[name], self.layout) for name in names]
        return arrays, {"SensorTimestamp": START + 33_333_000 * len(self.waits)}

    def cancel_all_and_flush(self):
        self.state = "flushed"

    def stop(self):
        raise AssertionError("stop() blocks behind a stuck capture")

    def close(self):
        assert self.state != "stuck"
        self.state = "closed"


class Libcamera(ModuleType):
    class ColorSpace:
        @staticmethod
        def Smpte170m():  # noqa: N802 (as libcamera's)
            return "BT.601"


@pytest.fixture(autouse=True)
def pi(monkeypatch):
    """A Raspberry Pi with the fake picamera2; returns the class, for a test to change."""
    monkeypatch.setenv("LIBCAMERA_LOG_LEVELS", "*:ERROR")  # else the camera would set it for the other tests
    fake = ModuleType("picamera2")
    fake.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", fake)
    monkeypatch.setitem(sys.modules, "libcamera", Libcamera("libcamera"))
    for name in ("known", "camera_properties", "padding", "layout", "delivers", "fails_at"):
        monkeypatch.setattr(Picamera2, name, getattr(Picamera2, name))
    monkeypatch.setattr(Picamera2, "opened", [])
    yield Picamera2
    assert all(camera.state == "closed" for camera in Picamera2.opened)


def take(count, argument=""):
    source = picamera.frames(argument)
    taken = [next(source) for _ in range(count)]
    source.close()
    return taken


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("layout", ["YUV420", "NV12"])
def test_gray_and_search_image_are_the_luma_planes(pi, padding, layout):
    pi.padding, pi.layout = padding, layout
    (frame,) = take(1)
    assert np.array_equal(frame.gray, planes(LARGE, 0)[: LARGE[1]])
    assert np.array_equal(frame.search_image, planes(SMALL, 0, SMALL_COLOR)[: SMALL[1]])


@pytest.mark.parametrize("padding", [0, PADDING])
@pytest.mark.parametrize("layout", ["YUV420", "NV12"])
def test_the_color_is_correct_and_without_padding(pi, padding, layout):
    pi.padding, pi.layout = padding, layout
    (frame,) = take(1)
    assert frame.color().shape == (LARGE[1], LARGE[0], 3)
    inside = frame.color()[:, :-2]  # the last chroma sample may be interpolated with its neighbor
    assert np.abs(inside.astype(int) - COLOR).max() <= 3


def test_a_format_without_a_luma_plane_is_refused(pi):
    pi.layout = "XBGR8888"
    with pytest.raises(CameraError, match="picamera:0: delivers XBGR8888; expected YUV420 or NV12"):
        take(1)
    assert pi.opened[0].state == "closed"


@pytest.mark.parametrize(
    ("sensor", "large", "mode"),
    [
        ((2592, 1944), (1280, 960), (1296, 972)),
        ((3280, 2464), (1280, 960), (1640, 1232)),
        ((4608, 2592), (1280, 720), (2304, 1296)),
        ((4056, 3040), (1280, 960), (2028, 1520)),
        ((1456, 1088), (1280, 956), (728, 544)),
    ],
)
def test_the_image_has_the_sensor_s_full_field_of_view(pi, sensor, large, mode):
    pi.camera_properties = {"PixelArraySize": sensor}
    (frame,) = take(1)
    assert frame.gray.shape[::-1] == large
    assert pi.opened[0].configuration["sensor"] == {"output_size": mode}


def test_an_unknown_sensor_gets_the_default_size_and_no_mode(pi):
    pi.camera_properties = {}
    (frame,) = take(1)
    assert frame.gray.shape[::-1] == LARGE
    assert pi.opened[0].configuration["sensor"] == {}


@pytest.mark.parametrize(
    ("argument", "large", "small"),
    [
        ("size=1920x1080", (1920, 1080), (960, 540)),
        ("0,size=1280x720", (1280, 720), (640, 360)),
        ("size=1276x720", (1276, 720), None),
        ("0,size=640x480", (640, 480), None),
    ],
)
def test_the_size_is_as_requested(argument, large, small):
    (frame,) = take(1, argument)
    assert frame.gray.shape[::-1] == large
    assert (None if frame.search_image is None else frame.search_image.shape[::-1]) == small


def test_the_time_is_the_sensor_s_from_the_first_frame():
    taken = take(3)
    assert [frame.index for frame in taken] == [0, 1, 2]
    assert [frame.time for frame in taken] == pytest.approx([0, 0.033333, 0.066666])


def test_a_frame_has_its_arrival_and_no_conversion_time():
    begin = time.monotonic()
    taken = take(3)
    assert [frame.convert_seconds for frame in taken] == [0, 0, 0]
    arrived = [frame.captured_at for frame in taken]
    assert begin <= arrived[0] <= arrived[1] <= arrived[2] <= time.monotonic()


def test_a_camera_module_is_live():
    assert picamera.is_live("")


def test_a_camera_that_stops_delivering_is_an_error(pi):
    source = picamera.frames("")
    for _ in range(3):
        next(source)
    with pytest.raises(CameraError, match="stopped delivering after 3 frames; check the ribbon cable"):
        next(source)
    assert pi.opened[0].state == "closed"


def test_a_camera_that_never_delivers_is_an_error(pi):
    pi.delivers = 0
    with pytest.raises(CameraError, match="delivers no images after 0 frames"):
        next(picamera.frames(""))


@pytest.mark.parametrize(("waited", "goes_on"), [(60.0, True), (picamera.FRAME_TIMEOUT_SECONDS, False)])
def test_a_process_that_was_stopped_waits_for_the_next_frame(waited, goes_on, pi, monkeypatch):
    clock, capture_arrays = FakeClock(), pi.capture_arrays

    def capture_later(camera, names, wait):
        if clock.now == 0 and len(camera.waits) == 1:
            clock.now += waited
            raise TimeoutError
        return capture_arrays(camera, names, wait)

    monkeypatch.setattr(pi, "capture_arrays", capture_later)
    monkeypatch.setattr(picamera, "time", SimpleNamespace(monotonic=clock.monotonic, monotonic_ns=time.monotonic_ns))
    source = picamera.frames("")
    indices = [next(source).index]
    with nullcontext() if goes_on else pytest.raises(CameraError, match="stopped delivering after 1 frames"):
        indices.append(next(source).index)
    source.close()
    assert indices == [0, 1][: 1 + goes_on]


def test_the_first_frame_has_a_longer_timeout(pi):
    take(3)
    first, *others = pi.opened[0].waits
    assert all(first > wait for wait in others)


def test_the_camera_is_closed_when_the_run_ends_early(pi):
    source = picamera.frames("")
    next(source)
    assert pi.opened[0].state == "started"
    source.close()
    assert pi.opened[0].state == "closed"


def test_an_older_picamera2_is_closed(pi, monkeypatch):
    monkeypatch.delattr(pi, "cancel_all_and_flush")  # it came with 0.3.20
    take(1)
    assert pi.opened[0].state == "closed"


@pytest.mark.parametrize("step", ["__init__", "configure", "start"])
def test_a_camera_in_use_is_an_error_with_the_reason(pi, step):
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
def test_the_number_counts_camera_modules_only(pi, known, argument, opened):
    pi.known = known
    take(1, argument)
    assert [camera.number for camera in pi.opened] == [opened]


@pytest.mark.parametrize(("known", "argument", "count"), [([], "", 0), ([WEBCAM], "0", 0), ([MODULE], "1", 1)])
def test_a_missing_module_is_an_error_with_their_number(pi, known, argument, count):
    pi.known = known
    with pytest.raises(CameraError, match=f"{count} modules found; check the ribbon cable"):
        next(picamera.frames(argument))
    assert not pi.opened


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("front", "expected a number, as in picamera:0 or picamera:0,size=1280x960"),
        ("size=640x480,0", "expected a number"),
        ("0,1", "expected a number"),
        ("size=640", "size '640' is not WIDTHxHEIGHT"),
        ("0,size=640x-480", "size '640x-480' is not WIDTHxHEIGHT"),
        ("size=642x480", "size 642x480 must be 160x120 to 4608x3496, in multiples of 4"),
        ("size=640x482", "in multiples of 4"),
        ("size=156x120", "must be 160x120 to"),
        ("size=4612x3496", "must be 160x120 to"),
    ],
)
def test_an_invalid_argument_is_refused_before_opening(pi, argument, expected):
    with pytest.raises(UsageError, match=f"^picamera:{re.escape(argument)}: .*{re.escape(expected)}"):
        next(picamera.frames(argument))
    assert not pi.opened


def test_without_picamera2_the_error_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match="sudo apt install python3-picamera2"):
        next(picamera.frames(""))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ValueError('numpy.dtype size changed')", r"\(numpy.dtype size changed\).*--no-deps simplejpeg"),
        ("AttributeError(\"no attribute 'Transform'\")", r"\(AttributeError: no attribute 'Transform'\).*--reinstall"),
    ],
)
def test_a_picamera2_that_cannot_be_loaded_is_an_error(error, expected, monkeypatch, tmp_path):
    (tmp_path / "picamera2.py").write_text(f"raise {error}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2")
    with pytest.raises(CameraError, match=rf"picamera2 cannot be loaded {expected}"):
        next(picamera.frames(""))
    assert picamera.detect()[0] is None


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([WEBCAM, MODULE], ("0", "found camera module imx708")),
        ([{"Id": MODULE["Id"]}], ("0", "found camera module ")),  # libcamera does not know the model
        ([WEBCAM], (None, "no camera module")),
        ([], (None, "no camera module")),
    ],
)
def test_a_camera_module_is_detected_without_opening_it(pi, known, expected):
    pi.known = known
    assert picamera.detect() == expected
    assert not pi.opened


def test_without_picamera2_no_camera_is_detected(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    number, reason = picamera.detect()
    assert number is None
    assert "picamera2 is not installed" in reason


def test_picamera2_does_not_log():
    take(1)
    assert not logging.getLogger("picamera2").isEnabledFor(logging.ERROR)
