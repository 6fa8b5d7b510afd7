"""V4L2 devices are described as their drivers and the kernel report them."""

import fcntl
import os
import re
import struct
import subprocess
from pathlib import Path

import pytest

from edge.capture import v4l2
from tests.support.fake_machine import write_files

# Driver, card, capabilities of the device, capabilities of the node, formats.
WEBCAM = (b"uvcvideo", b"HD Webcam C270", 0x84A00001, 0x04200001, (b"MJPG", b"YUYV"))
WEBCAM_METADATA = (b"uvcvideo", b"HD Webcam C270", 0x84A00001, 0x04A00000, ())  # the second node of the same webcam
RECEIVER = (b"rp1-cfe", b"rp1-cfe", 0xA4A00001, 0x24200001, (b"pRAA", b"Y16\xa0"))
OLD_RECEIVER = (b"unicam", b"unicam-image", 0x80000001, 0x00000001, ())
CODEC = (b"bcm2835-codec", b"bcm2835-codec-decode", 0x84204000, 0x04204000, (b"H264",))
OLD_WEBCAM = (b"old", b"Webcam", 0x00000001, 0, ())  # a driver that does not report the node's own capabilities
OUTPUT = (b"vivid", b"vivid", 0x80000001, 0x00000002, ())

VIDIOC_QUERYCAP, QUERYCAP_BYTES = 0x80685600, 104
VIDIOC_ENUM_FMT, ENUM_FMT_BYTES = 0xC0405602, 64


@pytest.fixture
def add_devices(tmp_path, monkeypatch):
    """Return a function that creates devices, name -> what its driver answers, and returns the root folder."""
    answers: dict[str, tuple[bytes, bytes, int, int, tuple[bytes, ...]]] = {}

    def ioctl(device, request, buffer):
        driver, card, capabilities, node_capabilities, formats = answers[Path(device.name).name]
        if request == VIDIOC_QUERYCAP:
            assert len(buffer) == QUERYCAP_BYTES
            buffer[:48] = driver.ljust(16, b"\0") + card.ljust(32, b"\0")
            buffer[84:92] = struct.pack("=II", capabilities, node_capabilities)
            return
        assert (request, len(buffer)) == (VIDIOC_ENUM_FMT, ENUM_FMT_BYTES)
        index, buffer_type = struct.unpack_from("=II", buffer)
        assert buffer_type == 1  # video capture
        if index >= len(formats):
            raise OSError(22, "Invalid argument")
        buffer[12:44] = b"description".ljust(32, b"\0")
        buffer[44:48] = formats[index]

    def add(**devices) -> Path:
        answers.update(devices)
        monkeypatch.setattr(fcntl, "ioctl", ioctl)
        return write_files(tmp_path, {f"dev/{name}": "" for name in devices})

    return add


def test_nodes_are_in_the_order_of_their_numbers(add_devices):
    root = add_devices(video10=CODEC, video2=RECEIVER, video0=WEBCAM, video1=WEBCAM_METADATA)
    write_files(root, {"dev/video": "", "dev/videoX": ""})
    assert [node.path.name for node in v4l2.video_nodes(root)] == ["video0", "video1", "video2", "video10"]


@pytest.mark.parametrize(
    ("answer", "captures", "is_camera"),
    [
        (WEBCAM, True, True),
        (OLD_WEBCAM, True, True),
        (WEBCAM_METADATA, False, False),
        (OUTPUT, False, False),
        (CODEC, False, False),
        (RECEIVER, True, False),
        (OLD_RECEIVER, True, False),
    ],
)
def test_a_camera_captures_and_is_no_part_of_the_board(add_devices, answer, captures, is_camera):
    (node,) = v4l2.video_nodes(add_devices(video0=answer))
    assert (node.captures, node.is_camera) == (captures, is_camera)


def test_a_node_has_the_driver_s_name_and_formats(add_devices):
    webcam, receiver = v4l2.video_nodes(add_devices(video0=WEBCAM, video1=RECEIVER))
    assert (webcam.name, webcam.driver, webcam.formats) == ("HD Webcam C270", "uvcvideo", ("MJPG", "YUYV"))
    assert receiver.formats == ("pRAA", "Y16-BE")


def test_an_endless_list_of_formats_is_bounded(add_devices):
    (node,) = v4l2.video_nodes(add_devices(video0=(*WEBCAM[:4], (b"MJPG",) * 1000)))
    assert len(node.formats) == v4l2.MAX_FORMATS


def test_a_node_without_an_answer_has_the_kernel_s_name(tmp_path):
    files = {"dev/video0": "", "dev/video1": "", "sys/class/video4linux/video0/name": "HD Webcam\n"}
    nodes = v4l2.video_nodes(write_files(tmp_path, files))  # regular files answer no ioctl
    assert [(node.name, node.driver, node.is_camera) for node in nodes] == [
        ("HD Webcam", None, False),
        ("video1", None, False),
    ]


def test_a_node_without_permission_is_not_accessible(add_devices, monkeypatch):
    root = add_devices(video0=WEBCAM)
    assert v4l2.video_nodes(root)[0].accessible
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (root / "dev/video0", os.R_OK | os.W_OK))
    assert not v4l2.video_nodes(root)[0].accessible


def test_without_devices_there_are_no_nodes(tmp_path):
    assert v4l2.video_nodes(tmp_path) == []


def test_receivers_are_no_cameras():
    assert set(v4l2.RECEIVER_DRIVERS) <= set(v4l2.NON_CAMERA_DRIVERS)


def test_a_process_that_uses_a_file_is_found(tmp_path):
    (tmp_path / "video0").touch()
    (tmp_path / "link").symlink_to("video0")
    # This process has it open, too, and is not reported.
    with (tmp_path / "video0").open() as file, subprocess.Popen(["/bin/sleep", "60"], stdin=file) as other:
        found, _ = v4l2.processes_using(tmp_path / "video0")
        found_by_link, _ = v4l2.processes_using(tmp_path / "link")
        other.kill()
    assert found == found_by_link == {other.pid: "sleep"}
    assert v4l2.processes_using(tmp_path / "video0")[0] == {}


def test_processes_of_other_users_are_counted(tmp_path, monkeypatch):
    other, kernel, ended, user = 40, 41, 42, 43
    write_files(
        tmp_path,
        {
            f"proc/{other}/cmdline": "motion\0",
            f"proc/{kernel}/cmdline": "",
            f"proc/{ended}/comm": "ended\n",
            f"proc/{user}/comm": "ffmpeg\n",
            "dev/video0": "",
        },
    )
    descriptors = tmp_path / f"proc/{user}/fd"
    descriptors.mkdir()
    (descriptors / "3").symlink_to(tmp_path / "dev/video0")
    iterdir = Path.iterdir

    def refuse_others(path):
        if re.search(f"/({other}|{kernel})/fd$", str(path)):
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse_others)
    assert v4l2.processes_using(tmp_path / "dev/video0", tmp_path) == ({user: "ffmpeg"}, 1)


def test_without_processes_nothing_is_found(tmp_path):
    assert v4l2.processes_using(tmp_path, tmp_path) == ({}, 0)
