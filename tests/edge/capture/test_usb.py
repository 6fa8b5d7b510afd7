"""A USB camera delivers frames until it stops; a missing or unusable device is an error; it is always closed."""

import os
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture import encoded_frame, registry, usb, v4l2
from edge.errors import CameraError, UsageError
from tests.support.fakes import FakeClock

FRAMES = 5
DEVICE = "/dev/null"  # exists, as a device must


def scene(saturation: int = 40) -> np.ndarray:
    """Return a smooth (480, 640, 3) BGR image with all gray levels from 16 to 235, and a color cast."""
    ramp = np.tile(np.linspace(16, 235, 640), (480, 1))
    cast = np.linspace(-saturation, saturation, 480)[:, np.newaxis]
    return np.clip(np.stack([ramp + cast, ramp, ramp - cast], axis=2), 0, 255).round().astype(np.uint8)


def encode(bgr: np.ndarray, fourcc: str) -> np.ndarray:
    """Return the (480, 640, 3) image as a camera sends it: (480, 640, 2) for YUYV, (1, bytes) for MJPG."""
    if fourcc == "MJPG":
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].reshape(1, -1)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_YUYV) if fourcc == "YUYV" else bgr


class FakeCapture:
    """Replaces cv2.VideoCapture: behaves as OpenCV's V4L2 backend with a camera of these formats.

    Args:
        formats: FourCCs; the first one is taken in place of an unknown one, as drivers do.
        images: BGR, that the camera sends before it stops; an array of another shape is delivered as it is.
        converts: it makes color images although it is told not to.
    """

    def __init__(self, formats, images=(), *, converts=False):
        self.formats = [cv2.VideoWriter.fourcc(*name) for name in formats]
        self.settings = {cv2.CAP_PROP_FOURCC: self.formats[0], cv2.CAP_PROP_CONVERT_RGB: 1}
        self.images, self.index, self.converts, self.released = list(images), -1, converts, False

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return True

    def set(self, setting, value):
        if setting == cv2.CAP_PROP_FOURCC and value not in self.formats:
            value = self.formats[0]
        self.settings[setting] = value
        return True  # as OpenCV does, whatever the driver chose

    def get(self, setting):
        return float(self.settings.get(setting, 0))

    def grab(self):
        self.index += 1
        return self.index < len(self.images)

    def retrieve(self):
        image = self.images[self.index]
        if image is None:
            return False, None
        if image.shape != (480, 640, 3) or self.converts or self.settings[cv2.CAP_PROP_CONVERT_RGB]:
            return True, image
        return True, encode(image, int(self.settings[cv2.CAP_PROP_FOURCC]).to_bytes(4, "little").decode())

    def release(self):
        self.released = True


@pytest.fixture
def connect_camera(monkeypatch):
    """Return a function that connects a FakeCapture, and returns it."""

    def connect(*formats, images, **behavior):
        capture = FakeCapture(formats, images, **behavior)
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
        return capture

    return connect


def decoded_frames():
    return registry.frames(f"usb:{DEVICE}")


@pytest.mark.parametrize("fourcc", ["MJPG", "YUYV", "BGR3"])
def test_frames_come_in_order_until_the_camera_stops(fourcc, connect_camera):
    connect_camera(fourcc, images=[np.full((480, 640, 3), 40 * number, np.uint8) for number in range(FRAMES)])
    source = decoded_frames()
    frames = [next(source) for _ in range(FRAMES)]
    with pytest.raises(CameraError, match=f"^{DEVICE}: .*stopped delivering after {FRAMES} frames"):
        next(source)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.gray.mean() for frame in frames] == pytest.approx([0, 40, 80, 120, 160], abs=2)
    assert [frame.color().mean() for frame in frames] == pytest.approx([0, 40, 80, 120, 160], abs=2)
    assert all(later.time > earlier.time >= 0 for earlier, later in pairwise(frames))


@pytest.mark.parametrize(("fourcc", "largest"), [("YUYV", 2), ("MJPG", 3)])
@pytest.mark.parametrize("converts", [False, True])
def test_gray_is_that_of_the_color_image(fourcc, largest, converts, connect_camera):
    connect_camera(fourcc, images=[scene()], converts=converts)
    frame = next(decoded_frames())
    assert frame.color().shape == (480, 640, 3)
    assert np.abs(frame.color().astype(int) - scene()).mean() < 3
    difference = frame.gray.astype(int) - cv2.cvtColor(frame.color(), cv2.COLOR_BGR2GRAY)
    assert np.abs(difference).max() <= largest
    assert np.abs(difference).mean() < 0.6


def record_calls(function, calls):
    """Return `function` of an image and a mode, which appends each mode to `calls`."""

    def call(image, mode):
        calls.append(mode)
        return function(image, mode)

    return call


@pytest.mark.parametrize("fourcc", ["YUYV", "MJPG"])
def test_color_is_made_once_and_only_if_asked_for(fourcc, connect_camera, monkeypatch):
    made: list[int] = []
    sent = encode(scene(), fourcc)
    for name in ("cvtColor", "imdecode"):
        monkeypatch.setattr(cv2, name, record_calls(getattr(cv2, name), made))
    connect_camera(fourcc, images=[sent])
    frame = next(decoded_frames())
    gray = [cv2.IMREAD_GRAYSCALE] if fourcc == "MJPG" else []
    assert made == gray
    assert frame.color() is frame.color()
    assert made == [*gray, cv2.IMREAD_COLOR if fourcc == "MJPG" else cv2.COLOR_YUV2BGR_YUYV]


def test_a_frame_that_is_skipped_is_not_decoded(connect_camera, monkeypatch):
    connect_camera("MJPG", images=[scene(), scene()])
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    source = usb.frames(DEVICE)
    assert [next(source).index, next(source).index] == [0, 1]


def test_a_frame_has_its_arrival_and_its_conversion_time(connect_camera, monkeypatch):
    connect_camera("MJPG", images=[scene()] * 3)
    clock, decode = FakeClock(50.0), cv2.imdecode

    def decode_slowly(*arguments):
        clock.now += 0.25
        return decode(*arguments)

    monkeypatch.setattr(usb, "time", clock)
    monkeypatch.setattr(encoded_frame, "time", clock)
    monkeypatch.setattr(cv2, "imdecode", decode_slowly)
    source = decoded_frames()
    frames = [next(source) for _ in range(3)]
    assert [frame.convert_seconds for frame in frames] == [0.25] * 3
    assert [frame.captured_at for frame in frames] == [50, 50.25, 50.5]  # before the conversion
    assert [frame.time for frame in frames] == [0, 0.25, 0.5]


DAMAGED = {
    "empty": None,
    "no JPEG": np.zeros((1, 5000), np.uint8),
    "only a header": encode(scene(), "MJPG")[:, :20],
    "another size": encode(scene()[:240], "MJPG"),
    "progressive": cv2.imencode(".jpg", scene(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].reshape(1, -1),
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_image_is_left_out(damaged, connect_camera):
    connect_camera("MJPG", images=[damaged, scene(), damaged, scene()])
    source = decoded_frames()
    assert [next(source).index for _ in range(2)] == [1, 3]


@pytest.mark.parametrize("sizes", [[5000], [60_000, 60_000]])
def test_metadata_may_precede_the_size_of_an_image(sizes, connect_camera):
    jpeg = encode(scene(), "MJPG").tobytes()
    metadata = b"".join(b"\xff\xe2" + (each + 2).to_bytes(2, "big") + bytes(each) for each in sizes)
    connect_camera("MJPG", images=[np.frombuffer(jpeg[:2] + metadata + jpeg[2:], np.uint8)[np.newaxis]])
    assert next(decoded_frames()).gray.shape == (480, 640)


def test_a_camera_whose_images_are_all_damaged_is_given_up(connect_camera, monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(encoded_frame, "time", clock)
    camera = connect_camera("MJPG", images=[np.zeros((1, 100), np.uint8)] * 1000)
    grab = camera.grab

    def grab_later():
        clock.now += 1 / 30
        return grab()

    monkeypatch.setattr(camera, "grab", grab_later)
    with pytest.raises(
        CameraError, match=r"all images of the camera have been damaged for 20 s \(.*\); check the cable"
    ):
        next(decoded_frames())
    assert clock.now == pytest.approx(20, abs=0.2)


@pytest.mark.parametrize("fourcc", ["YUYV", "MJPG", "BGR3"])
@pytest.mark.parametrize("shape", [(480, 640), (240, 640, 2), (2, 3000), (480, 640, 4)])
def test_images_of_an_unexpected_shape_are_an_error(fourcc, shape, connect_camera):
    connect_camera(fourcc, images=[np.zeros(shape, np.uint8)])
    with pytest.raises(
        CameraError, match=rf"^{DEVICE}: the camera sends {fourcc} images .*\({shape[0]}, .*uint8; expected"
    ):
        next(decoded_frames())


def test_each_level_of_luma_is_stretched_to_the_full_range(connect_camera):
    yuyv = np.full((480, 640, 2), 128, np.uint8)
    yuyv[:256, :, 0] = np.arange(256)[:, np.newaxis]
    connect_camera("YUYV", images=[yuyv])
    levels = next(decoded_frames()).gray[:256, 7].astype(int)
    assert (levels[:17].max(), levels[126], levels[235:].min()) == (0, 128, 255)
    assert levels.tolist() == np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).tolist()


def test_yuyv_may_come_as_one_flat_row(connect_camera):
    connect_camera("YUYV", images=[encode(scene(), "YUYV").reshape(1, -1)])
    assert next(decoded_frames()).gray.shape == (480, 640)


@pytest.mark.parametrize(
    ("formats", "chosen"),
    [(("BGR3", "YUYV", "MJPG"), "MJPG"), (("BGR3", "YUYV"), "YUYV"), (("NV12",), "NV12")],
)
def test_motion_jpeg_is_preferred_then_yuyv(connect_camera, formats, chosen):
    capture = connect_camera(*formats, images=[scene()])
    next(usb.frames(DEVICE))
    assert capture.settings[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*chosen)


def test_the_size_is_requested(connect_camera):
    capture = connect_camera("MJPG", images=[scene()])
    next(usb.frames(DEVICE))
    assert capture.settings[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert capture.settings[cv2.CAP_PROP_FRAME_HEIGHT] == 480


def test_the_driver_has_a_buffer_while_another_one_is_read(connect_camera):
    capture = connect_camera("MJPG", images=[scene()])
    next(usb.frames(DEVICE))
    assert capture.settings[cv2.CAP_PROP_BUFFERSIZE] == 2


def test_the_camera_is_closed_when_the_run_ends_early(connect_camera):
    capture = connect_camera("MJPG", images=[scene()] * 2)
    source = decoded_frames()
    next(source)
    source.close()
    assert capture.released


def test_a_fifo_is_no_camera(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CameraError, match="it is no camera"):
        next(usb.frames(str(tmp_path / "fifo")))


@pytest.mark.parametrize("argument", ["/dev/null", "/dev/full"])
def test_a_file_that_is_no_camera_is_refused(argument):
    with pytest.raises(CameraError, match=f"^{argument}: cannot be opened; it is no camera"):
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


def test_a_camera_of_macos_or_windows_is_opened_by_number(connect_camera, monkeypatch):
    monkeypatch.setattr(usb, "HAS_V4L2", False)
    opened = connect_camera("MJPG", images=[scene()] * 2)
    assert usb.detect() == ("0", "found a camera")
    assert opened.released
    frame = next(registry.frames("usb:1"))
    assert np.array_equal(frame.gray, cv2.cvtColor(scene(), cv2.COLOR_BGR2GRAY))
    with pytest.raises(UsageError, match=r"usb:/dev/video0: expected a number \(usb:0\)$"):
        next(registry.frames("usb:/dev/video0"))


def test_no_camera_of_macos_or_windows_is_an_error(monkeypatch):
    monkeypatch.setattr(usb, "HAS_V4L2", False)
    assert usb.detect() == (None, "no camera")
    with pytest.raises(CameraError, match=r"^usb:7: cannot be opened; there is no such camera"):
        next(registry.frames("usb:7"))
