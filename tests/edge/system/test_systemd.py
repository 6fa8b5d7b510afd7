"""The service manager is told ready, alive, status and stopping, each when it is true; without one nothing happens."""

import json
import os
import subprocess
import sys

import pytest

from edge.errors import SettingsError
from edge.system import log as journal
from edge.system import systemd as service
from edge.system.systemd import Listener, Manager
from tests.support.commands import EDGE
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import Manager as Told
from tests.support.kiosk import Run

WATCHDOG = 8.0  # seconds; fed every 2 s, then


@pytest.fixture(params=["path", "abstract"])
def told(request, tmp_path):
    """A service manager at a socket of either kind."""
    with Told(str(tmp_path / "notify") if request.param == "path" else f"@edge-test-{os.getpid()}") as manager:
        yield manager


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Notes:
    """Stands in for the socket: keeps what it is told."""

    def __init__(self, watchdog=WATCHDOG):
        self.watchdog, self.told, self.hears = watchdog, [], True

    def tell(self, *assignments):
        self.told += assignments * self.hears
        return self.hears


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def listener(notes, clock):
    return Listener(notes, lambda: notes.told.append("warm up"), clock, lambda: 61.4)


def test_a_run_tells_ready_then_alive_and_its_state_and_that_it_stops(told):
    with Run(
        "run", "synthetic", manager=told, watchdog=1.0, extra="from edge import service; service.STATUS_SECONDS = 0.5"
    ) as run:
        ready = told.until("READY=1")
        alive = told.until("WATCHDOG=1", told.until("WATCHDOG=1", ready) + 1)
        told.until(" frames a second, 1 face", alive)
        assert run.stop() < 1.5  # promised is a second; the machine of a test is busy
    assert run.process.returncode == 0
    assert told.told[0] == "STATUS=waiting for the first frame"
    assert told.told[-1] == "STOPPING=1"
    assert told.told.count("READY=1") == 1


def test_a_stop_does_not_wait_for_the_next_frame_of_a_slow_run():
    told = """
from edge.capture import frame_rate as pace
wait, waits = pace.Pace.wait, []
def told(self, stopped):
    waits.append(self)
    if len(waits) == 2:  # the first one ends at once
        print("asleep", file=sys.stderr, flush=True)
    wait(self, stopped)
pace.Pace.wait = told
"""
    with Run("run", "synthetic", "--max-fps", 0.1, extra=told) as run:  # ten seconds from frame to frame
        run.until("asleep")
        assert run.stop() < 1.5
    assert run.process.returncode == 0


def test_it_tells_that_it_stops_before_its_outputs_are_closed(told, tmp_path):
    last = """
from edge.system import systemd as service
from edge.sinks.registry import console
console.Sink.__exit__ = lambda *_: service.Manager.listening().tell("X_CLOSED=1")
"""
    with Run("run", "synthetic", "--max-frames", 2, manager=told, extra=last) as run:
        assert run.end() == 0
        told.until("X_CLOSED=1", told.until("STOPPING=1"))


def test_without_a_service_manager_nothing_of_this_is_even_loaded():
    program = "import sys; from edge.cli import main\ntry: main()\nexcept SystemExit: print('edge.system.systemd' in sys.modules)"
    command = [sys.executable, "-c", program, "run", "synthetic:fast", "--max-frames", "1"]
    plain = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=plain)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_service_manager_that_is_gone_is_no_error(tmp_path):
    result = run_edge_with({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000000"})
    assert result.returncode == 0, result.stderr


def test_a_run_that_is_refused_was_never_ready(told):
    with Run("run", "usb:/dev/null", manager=told) as run:
        assert run.end() == 1
    assert not [text for text in told.told if "READY" in text]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": ""}, None),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, None),
        ({"NOTIFY_SOCKET": "/run/x"}, "none"),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000"}, 30),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, "none"),
    ],
)
def test_the_environment_tells_who_listens_and_whether_it_wants_signs_of_life(environment, expected):
    manager = Manager.listening(environment)
    assert (manager and (manager.watchdog or "none")) == expected


def test_a_run_that_nobody_stands_before_is_ready_after_a_image_was_read_all_the_same(listener, notes):
    listener.write(frame_result())
    assert notes.told[:2] == ["warm up", "READY=1"]


def test_a_face_that_was_read_needs_no_other_image(listener, notes):
    listener.write(frame_result(face_result()))
    assert notes.told[0] == "READY=1"
    assert "warm up" not in notes.told


def test_ready_is_told_until_the_manager_has_heard_it_and_then_no_more(listener, notes):
    notes.hears = False
    listener.write(frame_result(face_result()))
    notes.hears = True
    for _ in range(3):
        listener.write(frame_result(face_result()))
    assert notes.told.count("READY=1") == 1


def test_the_watchdog_is_fed_by_frames_and_at_most_every_quarter_of_its_time(listener, notes, clock):
    fed = []
    for tick in range(100):  # ten seconds of ten frames each
        clock.now, notes.told = tick / 10, []
        listener.write(frame_result())
        fed += [clock.now] * notes.told.count("WATCHDOG=1")
    assert fed == pytest.approx([0, 2, 4, 6, 8])


def test_a_manager_without_a_watchdog_gets_no_signs_of_life(listener, notes):
    notes.watchdog = None
    listener.write(frame_result())
    assert "WATCHDOG=1" not in notes.told


def test_a_loop_that_hangs_feeds_it_no_more(tmp_path):
    stuck = """
from edge.sinks.registry import console
import threading
def write(self, seen):
    if seen.frame.index > 5:
        print("stuck", file=sys.stderr, flush=True)
        threading.Event().wait()
console.Sink.write = write
"""
    with (
        Told(str(tmp_path / "notify")) as told,
        Run("run", "synthetic", "--idle-fps", 0, extra=stuck, manager=told, watchdog=0.04) as run,
    ):
        told.until("WATCHDOG=1")
        run.until("stuck")
        before = len(told.told)
        with pytest.raises(subprocess.TimeoutExpired):
            run.process.wait(0.5)  # a dozen times the watchdog's
        assert len(told.told) == before


def test_a_run_too_slow_for_its_watchdog_is_refused_and_one_that_is_fast_enough_is_not(monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "@edge-test-nobody")
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    with pytest.raises(SettingsError, match=r"max_fps or idle_fps is 0.1, expected 0.2 or more: a watchdog of 10 s"):
        service.listener(lambda: None, 0.1)
    assert service.listener(lambda: None, 0.2)
    assert service.listener(lambda: None, None)


def test_the_state_has_rate_faces_and_temperature_and_is_told_every_five_seconds(listener, notes, clock):
    for tick in range(121):  # twelve seconds of ten frames each
        clock.now = tick / 10
        listener.write(frame_result(face_result(), face_result(track_id=2)) if tick > 80 else frame_result())
    said = [text for text in notes.told if text.startswith("STATUS=")]
    assert said == [
        "STATUS=frames come",
        "STATUS=10.0 frames a second, 0 faces, 61 degrees C",
        "STATUS=10.0 frames a second, 2 faces, 61 degrees C",
    ]


def test_a_board_without_a_thermometer_leaves_it_out(notes, clock):
    listener = Listener(notes, lambda: None, clock, lambda: None)
    listener.write(frame_result())
    clock.now = 5
    listener.write(frame_result(face_result()))
    assert notes.told[-1] == "STATUS=0.2 frames a second, 1 face"


def test_a_known_wait_for_the_camera_feeds_the_watchdog_and_is_the_state(listener, notes, clock):
    listener.write(frame_result())
    notes.told = []
    for tick in range(61):  # six seconds
        clock.now = 1 + tick / 10
        listener.waiting("no camera")
    assert notes.told.count("WATCHDOG=1") == 3
    assert notes.told.count("STATUS=waiting for the camera: no camera") == 2
    assert not [text for text in notes.told if "EXTEND" in text]  # that is for a start
    listener.write(frame_result())
    assert notes.told[-1] == "STATUS=frames come"


def test_a_wait_before_the_first_frame_extends_the_time_to_start(listener, notes):
    listener.waiting("no camera")
    assert notes.told == ["WATCHDOG=1", "STATUS=waiting for the camera: no camera", "EXTEND_TIMEOUT_USEC=30000000"]


# Priorities


def run_edge_with(environment, *arguments, journal_at=None, command=(EDGE,)):
    """Run `edge` with stderr as a pipe; `journal_at` makes of the pipe's device and inode a JOURNAL_STREAM."""
    out, into = os.pipe()
    about = os.fstat(into)
    if journal_at:
        environment = {**environment, "JOURNAL_STREAM": journal_at(f"{about.st_dev}:{about.st_ino}")}
    arguments = arguments or ("run", "synthetic:fast", "--max-frames", "1")
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=into,
        text=True,
        env={**os.environ, **environment},
    )
    os.close(into)
    with os.fdopen(out) as said:
        stderr = said.read()
    stdout, _ = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_in_the_journal_a_line_has_its_priority():
    result = run_edge_with({}, journal_at=str)
    assert [line[:3] for line in result.stderr.splitlines()] == ["<6>", "<6>"]
    assert not result.stdout.startswith("<")
    refused = run_edge_with({}, "run", "nothing.mp4", journal_at=str)
    assert refused.stderr.startswith("<3>edge: error: nothing.mp4: no such file")
    assert run_edge_with({}, "rum", journal_at=str).stderr.startswith("<3>edge: error: No such command")


def test_every_line_of_a_crash_is_an_error_in_the_journal():
    crash = "from edge import cli; cli._settings = lambda *_: 1 / 0; cli.main()"
    result = run_edge_with({}, "run", journal_at=str, command=[sys.executable, "-c", crash])
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "<3>ZeroDivisionError: division by zero"
    assert {line[:3] for line in result.stderr.splitlines()} == {"<3>"}


@pytest.mark.parametrize("stream", ["1:2", "", "nonsense"])
def test_elsewhere_lines_are_plain_though_the_variable_is_set(stream):
    result = run_edge_with({}, "run", "nothing.mp4", journal_at=lambda _: stream)
    assert result.stderr.startswith("edge: error: ")


def test_a_line_is_written_whole_with_the_priority_before_each_of_several(monkeypatch, capsys):
    monkeypatch.setattr(journal, "listens", lambda: True)
    journal.say("one\ntwo", journal.WARNING)
    assert capsys.readouterr().err == "<4>one\n<4>two\n"


def test_readings_on_stdout_stay_as_they_are():
    result = run_edge_with({}, "run", "synthetic:fast", "--max-frames", "1", "-s", "jsonl", journal_at=str)
    assert json.loads(result.stdout)["frame"] == 0
