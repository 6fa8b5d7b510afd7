"""Each problem of a camera has a status and advice, and no camera is opened unless a source is named."""

import getpass
import grp
import os
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.capture import registry as cameras
from edge.capture import synthetic, v4l2
from edge.diagnostics import camera_checks
from edge.errors import CameraError
from tests.support.checks import assert_check, by_name, statuses
from tests.support.fake_machine import (
    CODEC,
    RECEIVER,
    WEBCAM,
    WEBCAM_METADATA,
    fake_drivers,
    fake_picamera2,
    write_files,
)


def test_a_webcam_has_one_check_with_its_formats(tmp_path, monkeypatch):
    write_files(tmp_path, {"dev/video0": "", "dev/video1": ""})
    fake_drivers(monkeypatch, {"video0": WEBCAM, "video1": WEBCAM_METADATA})
    checks = camera_checks.check_cameras(False, tmp_path)
    assert statuses(checks) == {
        str(tmp_path / "dev/video0"): "ok",
        "camera module": "unavailable",
        "picamera2": "unavailable",
    }
    assert_check(checks[0], "ok", "HD Webcam C270 (uvcvideo)", "MJPG, YUYV")


@pytest.mark.parametrize(("program", "status"), [("sleep", "warning"), ("edge", "ok")])
def test_a_camera_used_by_another_program_is_a_warning(tmp_path, monkeypatch, program, status):
    write_files(tmp_path, {"dev/video0": ""})
    (tmp_path / program).symlink_to("/bin/sleep")
    fake_drivers(monkeypatch, {"video0": WEBCAM})
    with (tmp_path / "dev/video0").open() as device, subprocess.Popen([tmp_path / program, "60"], stdin=device) as user:
        (tmp_path / "proc").mkdir()
        (tmp_path / f"proc/{user.pid}").symlink_to(f"/proc/{user.pid}")
        check = camera_checks.check_cameras(False, tmp_path)[0]
        user.kill()
    words = [f"kill {user.pid}"] if status == "warning" else []
    assert_check(check, status, f"{program} (process {user.pid})", *words)


def test_processes_that_could_not_be_inspected_are_counted(tmp_path, monkeypatch):
    write_files(tmp_path, {"dev/video0": ""})
    fake_drivers(monkeypatch, {"video0": WEBCAM})
    monkeypatch.setattr(v4l2, "processes_using", lambda *_: ({}, 7))
    assert_check(camera_checks.check_cameras(False, tmp_path)[0], "ok", "7 processes", "sudo")


def test_only_the_first_of_very_many_formats_are_listed(tmp_path, monkeypatch):
    write_files(tmp_path, {"dev/video0": ""})
    formats = tuple(b"FMT%d" % number for number in range(8))
    fake_drivers(monkeypatch, {"video0": (*WEBCAM[:4], formats)})
    message = camera_checks.check_cameras(False, tmp_path)[0].message
    assert message.endswith("FMT0, FMT1, FMT2, FMT3, FMT4, FMT5 and 2 more")
    fake_drivers(monkeypatch, {"video0": (*WEBCAM[:4], formats[:6])})
    assert camera_checks.check_cameras(False, tmp_path)[0].message.endswith(" FMT4, FMT5")


def test_a_camera_module_is_detected_by_its_receiver(tmp_path, monkeypatch):
    write_files(tmp_path, {"dev/video4": ""})
    fake_drivers(monkeypatch, {"video4": RECEIVER})
    assert_check(by_name(camera_checks.check_cameras(True, tmp_path))["camera module"], "ok", "rp1-cfe")
    (tmp_path / "dev/video4").unlink()
    check = by_name(camera_checks.check_cameras(True, tmp_path))["camera module"]
    assert_check(check, "unavailable", "rpicam-hello --list-cameras")


def test_without_a_camera_the_synthetic_one_is_advised(tmp_path, monkeypatch):
    write_files(tmp_path, {"dev/video10": ""})
    fake_drivers(monkeypatch, {"video10": CODEC})
    check = camera_checks.check_cameras(False, tmp_path)[0]
    assert (check.name, check.status) == ("cameras", "warning")
    assert_check(check, "warning", "edge run synthetic")


def test_on_a_pi_picamera2_needs_apt_and_the_systems_packages(tmp_path, monkeypatch):
    option = "--system-site-packages"
    check = camera_checks.check_picamera2(True, tmp_path)
    assert_check(check, "warning", "picamera2 and libcamera", "sudo apt install python3-picamera2", option)
    write_files(tmp_path, {"usr/lib/python3/dist-packages/picamera2/__init__.py": ""})
    check = camera_checks.check_picamera2(True, tmp_path)
    assert_check(check, "warning", option)
    assert "apt" not in check.advice
    fake_picamera2(tmp_path / "apt", monkeypatch)
    assert_check(camera_checks.check_picamera2(True, tmp_path), "ok")


def test_without_permission_the_advice_is_to_join_the_group(tmp_path, monkeypatch):
    write_files(tmp_path, {"dev/video0": "", "dev/video1": "", "dev/video2": ""})
    monkeypatch.setattr(os, "access", lambda *_: False)
    check, *others = camera_checks.check_cameras(False, tmp_path)
    assert_check(check, "error", getpass.getuser(), f"{tmp_path / 'dev/video0'} and 2 more", "log out and in again")
    assert "cameras" not in statuses(others)  # there may be one: no driver could be asked


@pytest.mark.parametrize(("group", "joined"), [("video", "video"), ("plugdev", "plugdev"), ("root", "video")])
def test_the_group_to_join_is_the_devices_unless_it_is_root(tmp_path, monkeypatch, group, joined):
    monkeypatch.setattr(Path, "group", lambda _: group)
    assert camera_checks.device_group(tmp_path) == joined


def test_the_group_of_a_device_that_is_gone_is_video(tmp_path):
    assert camera_checks.device_group(tmp_path / "video0") == "video"


def test_a_member_of_the_group_only_has_to_log_in_again(monkeypatch):
    monkeypatch.setattr(grp, "getgrnam", lambda name: {"video": SimpleNamespace(gr_mem=["berry"])}[name])
    assert camera_checks.join_group_advice("video", "pi").startswith("sudo usermod -aG video pi")
    assert "sudo" not in camera_checks.join_group_advice("video", "berry")
    assert camera_checks.join_group_advice("nothing", "pi").startswith("sudo usermod -aG nothing pi")


def test_a_frame_of_the_source_is_read_and_the_source_closed(monkeypatch):
    closed = threading.Event()

    def frames(_):
        try:
            yield from synthetic.frames("fast")
        finally:
            closed.set()

    monkeypatch.setattr(cameras, "frames", frames)
    assert_check(camera_checks.check_frame("synthetic:fast"), "ok", "synthetic:fast: 640 x 480 pixels", " s")
    assert closed.is_set()


@pytest.mark.parametrize(("source", "words"), [("usb:987654", "/dev/video987654"), ("picamra", "no camera 'picamra'")])
def test_a_source_without_a_frame_is_an_error_with_its_message(source, words):
    assert_check(camera_checks.check_frame(source), "error", f"{source}: ", words)


@pytest.mark.parametrize("error", [CameraError("unplugged"), RuntimeError("unplugged"), None])
def test_any_exception_of_a_camera_is_reported(monkeypatch, error):
    def frames(_):
        if error:
            raise error
        yield from ()

    monkeypatch.setattr(cameras, "frames", frames)
    assert_check(camera_checks.check_frame("usb:0"), "error", "unplugged" if error else "without a frame")


def test_a_camera_that_hangs_is_abandoned(monkeypatch):
    release = threading.Event()

    def frames(_):
        release.wait(30)
        yield from ()

    before = set(threading.enumerate())
    monkeypatch.setattr(cameras, "frames", frames)
    assert_check(camera_checks.check_frame("usb:0", timeout=0.02), "error", "no frame within 0.02 seconds")
    (abandoned,) = set(threading.enumerate()) - before
    assert abandoned.daemon  # otherwise the command would wait for it
    release.set()
    abandoned.join(30)
