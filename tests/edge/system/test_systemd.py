"""The service manager gets ready, alive, status and stopping when each is true; without a manager nothing is sent."""

import os
import subprocess
import sys

import pytest

from edge.errors import SettingsError
from edge.system import systemd
from edge.system.systemd import SystemdManager, SystemdNotifier
from tests.support.fake_machine import write_program
from tests.support.fakes import FakeClock, face_result, frame_result
from tests.support.kiosk import EdgeProcess, FakeSystemdManager

WATCHDOG_SECONDS = 8.0  # fed every 2 s


@pytest.fixture(params=["path", "abstract"])
def socket_manager(request, tmp_path):
    """A manager at a socket of either kind."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@edge-test-{os.getpid()}"
    with FakeSystemdManager(address) as manager:
        yield manager


class RecordingManager(SystemdManager):
    """A manager without a socket. It keeps what arrives, which is nothing while it is not `receiving`."""

    def __init__(self):
        super().__init__("@nobody", WATCHDOG_SECONDS)
        self.messages, self.receiving = [], True

    def notify(self, *assignments):
        if self.receiving:
            self.messages += assignments
        return self.receiving


@pytest.fixture
def manager():
    return RecordingManager()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def notifier(manager, clock):
    return SystemdNotifier(manager, lambda: manager.messages.append("warm up"), clock, lambda: 61.4)


# --- complete runs ------------------------------------------------------------------------------------------------


def test_a_run_reports_ready_alive_status_and_stopping(socket_manager):
    with EdgeProcess(
        *("run", "synthetic"),
        manager=socket_manager,
        watchdog_seconds=1.0,
        patch="from edge.system import systemd; systemd.STATUS_SECONDS = 0.5",
    ) as run:
        ready = socket_manager.wait_for("READY=1")
        alive = socket_manager.wait_for("WATCHDOG=1", socket_manager.wait_for("WATCHDOG=1", ready) + 1)
        socket_manager.wait_for("faces=1", socket_manager.wait_for("STATUS=fps=", alive))
        run.stop()
    assert run.process.returncode == 0
    assert socket_manager.messages[0] == "STATUS=waiting for the first frame"
    assert socket_manager.messages[-1] == "STOPPING=1"
    assert socket_manager.messages.count("READY=1") == 1


def test_a_stop_does_not_wait_for_a_limited_frame_rate():
    report_wait = """
from edge.capture.frame_rate import FrameRateLimiter
wait, calls = FrameRateLimiter.wait, []
def wait_and_report(self, *arguments):
    calls.append(self)
    if len(calls) == 2:  # the first one returns at once
        print("waiting", file=sys.stderr, flush=True)
    return wait(self, *arguments)
FrameRateLimiter.wait = wait_and_report
"""
    with EdgeProcess("run", "synthetic", "--max-fps", 0.1, patch=report_wait) as run:  # ten seconds between frames
        run.wait_for_line("waiting")
        assert run.stop() < 5
    assert run.process.returncode == 0


def test_stopping_is_reported_before_sinks_are_closed(socket_manager):
    report_close = """
from edge.sinks import console
from edge.system.systemd import SystemdManager
console.Sink.__exit__ = lambda *_: SystemdManager.from_environment().notify("X_CLOSED=1")
"""
    with EdgeProcess("run", "synthetic", "--max-frames", 2, manager=socket_manager, patch=report_close) as run:
        assert run.wait_for_exit() == 0
        socket_manager.wait_for("X_CLOSED=1", socket_manager.wait_for("STOPPING=1"))


def test_without_a_manager_the_module_is_not_loaded():
    program = """
import sys
from edge.cli import main
try:
    main()
except SystemExit:
    print("edge.system.systemd" in sys.modules)
"""
    environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    result = subprocess.run(
        [sys.executable, "-c", program, "run", "synthetic:fast", "--max-frames", "1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment,
    )
    assert result.stdout.splitlines()[-1] == "False"


def test_a_manager_that_is_gone_is_no_error(tmp_path):
    manager = SystemdManager(str(tmp_path / "gone"))
    assert not manager.notify("READY=1")
    notifier = SystemdNotifier(manager, lambda: None)
    with notifier:
        notifier.write(frame_result())


def test_a_run_without_a_camera_is_never_ready(socket_manager):
    with EdgeProcess("run", "usb:/dev/null", manager=socket_manager) as run:
        assert run.wait_for_exit() == 1
    assert not any("READY" in message for message in socket_manager.messages)


def test_a_loop_that_hangs_does_not_feed_the_watchdog(socket_manager):
    hang = """
from edge.sinks import console
import threading
def write(self, result):
    if result.frame.index > 5:
        print("hangs", file=sys.stderr, flush=True)
        threading.Event().wait()
console.Sink.write = write
"""
    with EdgeProcess(
        "run", "synthetic", "--idle-fps", 0, patch=hang, manager=socket_manager, watchdog_seconds=0.04
    ) as run:
        socket_manager.wait_for("WATCHDOG=1")
        run.wait_for_line("hangs")
        before = len(socket_manager.messages)
        with pytest.raises(subprocess.TimeoutExpired):
            run.process.wait(0.5)  # twelve times the interval of the watchdog
        assert len(socket_manager.messages) == before


# --- the manager --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_supported_socket_there_is_no_manager(environment):
    assert SystemdManager.from_environment(environment) is None


@pytest.mark.parametrize(
    ("environment", "watchdog_seconds"),
    [
        ({"NOTIFY_SOCKET": "/run/x"}, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000"}, 30),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog_comes_from_the_environment(environment, watchdog_seconds):
    manager = SystemdManager.from_environment(environment)
    assert manager
    assert manager.watchdog_seconds == watchdog_seconds


def test_a_frame_rate_too_low_for_the_watchdog_is_refused(monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "@edge-test-nobody")
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    with pytest.raises(SettingsError, match=r"max_fps or idle_fps is 0\.1, expected 0\.2 or more"):
        systemd.make_notifier(lambda: None, 0.1)
    assert systemd.make_notifier(lambda: None, 0.2)
    assert systemd.make_notifier(lambda: None, None)


# --- the notifier -------------------------------------------------------------------------------------------------


def test_without_a_face_the_model_runs_before_ready(notifier, manager):
    notifier.write(frame_result())
    assert manager.messages[:2] == ["warm up", "READY=1"]


def test_a_classified_face_needs_no_warm_up(notifier, manager):
    notifier.write(frame_result(face_result()))
    assert manager.messages[0] == "READY=1"
    assert "warm up" not in manager.messages


def test_ready_is_repeated_until_it_arrives(notifier, manager):
    manager.receiving = False
    notifier.write(frame_result(face_result()))
    manager.receiving = True
    for _ in range(3):
        notifier.write(frame_result(face_result()))
    assert manager.messages.count("READY=1") == 1


def test_frames_feed_the_watchdog_every_quarter_interval(notifier, manager, clock):
    fed_at = []
    for tick in range(100):  # ten seconds at 10 frames per second
        clock.now, manager.messages = tick / 10, []
        notifier.write(frame_result())
        fed_at += [clock.now] * manager.messages.count("WATCHDOG=1")
    assert fed_at == pytest.approx([0, 2, 4, 6, 8])


def test_without_a_watchdog_nothing_is_fed(notifier, manager):
    manager.watchdog_seconds = None
    notifier.write(frame_result())
    assert "WATCHDOG=1" not in manager.messages


def test_the_status_is_data_and_is_sent_every_five_seconds(notifier, manager, clock):
    for tick in range(121):  # twelve seconds at 10 frames per second
        clock.now = tick / 10
        faces = (face_result(), face_result(track_id=2)) if tick > 80 else ()
        notifier.write(frame_result(*faces))
    assert [message for message in manager.messages if message.startswith("STATUS=")] == [
        "STATUS=receiving frames",
        "STATUS=fps=10.0 faces=0 temperature_c=61",
        "STATUS=fps=10.0 faces=2 temperature_c=61",
    ]


def test_without_a_sensor_the_status_has_no_temperature(manager, clock):
    notifier = SystemdNotifier(manager, lambda: None, clock, lambda: None)
    notifier.write(frame_result())
    clock.now = 5
    notifier.write(frame_result(face_result()))
    assert manager.messages[-1] == "STATUS=fps=0.2 faces=1"


def test_a_known_wait_feeds_the_watchdog_and_is_the_status(notifier, manager, clock):
    notifier.write(frame_result())
    manager.messages = []
    for tick in range(61):  # six seconds
        clock.now = 1 + tick / 10
        notifier.report_wait("no camera")
    assert manager.messages.count("WATCHDOG=1") == 3
    assert manager.messages.count("STATUS=waiting for the camera: no camera") == 2
    assert not any("EXTEND" in message for message in manager.messages)  # only a start can be extended
    notifier.write(frame_result())
    assert manager.messages[-1] == "STATUS=receiving frames"


def test_a_wait_before_the_first_frame_extends_the_start(notifier, manager):
    notifier.report_wait("no camera")
    assert manager.messages == [
        "WATCHDOG=1",
        "STATUS=waiting for the camera: no camera",
        "EXTEND_TIMEOUT_USEC=30000000",
    ]


# --- the service --------------------------------------------------------------------------------------------------


def test_the_properties_of_the_service_come_from_systemctl(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert systemd.service_properties() is None
    answer = '[ "$1 $2" = "show emotion-edge.service" ] && echo "ActiveState=active\nResult=a=b"'
    write_program(tmp_path, "systemctl", answer)
    assert systemd.service_properties() == {"ActiveState": "active", "Result": "a=b"}
    write_program(tmp_path, "systemctl", "echo not booted with systemd >&2; exit 1")
    assert systemd.service_properties() is None
