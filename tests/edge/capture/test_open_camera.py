"""A run opens its camera: the one that is connected, also after a wait that is reported."""

import logging
import threading
from contextlib import closing

import pytest

from edge.capture import registry
from edge.capture.open_camera import CameraOpener, open_camera
from edge.errors import CameraError

TIMEOUT_SECONDS = 30.0  # only a failing test waits as long


def test_without_a_source_the_camera_that_is_there_is_opened(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "edge")
    found = iter([("synthetic", "no camera was found"), ("synthetic:fast", "it came"), ("synthetic:fast", "it came")])
    monkeypatch.setattr(registry, "detect_source", lambda: next(found))
    open_connected = CameraOpener("")
    with pytest.raises(CameraError, match="no camera was found"):
        open_connected()
    for _ in range(2):
        frames, can_reconnect = open_connected()
        with closing(frames):
            assert next(frames).index == 0
        assert not can_reconnect
    assert caplog.messages == ["source: synthetic:fast (it came)"]  # once


def test_a_wait_for_the_camera_is_reported_until_the_run_ends(monkeypatch):
    def fail(source):
        raise CameraError(f"{source} is unplugged")

    monkeypatch.setattr(registry, "undecoded_frames", fail)
    reasons: list[str] = []
    with open_camera("usb:0", True, lambda: bool(reasons), reasons.append) as frames:
        assert list(frames) == []
    assert reasons == ["usb:0 is unplugged"]


def test_leaving_ends_a_wait_for_the_camera(monkeypatch):
    def fail(source):
        raise CameraError(f"{source} is unplugged")

    def stopped():
        return bool(reasons) and threading.current_thread() is threading.main_thread()  # the loop's wait only

    monkeypatch.setattr(registry, "undecoded_frames", fail)
    reasons: list[str] = []
    before = set(threading.enumerate())
    with open_camera("usb:0", True, stopped, reasons.append) as frames:
        (thread,) = set(threading.enumerate()) - before
        assert list(frames) == []
        assert thread.is_alive()
    thread.join(TIMEOUT_SECONDS)
    assert not thread.is_alive()
