"""A missing, busy, unplugged or stuck camera: what a run does then is what the end of the service's unit says."""

import json
import os
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from threading import Event

import pytest

from edge.capture import latest_frame, reconnecting
from edge.capture import registry as cameras
from edge.capture.encoded_frame import EncodedFrame
from edge.capture.latest_frame import LatestFrame
from edge.capture.reconnecting import ReconnectingCamera
from edge.errors import CameraError, UsageError
from edge.types import Frame
from tests.support.fakes import FakeClock, frame
from tests.support.kiosk import EdgeProcess, FakeSystemdManager, wait_until, write_video

FAST_RETRIES = "reconnecting.FIRST_RETRY_SECONDS = 0.1; reconnecting.MAX_RETRY_SECONDS = 0.4; "  # not 1 and 30 s
STOP_SECONDS = 5.0  # a stop takes less than 1 s, but the machine may be busy; TimeoutStopSec= of the unit


@pytest.fixture
def device(tmp_path):
    """The path of the camera's device, which exists while the camera is plugged in."""
    return tmp_path / "video0"


@pytest.fixture
def manager(tmp_path):
    with FakeSystemdManager(str(tmp_path / "notify")) as manager:
        yield manager


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "camera.avi", 5).read_bytes()


@pytest.fixture
def plug_in(device, video):
    """A function that plugs the camera in; it delivers five frames."""

    def plug(content: bytes = video) -> None:
        part = device.with_suffix(".part")
        part.write_bytes(content)
        part.replace(device)  # appears complete, as a device does

    return plug


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_camera_missing_at_start_is_waited_for(device, manager, plug_in):
    with EdgeProcess(
        "run", f"usb:{device}", "--reconnect", patch=FAST_RETRIES, manager=manager, watchdog_seconds=30
    ) as run:
        assert str(device) in run.wait_for_line("waiting for it")
        manager.wait_for("EXTEND_TIMEOUT_USEC=")
        manager.wait_for("STATUS=waiting for the camera: ")
        assert not any("READY" in message for message in manager.messages)
        plug_in()
        run.wait_for_line("the camera is back")
        manager.wait_for("READY=1")
        assert run.stop() < STOP_SECONDS


def test_an_unplugged_camera_continues_in_the_same_process(device, plug_in, tmp_path):
    plug_in()
    log = tmp_path / "log.jsonl"
    with EdgeProcess("run", f"usb:{device}", "--reconnect", "-s", f"jsonl:{log}", patch=FAST_RETRIES) as run:
        run.wait_for_line("stopped delivering after 5 frames")
        device.unlink()
        run.wait_for_line("no such camera")
        wait_until(lambda: any(line["frame"] >= 4 for line in read_lines(log)))
        before = len(read_lines(log))
        plug_in()
        run.wait_for_line("the camera is back")
        wait_until(lambda: len(read_lines(log)) > before)
        run.stop()
    frames = read_lines(log)
    assert all(later["frame"] > earlier["frame"] for earlier, later in pairwise(frames))
    assert all(later["time"] > earlier["time"] for earlier, later in pairwise(frames))
    assert frames[before]["frame"] >= 5


def test_a_busy_camera_is_reported_once(device, plug_in):
    plug_in(b"no video")
    with EdgeProcess("run", f"usb:{device}", "--reconnect", patch=FAST_RETRIES + REPORT_ATTEMPTS) as run:
        run.wait_for_line("cannot be opened")
        for _ in range(3):
            run.wait_for_line("attempt")
        plug_in()
        run.wait_for_line("the camera is back")
    assert sum("cannot be opened" in line for line in run.lines) == 1


REPORT_ATTEMPTS = """
open_video = cv2.VideoCapture
def open_and_report(*arguments):
    print("attempt", file=sys.stderr, flush=True)
    return open_video(*arguments)
cv2.VideoCapture = open_and_report
"""


def test_a_stuck_camera_ends_the_process_and_feeds_no_watchdog(device, manager):
    os.mkfifo(device)  # opening it blocks inside OpenCV
    with EdgeProcess(
        *("run", f"usb:{device}", "--reconnect", "--idle-fps", 0),
        patch="latest_frame.STUCK_TIMEOUT_SECONDS = 1.0",
        manager=manager,
        watchdog_seconds=0.1,
    ) as run:
        assert run.wait_for_exit() == 1
    (line,) = run.lines
    assert line.startswith("edge: error: the camera is stuck")
    assert not any("WATCHDOG" in message or "READY" in message for message in manager.messages)


def test_a_stop_does_not_wait_for_a_stuck_camera(device, tmp_path):
    os.mkfifo(device)
    with EdgeProcess("run", f"usb:{device}", "-s", f"jsonl:{tmp_path / 'log'}") as run:
        wait_until((tmp_path / "log").exists)  # sinks are opened last
        assert run.stop() < STOP_SECONDS
    assert run.process.returncode == 0


def test_a_stop_does_not_wait_for_a_missing_camera(device):
    with EdgeProcess("run", f"usb:{device}", "--reconnect") as run:
        run.wait_for_line("waiting for it")
        assert run.stop() < STOP_SECONDS
    assert run.process.returncode == 0


def test_the_duration_ends_a_run_without_a_camera(device):
    with EdgeProcess("run", f"usb:{device}", "--reconnect", "--duration", 0.5) as run:
        assert run.wait_for_exit() == 0
    assert run.lines[-1].startswith("0 frames")


def test_after_the_longest_wait_the_process_ends(device):
    with EdgeProcess(
        "run", f"usb:{device}", "--reconnect", patch=f"{FAST_RETRIES}reconnecting.GIVE_UP_SECONDS = 0.5"
    ) as run:
        assert run.wait_for_exit() == 1
    first, last = run.lines
    assert "waiting for it" in first
    assert last.startswith("edge: error: ")
    assert str(device) in last


def test_without_reconnect_a_missing_or_lost_camera_ends_the_run(device, plug_in):
    with EdgeProcess("run", f"usb:{device}") as run:
        assert run.wait_for_exit() == 1
    assert "no such camera" in run.lines[0]
    plug_in()
    with EdgeProcess("run", f"usb:{device}") as run:
        assert run.wait_for_exit() == 1
    assert "stopped delivering after 5 frames" in run.lines[0]


def test_without_a_source_a_run_waits_for_any_camera(device, plug_in):
    detect = f"""
from pathlib import Path
from edge.capture import usb
usb.detect = lambda: ({str(device)!r}, "found Webcam") if Path({str(device)!r}).exists() else (None, "")
"""
    with EdgeProcess("run", "--reconnect", patch=FAST_RETRIES + detect) as run:
        run.wait_for_line("waiting for it")
        plug_in()
        assert str(device) in run.wait_for_line("source: ")
        run.wait_for_line("the camera is back")


def test_a_camera_module_is_opened_once_in_a_process():
    fake_module = """
from types import ModuleType
from tests.edge.capture import test_picamera
class ReportingPicamera2(test_picamera.Picamera2):
    def __init__(self, *number):
        print("opened", file=sys.stderr, flush=True)
        super().__init__(*number)
sys.modules["picamera2"] = ModuleType("picamera2")
sys.modules["picamera2"].Picamera2 = ReportingPicamera2
sys.modules["libcamera"] = test_picamera.Libcamera("libcamera")
"""
    with EdgeProcess("run", "picamera", "--reconnect", patch=FAST_RETRIES + fake_module) as run:
        assert run.wait_for_exit() == 1
    first, last = run.lines
    assert first == "opened"
    assert last.startswith("edge: error: picamera: ")


def test_usb_and_network_cameras_reconnect_in_a_process():
    assert {name for name in cameras.names() if cameras.can_reconnect(f"{name}:")} == {"usb", "rtsp", "http"}


# --- waiting times, with a fake clock -----------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock(100.0)
    monkeypatch.setattr(reconnecting, "time", clock)
    return clock


class ScriptedCamera:
    """A ReconnectingCamera. Each time it is opened, it follows the next item of `script`.

    Args:
        script: a number of frames, after which the camera is lost, or an error.
        can_reconnect: may be opened again.
        frame_seconds: time from one frame to the next.
    """

    def __init__(self, clock, *script, can_reconnect=True, frame_seconds=1.0, stopped=lambda: False):
        self.clock, self.script = clock, list(script)
        self.can_reconnect, self.frame_seconds = can_reconnect, frame_seconds
        self.attempts: list[float] = []  # times of opening
        self.wait_reasons: list[str | None] = []  # at each attempt
        self.reports: list[tuple[str, bool]] = []
        self.camera = ReconnectingCamera(
            self.open, lambda message, is_problem: self.reports.append((message, is_problem)), stopped
        )

    def open(self):
        self.attempts.append(self.clock.now)
        self.wait_reasons.append(self.camera.wait_reason)
        step = self.script.pop(0) if self.script else UsageError("end of the script")
        return self.frames(step), self.can_reconnect

    def frames(self, step):
        if isinstance(step, Exception):
            raise step
        for index in range(step):
            self.clock.now += self.frame_seconds
            yield replace(frame(time=index, index=index), captured_at=self.clock.now)
        raise CameraError(f"lost after {step}")

    def run(self):
        frames: list[Frame | EncodedFrame] = []
        with suppress(UsageError):
            frames.extend(self.camera.frames())
        return frames

    def waits(self):
        return [round(later - earlier, 3) for earlier, later in pairwise(self.attempts)]


def test_the_wait_doubles_up_to_half_a_minute(clock):
    camera = ScriptedCamera(clock, *[CameraError("gone")] * 8)
    camera.run()
    assert camera.waits() == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30])


def test_the_wait_starts_again_only_after_a_long_connection(clock):
    gone = CameraError("gone")
    long = ScriptedCamera(clock, gone, gone, 31, gone)
    long.run()
    assert long.waits() == pytest.approx([1, 2, 31 + 1, 2])
    short = ScriptedCamera(clock, gone, gone, 3, gone)
    short.run()
    assert short.waits() == pytest.approx([1, 2, 3 + 4, 8])


def test_changes_are_reported_and_attempts_are_not(clock):
    gone, busy = CameraError("gone"), CameraError("busy")
    camera = ScriptedCamera(clock, gone, gone, gone, busy, busy, 2, gone)
    camera.run()
    assert [(message.split(";")[0], is_problem) for message, is_problem in camera.reports] == [
        ("gone", True),
        ("busy", True),
        ("the camera is back after 32 s", False),
        ("lost after 2", True),
        ("gone", True),
    ]


def test_the_wait_has_a_reason_and_the_attempt_has_none(clock, monkeypatch):
    camera = ScriptedCamera(clock, CameraError("gone"))
    during_wait = []

    def sleep(seconds):
        during_wait.append(camera.camera.wait_reason)
        clock.now += seconds

    monkeypatch.setattr(clock, "sleep", sleep)
    camera.run()
    assert set(during_wait) == {"gone"}
    assert camera.wait_reasons == [None, None]


def test_time_and_index_are_continuous_over_the_gap(clock):
    frames = ScriptedCamera(clock, 2, 2).run()
    assert [each.index for each in frames] == [0, 1, 2, 3]
    assert [each.time for each in frames] == pytest.approx([0, 1, 3, 4])  # 1 s of waiting, 1 s to the first frame


def test_a_camera_that_cannot_reconnect_raises_at_once(clock):
    with pytest.raises(CameraError, match=r"^lost after 2$"):
        ScriptedCamera(clock, 2, 2, can_reconnect=False).run()


def test_a_camera_that_cannot_reconnect_ends_no_run_at_once(clock):
    camera = ScriptedCamera(clock, CameraError("gone"), can_reconnect=False)
    with pytest.raises(CameraError, match=r"^gone$"):
        camera.run()
    assert clock.now == pytest.approx(100 + reconnecting.MAX_RETRY_SECONDS)
    assert camera.attempts == [100]
    assert camera.reports == [("gone; the run ends in 30 s", True)]


def test_a_stop_ends_the_wait_of_a_run_that_is_to_end(clock):
    camera = ScriptedCamera(clock, CameraError("gone"), can_reconnect=False, stopped=lambda: clock.now >= 100.5)
    assert camera.run() == []


def test_ten_minutes_without_a_frame_end_the_run(clock):
    with pytest.raises(CameraError, match=r"^gone"):
        ScriptedCamera(clock, *[CameraError("gone")] * 100).run()
    assert 600 <= clock.now - 100 < 600 + reconnecting.MAX_RETRY_SECONDS


def test_a_stop_during_a_wait_prevents_another_attempt(clock):
    camera = ScriptedCamera(clock, CameraError("gone"), stopped=lambda: clock.now >= 100.5)
    assert camera.run() == []
    assert (camera.attempts, clock.now) == ([100], pytest.approx(100.6))


def test_errors_of_the_command_line_are_not_waited_for(clock):
    camera = ScriptedCamera(clock, UsageError("expected a number"))
    assert camera.run() == []
    assert len(camera.attempts) == 1


# --- a stuck camera -----------------------------------------------------------------------------------------------


@pytest.fixture
def release_camera(monkeypatch):
    """An event until which the camera of `stuck_frames` is stuck. Without a frame, the timeout is over at once."""
    monkeypatch.setattr(latest_frame, "STUCK_TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(latest_frame, "POLL_SECONDS", 0.01)
    event = Event()
    yield event
    event.set()


def stuck_frames(event):
    event.wait()
    yield frame()


def test_a_camera_without_a_frame_for_too_long_is_stuck(release_camera):
    with LatestFrame(stuck_frames(release_camera)) as camera:
        with pytest.raises(CameraError, match=r"stuck: .* unplug it .* on the network"):
            next(camera)
        release_camera.set()


def test_a_camera_during_a_known_wait_is_not_stuck(release_camera):
    calls = []

    def is_waiting():
        calls.append(1)
        if len(calls) == 5:
            release_camera.set()
        return True

    with LatestFrame(stuck_frames(release_camera), waiting=is_waiting) as camera:
        assert next(camera).index == 0
