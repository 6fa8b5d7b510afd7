"""systemd accepts the units, they restrict the service, and their timeouts fit those of the program."""

import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from edge.capture.encoded_frame import DAMAGED_TIMEOUT_SECONDS
from edge.capture.latest_frame import CLOSE_TIMEOUT_SECONDS, STUCK_TIMEOUT_SECONDS
from edge.capture.reconnecting import FIRST_RETRY_SECONDS, GIVE_UP_SECONDS, MAX_RETRY_SECONDS
from edge.config.settings import setting_specs
from edge.errors import ModelError, SettingsError, UsageError
from edge.system.systemd import EXTEND_START_SECONDS, STATUS_SECONDS, WATCHDOG_FRACTION, make_notifier
from tests.support.markdown import code_blocks
from tests.support.paths import ROOT

FOLDER = ROOT / "systemd"
UNIT = FOLDER / "emotion-edge.service"
RECOVERY = FOLDER / "emotion-edge-recover.service"
NETWORK = FOLDER / "network.conf"
WINDOW = FOLDER / "window.conf"
MAX_EXPOSURE = 1.5  # of 0 to 10, by systemd-analyze
MAX_RECOVERY_EXPOSURE = 4.0  # it runs as root

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
def test_the_unit_has_a_low_exposure():
    result = analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSURE * 10:.0f}", UNIT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Overall exposure level" in result.stdout


@needs_systemd
def test_the_unit_with_network_has_a_low_exposure(installed):
    result = analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSURE * 10:.0f}", installed)
    assert result.returncode == 0, result.stdout + result.stderr
    opened = [line for line in result.stdout.splitlines() if line.startswith("✗") and "PrivateNetwork=" in line]
    assert opened, "the drop-in was not read"


@needs_systemd
def test_systemd_accepts_every_line_of_unit_and_drop_in(installed):
    result = analyze("verify", "--man=no", installed)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize("page", ["deployment.md", "sources.md"])
def test_the_documented_drop_in_limits_the_addresses(installed, page):
    text = (ROOT / "docs" / page).read_text()
    (lines,) = [block.text for block in code_blocks(text) if "IPAddressDeny=any" in block.text]
    assert "restrict.conf" in text  # sorts after network.conf, which clears the list
    (installed.parent / f"{UNIT.name}.d" / "restrict.conf").write_text(dedent(lines))
    result = analyze("security", "--offline=yes", installed)
    (rating,) = [line for line in result.stdout.splitlines() if "IPAddressDeny=" in line]
    assert "defines IP address allow list" in rating


@needs_systemd
def test_the_unit_with_a_display_stays_restricted(installed):
    (installed.parent / f"{UNIT.name}.d" / NETWORK.name).unlink()
    shutil.copy(WINDOW, installed.parent / f"{UNIT.name}.d")
    verified = analyze("verify", "--man=no", installed)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    result = analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSURE * 10:.0f}", installed)
    assert result.returncode == 0, result.stdout + result.stderr
    opened = [line for line in result.stdout.splitlines() if line.startswith("✗") and "MemoryDenyWriteExecute=" in line]
    assert opened, "the drop-in was not read"
    assert set(directives(WINDOW)) & set(directives(NETWORK)) == {"After"}


def test_the_unit_starts_the_current_release_with_its_config():
    assert value("ExecStart") == "/opt/emotion-edge/current/venv/bin/edge run --config /etc/emotion-edge/config.toml"


def test_the_unit_reads_the_deployed_model():
    assert value("EnvironmentFile") == "-/opt/emotion-edge/current/environment"


@needs_systemd
def test_systemd_accepts_every_line_of_the_recovery_unit(tmp_path):
    command = "/opt/emotion-edge/current/install.sh"
    (tmp_path / RECOVERY.name).write_text(RECOVERY.read_text().replace(command, sys.executable))
    result = analyze("verify", "--man=no", tmp_path / RECOVERY.name)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@needs_systemd
def test_the_recovery_unit_has_a_low_exposure():
    result = analyze("security", "--offline=yes", f"--threshold={MAX_RECOVERY_EXPOSURE * 10:.0f}", RECOVERY)
    assert result.returncode == 0, result.stdout + result.stderr


def test_recovery_can_write_what_the_installer_changes():
    assert directives(RECOVERY)["ReadWritePaths"] == ["/opt/emotion-edge /etc/systemd/system"]
    assert directives(RECOVERY)["RestrictAddressFamilies"] == ["AF_UNIX"]  # systemctl


def test_recovery_runs_before_the_service():
    found = directives(RECOVERY)
    assert found["Before"] == [UNIT.name]
    assert found["ConditionPathExists"] == ["/opt/emotion-edge/pending"]
    assert found["ExecStart"] == ["/opt/emotion-edge/current/install.sh recover"]
    assert found["WantedBy"] == directives(UNIT)["WantedBy"]  # in one transaction, so that the order counts


def test_usage_and_configuration_errors_are_not_restarted():
    assert value("Restart") == "on-failure"
    statuses = {int(status) for status in value("RestartPreventExitStatus").split()}
    assert statuses == {UsageError.exit_status, SettingsError.exit_status, ModelError.exit_status}


def test_the_lowest_frame_rate_feeds_the_watchdog(monkeypatch):
    watchdog = int(value("WatchdogSec"))
    slowest = min(spec.low or 0 for name, spec in setting_specs().items() if name.endswith("_fps"))
    assert 1 / slowest + watchdog * WATCHDOG_FRACTION < watchdog
    monkeypatch.setenv("NOTIFY_SOCKET", "@edge-test-nobody")
    monkeypatch.setenv("WATCHDOG_USEC", f"{watchdog}000000")
    assert make_notifier(lambda: None, slowest)


@pytest.mark.parametrize("seconds", [STUCK_TIMEOUT_SECONDS, DAMAGED_TIMEOUT_SECONDS], ids=["stuck", "damaged"])
def test_a_camera_without_images_is_reported_before_the_watchdog(seconds):
    assert int(value("WatchdogSec")) > seconds + CLOSE_TIMEOUT_SECONDS


def test_slow_faults_restart_forever_and_failing_starts_do_not():
    interval, burst = int(value("StartLimitIntervalSec")), int(value("StartLimitBurst"))
    delay = int(value("RestartSec"))
    assert burst * (STUCK_TIMEOUT_SECONDS + delay) > interval  # hangs
    assert burst * (DAMAGED_TIMEOUT_SECONDS + delay) > interval  # sends damaged images
    assert burst * (GIVE_UP_SECONDS + delay) > interval  # missing
    assert burst * (MAX_RETRY_SECONDS + delay) > interval  # missing, or without images: a camera module
    assert burst * (delay + 10) < interval  # fails after the ten seconds that loading takes on a small board


def test_a_wait_for_the_camera_extends_the_start_in_time():
    assert STATUS_SECONDS < EXTEND_START_SECONDS
    assert int(value("TimeoutStartSec")) > FIRST_RETRY_SECONDS


def test_the_unit_hides_neither_processor_facts_nor_cameras():
    found = directives(UNIT)
    assert "ProcSubset" not in found  # =pid hides /proc/cpuinfo
    assert "PrivateDevices" not in found
    # ProtectClock= enforces the device list: other devices do not exist for the service.
    assert {line.split()[0] for line in found["DeviceAllow"]} >= {
        "char-video4linux",
        "char-media",
        "char-dma_heap",
        "char-drm",
    }
    assert found["DevicePolicy"] == ["closed"]


def test_only_the_drop_in_opens_the_network():
    found, opened = directives(UNIT), directives(NETWORK)
    assert found["PrivateNetwork"] == ["yes"]
    assert "AF_INET" not in " ".join(found["RestrictAddressFamilies"])
    assert opened["PrivateNetwork"] == ["no"]
    assert opened["RestrictAddressFamilies"] == ["AF_INET AF_INET6"]  # added to those of the unit
    assert opened["IPAddressDeny"] == [""]
