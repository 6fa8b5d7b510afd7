"""systemd takes the unit as it is, it is as closed as it says, and its times fit those of the program."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.capture import latest_frame as newest
from edge.capture import reconnecting as reopen
from edge.config.settings import setting_specs
from edge.errors import ModelError, SettingsError, UsageError
from edge.system import systemd as service
from tests.support.paths import ROOT

FOLDER = ROOT / "systemd"
UNIT = FOLDER / "emotion-edge.system.systemd"
SETTLE = FOLDER / "emotion-edge-settle.service"
NETWORK = FOLDER / "network.conf"
WINDOW = FOLDER / "window.conf"
EXPOSURE = 1.5  # at most, 0 to 10, as systemd-analyze counts

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: 'sudo apt install systemd'"
)


def directives(path: Path) -> dict[str, list[str]]:
    """Return the values of each directive of a unit file, in their order."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def value(name: str) -> str:
    (only,) = directives(UNIT)[name]
    return only


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def installed(tmp_path):
    """The unit with the network's drop-in, as on a board, and a program that is there."""
    text = UNIT.read_text().replace(value("ExecStart").split()[0], sys.executable)
    (tmp_path / UNIT.name).write_text(text)
    (tmp_path / f"{UNIT.name}.d").mkdir()
    shutil.copy(NETWORK, tmp_path / f"{UNIT.name}.d")
    return tmp_path / UNIT.name


@needs_systemd
def test_with_the_camera_and_without_network_almost_everything_is_closed():
    result = analyze("security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", UNIT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Overall exposure level" in result.stdout


@needs_systemd
def test_with_the_network_it_is_still_closed(installed):
    result = analyze("security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", installed)
    assert result.returncode == 0, result.stdout + result.stderr
    opened = [line for line in result.stdout.splitlines() if line.startswith("✗") and "PrivateNetwork=" in line]
    assert opened, "the drop-in was not read"


@needs_systemd
def test_systemd_knows_every_line_of_unit_and_drop_in(installed):
    result = analyze("verify", "--man=no", installed)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@needs_systemd
def test_with_a_screen_of_its_own_it_is_still_closed_and_has_no_network(installed):
    (installed.parent / f"{UNIT.name}.d" / NETWORK.name).unlink()
    shutil.copy(WINDOW, installed.parent / f"{UNIT.name}.d")
    verified = analyze("verify", "--man=no", installed)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    result = analyze("security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", installed)
    assert result.returncode == 0, result.stdout + result.stderr
    opened = [line for line in result.stdout.splitlines() if line.startswith("✗") and "MemoryDenyWriteExecute=" in line]
    assert opened, "the drop-in was not read"
    assert set(directives(WINDOW)) & set(directives(NETWORK)) == {"After"}


def test_it_starts_the_current_release_with_its_configuration():
    assert value("ExecStart") == "/opt/emotion-edge/current/venv/bin/edge run --config /etc/emotion-edge/config.toml"


def test_the_deployed_model_is_known_where_one_was_deployed():
    assert value("EnvironmentFile") == "-/opt/emotion-edge/current/environment"


@needs_systemd
def test_systemd_knows_every_line_of_the_unit_that_settles_a_deployment_that_was_cut_off(tmp_path):
    command = "/opt/emotion-edge/current/install.sh"
    (tmp_path / SETTLE.name).write_text(SETTLE.read_text().replace(command, sys.executable))
    result = analyze("verify", "--man=no", tmp_path / SETTLE.name)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_deployment_that_was_cut_off_is_settled_before_the_service_starts():
    found = directives(SETTLE)
    assert found["Before"] == [UNIT.name]
    assert found["ConditionPathExists"] == ["/opt/emotion-edge/pending"]
    assert found["ExecStart"] == ["/opt/emotion-edge/current/install.sh settle"]
    assert found["WantedBy"] == directives(UNIT)["WantedBy"]  # in the same go, so that the order counts


def test_what_a_restart_cannot_help_is_not_restarted():
    assert value("Restart") == "on-failure"
    statuses = {int(status) for status in value("RestartPreventExitStatus").split()}
    assert statuses == {UsageError.exit_status, SettingsError.exit_status, ModelError.exit_status}


def test_the_slowest_pace_feeds_the_watchdog(monkeypatch):
    watchdog = int(value("WatchdogSec"))
    slowest = min(about.low or 0 for name, about in setting_specs().items() if name.endswith("_fps"))
    assert 1 / slowest + watchdog * service.FEED < watchdog
    monkeypatch.setenv("NOTIFY_SOCKET", "@edge-test-nobody")
    monkeypatch.setenv("WATCHDOG_USEC", f"{watchdog}000000")
    assert service.listener(lambda: None, slowest)


def test_a_camera_that_hangs_is_told_before_the_watchdog_ends_the_process():
    assert int(value("WatchdogSec")) > newest.SILENCE + newest.PATIENCE


def test_a_slow_fault_is_tried_for_ever_and_a_start_that_fails_at_once_is_given_up():
    interval, burst = int(value("StartLimitIntervalSec")), int(value("StartLimitBurst"))
    again = int(value("RestartSec"))
    assert burst * (newest.SILENCE + again) > interval  # hangs
    assert burst * (reopen.GIVE_UP + again) > interval  # missing
    assert burst * (again + 10) < interval  # fails after the ten seconds that a small board takes to load


def test_a_wait_for_the_camera_extends_the_start_before_it_is_over():
    assert service.STATUS_SECONDS < service.START_SECONDS
    assert int(value("TimeoutStartSec")) > reopen.FIRST_WAIT


def test_inference_is_not_slowed_down_and_cameras_are_not_hidden():
    found = directives(UNIT)
    assert "ProcSubset" not in found  # =pid hides /proc/cpuinfo
    assert "PrivateDevices" not in found
    # ProtectClock= makes the list of devices binding, so that what is not in it is not there.
    assert {line.split()[0] for line in found["DeviceAllow"]} >= {
        "char-video4linux",
        "char-media",
        "char-dma_heap",
        "char-drm",
    }
    assert found["DevicePolicy"] == ["closed"]


def test_the_network_is_the_drop_ins_alone():
    found, opened = directives(UNIT), directives(NETWORK)
    assert found["PrivateNetwork"] == ["yes"]
    assert "AF_INET" not in " ".join(found["RestrictAddressFamilies"])
    assert opened["PrivateNetwork"] == ["no"]
    assert opened["RestrictAddressFamilies"] == ["AF_INET AF_INET6"]  # added to those of the unit
    assert opened["IPAddressDeny"] == [""]
