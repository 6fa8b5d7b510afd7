"""A source is found by its name or its path, a misspelled name lists the cameras, and a camera is detected."""

import importlib
from pathlib import Path

import pytest

from edge.capture import picamera, usb
from edge.capture import registry as cameras
from edge.errors import UnknownNameError, UsageError


def test_each_file_is_a_camera_or_a_support_module():
    files = {path.stem for path in Path(cameras.__file__).parent.glob("*.py")} - {"__init__"}
    assert {*cameras.names(), *cameras.SUPPORT_MODULES} == files
    for name in files:
        module = importlib.import_module(f"edge.capture.{name}")
        is_camera = hasattr(module, "frames") and hasattr(module, "is_live") and name != "registry"
        assert is_camera == (name in cameras.names()), f"{name}: a support module is missing in SUPPORT_MODULES"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("picamera", True),
        ("picamera:1", True),
        ("usb:0", True),
        ("/dev/video3", True),
        ("rtsp://camera/live", True),
        ("https://camera/video", True),
        ("synthetic", True),
        ("synthetic:faces=3,fps=10", True),
        ("synthetic:fast", False),
        ("synthetic:faces=2,fast", False),
        ("clip.mp4", False),
        ("folder/", False),
        ("faces*.png", False),
    ],
)
def test_cameras_are_live_and_files_are_not(source, expected):
    assert cameras.is_live(source) is expected


@pytest.mark.parametrize(("source", "error"), [("synthetic:slow", UsageError), ("usv", UnknownNameError)])
def test_is_live_refuses_an_invalid_source(source, error):
    with pytest.raises(error):
        cameras.is_live(source)


def test_only_paths_have_images(tmp_path):
    assert cameras.has_images(str(tmp_path))
    assert cameras.has_images("faces*.png")
    assert not cameras.has_images("synthetic:fast")
    assert not cameras.has_images("usb:0")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("picamera", ("picamera", "")),
        ("picamera:1", ("picamera", "1")),
        ("usb:0", ("usb", "0")),
        ("usb:/dev/video2", ("usb", "/dev/video2")),
        ("/dev/video0", ("usb", "/dev/video0")),
        ("/dev/video12", ("usb", "/dev/video12")),
        ("synthetic:fast,faces=2", ("synthetic", "fast,faces=2")),
        ("file:usb", ("file", "usb")),  # a file with a camera's name
        ("clip.mp4", ("file", "clip.mp4")),
        ("./usb", ("file", "./usb")),
        ("/home/pi/usb:0", ("file", "/home/pi/usb:0")),
        ("folder/", ("file", "folder/")),
        ("faces*", ("file", "faces*")),
        ("an image", ("file", "an image")),
        ("/dev/v4l/by-id/usb-046d_C270-video-index0", ("usb", "/dev/v4l/by-id/usb-046d_C270-video-index0")),
        ("/dev/kiosk-camera", ("usb", "/dev/kiosk-camera")),  # a name of udev, not there before it is plugged in
        ("/dev/shm/clip.mp4", ("file", "/dev/shm/clip.mp4")),
        ("/dev/sh*/*.png", ("file", "/dev/sh*/*.png")),
        ("rtsp://camera/live", ("rtsp", "rtsp://camera/live")),
        ("RTSPS://camera/live#insecure", ("rtsp", "RTSPS://camera/live#insecure")),
        ("http://camera/video", ("http", "http://camera/video")),
        ("https://camera/video", ("http", "https://camera/video")),
    ],
)
def test_a_source_is_a_camera_with_its_argument_or_a_path(source, expected):
    assert cameras.parse(source) == expected


def test_a_folder_in_the_current_folder_needs_no_slash(tmp_path, monkeypatch):
    (tmp_path / "holiday").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cameras.parse("holiday") == ("file", "holiday")


@pytest.mark.parametrize("source", ["usv", "usv:0", "Synthetic", "picamera2", "v4l2"])
def test_a_misspelled_camera_lists_the_cameras(source):
    with pytest.raises(UnknownNameError) as caught:
        cameras.parse(source)
    assert repr(source) in str(caught.value)
    assert all(name in str(caught.value) for name in cameras.names())


@pytest.mark.parametrize(
    ("module", "webcam", "expected"),
    [
        ("0", "/dev/video1", ("picamera:0", "a module")),
        ("0", None, ("picamera:0", "a module")),
        (None, "/dev/video1", ("usb:/dev/video1", "a webcam")),
    ],
)
def test_a_camera_module_is_preferred_to_a_usb_camera(monkeypatch, module, webcam, expected):
    monkeypatch.setattr(picamera, "detect", lambda: (module, "a module"))
    monkeypatch.setattr(usb, "detect", lambda: (webcam, "a webcam"))
    assert cameras.detect_source() == expected


def test_without_a_camera_the_source_is_synthetic(monkeypatch):
    for camera in (picamera, usb):
        monkeypatch.setattr(camera, "detect", lambda: (None, "none"))
    source, reason = cameras.detect_source()
    assert source == "synthetic"
    assert "no camera" in reason


@pytest.mark.parametrize("source", [" rtsp://admin:hunter2@host/x", "admin:hunter2@host/x", "admin:hunter2@host"])
def test_a_login_in_a_source_is_not_repeated(source):
    with pytest.raises(UsageError) as caught:
        list(cameras.frames(source))
    assert "hunter2" not in str(caught.value)
