"""A source is found by its name or its path, a misspelt one is told what there is, and a camera is chosen by itself."""

import importlib
from pathlib import Path

import pytest

from edge.capture import picamera, usb
from edge.capture import registry as cameras
from edge.errors import UnknownNameError, UsageError


def test_every_file_of_the_folder_is_a_camera():
    files = {path.stem for path in Path(cameras.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(cameras.names()) == files
    for name in files:
        module = importlib.import_module(f"edge.capture.registry.{name}")
        assert callable(module.frames)
        assert callable(module.live)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("picamera", True),
        ("picamera:1", True),
        ("usb:0", True),
        ("/dev/video3", True),
        ("synthetic", True),
        ("synthetic:faces=3,fps=10", True),
        ("synthetic:fast", False),
        ("synthetic:faces=2,fast", False),
        ("clip.mp4", False),
        ("folder/", False),
        ("faces*.png", False),
    ],
)
def test_a_source_that_goes_on_by_itself_is_live_and_one_that_waits_to_be_asked_is_not(source, expected):
    assert cameras.is_live(source) is expected


@pytest.mark.parametrize(("source", "error"), [("synthetic:slow", UsageError), ("usv", UnknownNameError)])
def test_whether_a_wrong_source_is_live_is_no_question(source, error):
    with pytest.raises(error):
        cameras.is_live(source)


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
        ("file:usb", ("file", "usb")),  # a file of a camera's name
        ("clip.mp4", ("file", "clip.mp4")),
        ("./usb", ("file", "./usb")),
        ("/home/pi/usb:0", ("file", "/home/pi/usb:0")),
        ("folder/", ("file", "folder/")),
        ("faces*", ("file", "faces*")),
        ("an image", ("file", "an image")),
        ("/dev/video", ("file", "/dev/video")),
    ],
)
def test_a_source_is_a_camera_with_its_argument_or_a_path(source, expected):
    assert cameras.parse(source) == expected


def test_a_folder_of_this_place_needs_no_slash(tmp_path, monkeypatch):
    (tmp_path / "holiday").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cameras.parse("holiday") == ("file", "holiday")


@pytest.mark.parametrize("source", ["usv", "usv:0", "Synthetic", "picamera2"])
def test_a_misspelt_camera_is_told_which_there_are(source):
    with pytest.raises(UnknownNameError) as caught:
        cameras.parse(source)
    said = str(caught.value)
    assert said.startswith(f"no camera '{source}'; there are ")
    assert all(name in said for name in cameras.names())


@pytest.mark.parametrize(
    ("module", "web", "expected"),
    [
        ("0", "/dev/video1", "picamera:0"),
        ("0", None, "picamera:0"),
        (None, "/dev/video1", "usb:/dev/video1"),
        (None, None, "synthetic"),
    ],
)
def test_without_a_source_a_camera_module_comes_first_then_usb_then_synthetic(monkeypatch, module, web, expected):
    monkeypatch.setattr(picamera, "present", lambda: (module, "a module"))
    monkeypatch.setattr(usb, "present", lambda: (web, "a webcam"))
    source, why = cameras.detect_source()
    assert source == expected
    assert why == {"p": "a module", "u": "a webcam", "s": "no camera module and no USB camera was found"}[source[0]]
    assert cameras.parse(source)[0] == expected.partition(":")[0]
