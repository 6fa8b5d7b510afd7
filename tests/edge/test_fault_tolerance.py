"""A camera that is missing, taken, unplugged or hangs: what the run does then is what the unit's last lines say."""

import json
import os
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from threading import Event

import pytest

from edge.capture import latest_frame as newest
from edge.capture import reconnecting as reopen
from edge.capture import registry as cameras
from edge.capture.latest_frame import LatestFrame
from edge.capture.reconnecting import ReconnectingCamera
from edge.errors import CameraError, UsageError
from edge.types import Frame
from tests.support.fakes import frame
from tests.support.kiosk import Manager, Run, recording, until

FAST = "reopen.FIRST_WAIT = 0.1; reopen.LONGEST_WAIT = 0.4; "  # in place of 1 and 30 s


@pytest.fixture
def device(tmp_path):
    """Where the camera's device is, once it is plugged in."""
    return tmp_path / "video0"


@pytest.fixture
def told(tmp_path):
    with Manager(str(tmp_path / "notify")) as manager:
        yield manager


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return recording(tmp_path_factory.mktemp("video") / "recorded.avi", 5).read_bytes()


@pytest.fixture
def plug_in(device, video):
    """Gives a function that plugs the camera in; it stays until its five frames are over."""

    def plug(content: bytes = video) -> None:
        part = device.with_suffix(".part")
        part.write_bytes(content)
        part.replace(device)  # whole at once, as a device is

    return plug


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_camera_that_is_missing_at_start_is_waited_for_and_the_start_takes_its_time(device, told, plug_in):
    with Run("run", f"usb:{device}", "--reconnect", extra=FAST, manager=told, watchdog=30) as run:
        assert f"{device}: no such camera; found " in run.until("waiting for it")
        told.until("EXTEND_TIMEOUT_USEC=")
        told.until("STATUS=waiting for the camera: ")
        assert not [text for text in told.told if "READY" in text]
        plug_in()
        run.until("the camera is back after ")
        told.until("READY=1")
        assert run.stop() < 1.5


def test_a_camera_that_is_pulled_out_and_plugged_in_again_goes_on_in_the_same_process(device, plug_in, tmp_path):
    plug_in()
    log = tmp_path / "log.jsonl"
    with Run("run", f"usb:{device}", "--reconnect", "-s", f"jsonl:{log}", extra=FAST) as run:
        run.until("the camera stopped delivering after 5 frames; check plug and cable, or other users of it; waiting")
        device.unlink()
        run.until("no such camera")
        before = len(lines(log))
        plug_in()
        run.until("the camera is back after ")
        until(lambda: len(lines(log)) > before)
        run.stop()
    frames = lines(log)
    assert all(later["frame"] > sooner["frame"] for sooner, later in pairwise(frames))
    assert all(later["time"] > sooner["time"] for sooner, later in pairwise(frames))
    assert frames[before]["frame"] >= 5


def test_a_camera_that_another_program_has_is_waited_for_and_told_once(device, plug_in):
    plug_in(b"no video")
    with Run("run", f"usb:{device}", "--reconnect", extra=FAST + COUNT_TRIES) as run:
        run.until("cannot be opened; taken by another program")
        for _ in range(3):
            run.until("tried")
        plug_in()
        run.until("the camera is back after ")
    assert sum("taken by another program" in line for line in run.lines) == 1


COUNT_TRIES = """
from edge.capture import usb
opening = usb._open
def opened(path):
    print("tried", file=sys.stderr, flush=True)
    return opening(path)
usb._open = opened
"""


def test_a_camera_that_hangs_ends_the_process_and_feeds_no_watchdog(device, told):
    os.mkfifo(device)  # opening it waits in the library, where nothing of ours can reach it
    with Run(
        "run", f"usb:{device}", "--reconnect", "--idle-fps", 0, extra="newest.SILENCE = 1.0", manager=told, watchdog=0.1
    ) as run:
        assert run.end() == 1
    assert run.lines == ["edge: error: the camera hangs: no frame and no error for 1 s; plug it out and in again"]
    assert not [text for text in told.told if "WATCHDOG" in text or "READY" in text]


def test_a_stop_does_not_wait_for_a_camera_that_hangs(device, tmp_path):
    os.mkfifo(device)
    with Run("run", f"usb:{device}", "-s", f"jsonl:{tmp_path / 'log'}") as run:
        until((tmp_path / "log").exists)  # outputs are opened last
        assert run.stop() < 1.8
    assert run.process.returncode == 0


def test_a_stop_does_not_wait_for_a_camera_that_is_missing(device):
    with Run("run", f"usb:{device}", "--reconnect") as run:
        run.until("waiting for it")
        assert run.stop() < 1.5
    assert run.process.returncode == 0


def test_a_run_for_some_seconds_ends_though_the_camera_is_missing(device):
    with Run("run", f"usb:{device}", "--reconnect", "--duration", 0.5) as run:
        assert run.end() == 0
    assert run.lines[-1].startswith("0 frames")


def test_a_camera_that_stays_away_is_left_to_a_new_process(device):
    with Run("run", f"usb:{device}", "--reconnect", extra=f"{FAST}reopen.GIVE_UP = 0.5") as run:
        assert run.end() == 1
    assert run.lines[-1].startswith(f"edge: error: {device}: no such camera; found ")
    assert run.lines[-1].endswith("; waited 1 s for it")
    assert len(run.lines) == 2  # and one when it began


def test_without_retry_a_camera_that_is_missing_or_lost_ends_the_run(device, plug_in):
    with Run("run", f"usb:{device}") as run:
        assert run.end() == 1
    assert "no such camera" in run.lines[0]
    plug_in()
    with Run("run", f"usb:{device}") as run:
        assert run.end() == 1
    assert "the camera stopped delivering after 5 frames" in run.lines[0]


def test_without_a_source_a_camera_is_waited_for_and_no_synthetic_one_taken(device, plug_in):
    found = f"""
from pathlib import Path
from edge.capture import usb
usb.present = lambda: ({str(device)!r}, "found Webcam") if Path({str(device)!r}).exists() else (None, "")
"""
    with Run("run", "--reconnect", extra=FAST + found) as run:
        run.until("no camera module and no USB camera was found; waiting for it")
        plug_in()
        run.until(f"source: usb:{device} (found Webcam)")
        run.until("the camera is back")


def test_a_camera_module_is_never_opened_twice_in_a_process():
    module = """
from types import ModuleType
from tests.edge.capture.test_picamera import Libcamera, Picamera2
class Told(Picamera2):
    def __init__(self, *number):
        print("opened", file=sys.stderr, flush=True)
        super().__init__(*number)
sys.modules["picamera2"] = ModuleType("picamera2")
sys.modules["picamera2"].Picamera2 = Told
sys.modules["libcamera"] = Libcamera("libcamera")
"""
    with Run("run", "picamera", "--reconnect", extra=FAST + module) as run:
        assert run.end() == 1
    assert run.lines[0] == "opened"
    assert run.lines[1].startswith("edge: error: picamera: the camera stopped delivering after 3 frames")
    assert len(run.lines) == 2


def test_only_cameras_that_leave_nothing_behind_are_opened_again():
    assert {name for name in cameras.names() if cameras.can_reconnect(f"{name}:")} == {"usb"}


# The waits, by a clock that needs no time


class Time:
    """A clock that goes on by being slept on."""

    def __init__(self):
        self.now, self.slept = 100.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(reopen, "time", clock)
    return clock


class Camera:
    """Opened again and again, it does what `script` says: so many frames, or an error, each for `lasts` seconds."""

    def __init__(self, clock, *script, again=True, lasts=1.0):
        self.clock, self.script, self.again, self.lasts = clock, list(script), again, lasts
        self.tries: list[float] = []
        self.said: list[tuple[str, bool]] = []
        self.reopening = ReconnectingCamera(self.open, lambda text, bad: self.said.append((text, bad)))

    def open(self):
        self.tries.append(self.clock.now)
        step = self.script.pop(0) if self.script else UsageError("over")
        return self.frames(step), self.again

    def frames(self, step):
        if isinstance(step, Exception):
            raise step
        for index in range(step):
            self.clock.now += self.lasts
            yield replace(frame(time=index, index=index), captured_at=self.clock.now)
        raise CameraError(f"lost after {step}")

    def run(self):
        taken: list[Frame] = []
        with suppress(UsageError):
            taken.extend(self.reopening.frames())
        return taken

    def waits(self):
        return [round(later - sooner, 3) for sooner, later in pairwise(self.tries)]


def test_each_wait_is_twice_the_last_and_half_a_minute_at_most(clock):
    camera = Camera(clock, *[CameraError("gone")] * 8)
    camera.run()
    assert camera.waits() == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30])


def test_after_a_good_while_the_waits_begin_anew_and_after_a_short_one_they_do_not(clock):
    gone = CameraError("gone")
    long = Camera(clock, gone, gone, 31, gone)
    long.run()
    assert long.waits() == pytest.approx([1, 2, 31 + 1, 2])
    short = Camera(clock, gone, gone, 3, gone)
    short.run()
    assert short.waits() == pytest.approx([1, 2, 3 + 4, 8])


def test_people_are_told_of_each_change_and_not_of_each_try(clock):
    gone, taken = CameraError("gone"), CameraError("taken")
    camera = Camera(clock, gone, gone, gone, taken, taken, 2, gone)
    camera.run()
    assert camera.said == [
        ("gone; waiting for it", True),
        ("taken; waiting for it", True),
        ("the camera is back after 32 s", False),
        ("lost after 2; waiting for it", True),
        ("gone; waiting for it", True),
    ]


def test_the_wait_is_announced_and_the_try_is_not(clock):
    camera = Camera(clock, CameraError("gone"))
    waiting, trying = [], []
    opened = camera.open

    def sleep(seconds):
        waiting.append(camera.reopening.waiting)
        clock.now += seconds

    def tried():
        trying.append(camera.reopening.waiting)
        return opened()

    clock.sleep, camera.reopening._opened = sleep, tried
    camera.run()
    assert set(waiting) == {"gone"}
    assert trying == [None, None]


def test_time_and_index_go_on_over_the_gap(clock):
    taken = Camera(clock, 2, 2).run()
    assert [each.index for each in taken] == [0, 1, 2, 3]
    assert [each.time for each in taken] == pytest.approx([0, 1, 3, 4])  # a second's wait, and one to the first frame


def test_a_camera_that_may_not_be_opened_again_is_an_error_at_once(clock):
    with pytest.raises(CameraError, match=r"^lost after 2$"):
        Camera(clock, 2, 2, again=False).run()


def test_ten_minutes_without_a_frame_are_enough(clock):
    camera = Camera(clock, *[CameraError("gone")] * 100)
    with pytest.raises(CameraError, match=r"^gone; waited 6\d\d s for it$"):
        camera.run()
    assert 600 <= clock.now - 100 < 600 + reopen.LONGEST_WAIT


def test_a_stop_during_a_wait_ends_the_frames_without_another_try(clock):
    camera = Camera(clock, CameraError("gone"))
    camera.reopening._stopped = lambda: clock.now >= 100.5
    assert camera.run() == []
    assert (camera.tries, clock.now) == ([100], pytest.approx(100.6))


def test_what_is_no_fault_of_the_camera_is_not_waited_out(clock):
    camera = Camera(clock, UsageError("expected a number"))
    assert camera.run() == []
    assert len(camera.tries) == 1


# Silence


@pytest.fixture
def silent(monkeypatch):
    """A camera that hangs until the event is set."""
    monkeypatch.setattr(newest, "SILENCE", 0.0)
    monkeypatch.setattr(newest, "POLL_SECONDS", 0.01)
    event = Event()
    yield event
    event.set()


def hanging(event):
    event.wait()
    yield frame()


def test_a_camera_that_is_silent_for_too_long_is_an_error(silent):
    camera = LatestFrame(hanging(silent))
    camera._thread.start()
    with pytest.raises(CameraError, match="the camera hangs: no frame and no error for 0 s"):
        next(camera)


def test_silence_that_is_known_is_none(silent):
    asked = []

    def waiting():
        asked.append(1)
        if len(asked) == 5:
            silent.set()
        return True

    with LatestFrame(hanging(silent), waiting=waiting) as camera:
        assert next(camera).index == 0
