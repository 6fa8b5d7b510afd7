"""The facts about a machine, from the files and programs of a Raspberry Pi, and of machines that have none of them."""

import os
import platform

import pytest

from edge.system import machine
from tests.support.fake_machine import PI_FILES, PI_MODEL, THERMAL_ZONE, write_files, write_program


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The only folder of PATH: a program exists only if the test writes it there."""
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def pi(tmp_path, programs):
    return write_files(tmp_path / "pi", PI_FILES)


def test_facts_of_a_raspberry_pi(pi, tmp_path):
    facts = machine.facts(tmp_path, pi)
    assert facts.pop("disk_free_mb") > 0
    assert facts.pop("cpus") == len(os.sched_getaffinity(0))
    assert facts == {
        "board": PI_MODEL,
        "system": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.6.31+rpt-rpi-2712",
        "architecture": platform.machine(),
        "bits": 64 if "64" in platform.machine() else 32,
        "governor": "ondemand",
        "clock_driver": "cpufreq-dt",
        "clock_mhz": 1500.0,
        "clock_max_mhz": 2400.0,
        "temperature_c": 54.4,
        "throttling": None,  # without vcgencmd
        "memory_mb": 4245.7,
        "memory_available_mb": 3584.0,
        "resident_mb": 102.4,
        "resident_peak_mb": 122.9,
    }


def test_a_machine_without_any_files_has_no_facts(tmp_path, programs):
    facts = machine.facts(tmp_path / "nothing", tmp_path / "nothing")
    assert {name for name, value in facts.items() if value is not None} == {"architecture", "bits", "cpus"}
    assert machine.clock_synchronized(tmp_path) is None


def test_malformed_files_give_no_facts(pi):
    for name in PI_FILES:
        (pi / name).write_bytes(b"\xff rubbish: many\n")
    facts = machine.facts(pi, pi)
    numbers = {name for name in facts if name.endswith(("_mb", "_mhz", "_c"))} - {"disk_free_mb"}
    assert {facts[name] for name in numbers} == {None}
    assert facts["system"] is None


def test_the_description_has_only_available_facts(pi, tmp_path):
    facts = {**machine.facts(tmp_path, pi), "cpus": 4, "architecture": "aarch64"}
    description = machine.describe(facts)
    for part in (PI_MODEL, "4 CPUs", "2400 MHz", "4246 MB", "bookworm", "6.6.31+rpt-rpi-2712", "aarch64"):
        assert part in description
    assert machine.describe({**dict.fromkeys(facts), "cpus": 1, "architecture": "armv7l"}) == "1 CPU, armv7l"


def test_without_a_board_name_the_processor_is_the_board(tmp_path):
    write_files(tmp_path, {"proc/cpuinfo": "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"})
    assert machine.board_model(tmp_path) == "AMD EPYC"


def test_the_temperature_comes_from_the_zone_of_the_cpu(tmp_path, programs):
    write_files(tmp_path, {f"{THERMAL_ZONE}/type": "acpitz\n", f"{THERMAL_ZONE}/temp": "27800\n"})
    assert machine.cpu_temperature(tmp_path) is None
    other = THERMAL_ZONE.replace("zone0", "zone7")
    write_files(tmp_path, {f"{other}/type": "x86_pkg_temp\n", f"{other}/temp": "61000\n"})
    assert machine.cpu_temperature(tmp_path) == 61.0


def test_without_a_thermal_zone_the_firmware_is_queried(tmp_path, programs):
    write_program(programs, "vcgencmd", '[ "$*" = measure_temp ] && echo "temp=62.3\'C"')
    assert machine.cpu_temperature(tmp_path) == 62.3


def test_the_clock_of_the_firmware_precedes_that_of_the_kernel(pi, programs):
    write_program(programs, "vcgencmd", '[ "$*" = "measure_clock arm" ] && echo "frequency(0)=1000007040"')
    assert machine.cpu_clock_mhz(pi) == 1000.0
    write_program(programs, "vcgencmd", "echo 'frequency(0)=0'")
    assert machine.cpu_clock_mhz(pi) == 1500.0


THROTTLING_BITS = [
    ("0x0", [], []),
    ("0x50005", ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
    ("0x80000", [], ["soft temperature limit"]),
    ("0xe0008", ["soft temperature limit"], ["clock capped", "throttled", "soft temperature limit"]),
    ("0x20002", ["clock capped"], ["clock capped"]),
]


@pytest.mark.parametrize(("bits", "now", "since_boot"), THROTTLING_BITS)
def test_throttling_bits_of_the_firmware(tmp_path, programs, bits, now, since_boot):
    write_program(programs, "vcgencmd", f'[ "$*" = get_throttled ] && echo "throttled={bits}"')
    assert machine.throttling(tmp_path) == {"now": now, "since_boot": since_boot}


@pytest.mark.parametrize("soc", ["soc", "soc@107c000000"])  # up to Raspberry Pi 4; Raspberry Pi 5
@pytest.mark.parametrize(("bits", "now", "since_boot"), THROTTLING_BITS)
def test_throttling_bits_of_the_kernel_without_vcgencmd(tmp_path, programs, soc, bits, now, since_boot):
    write_files(tmp_path, {f"sys/devices/platform/soc/{soc}:firmware/get_throttled": f"{bits[2:]}\n"})
    assert machine.throttling(tmp_path) == {"now": now, "since_boot": since_boot}


def test_malformed_throttling_bits_of_the_kernel_are_ignored(tmp_path, programs):
    write_files(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "unknown\n"})
    assert machine.throttling(tmp_path) is None


@pytest.mark.parametrize(
    "script",
    ["echo 'VCHI initialization failed'; exit 255", "echo throttled=", "echo error=1", "printf 'temp=\\377'", "exit 0"],
)
def test_a_failing_vcgencmd_gives_no_facts(tmp_path, programs, script):
    write_program(programs, "vcgencmd", script)
    assert machine.throttling(tmp_path) is None
    assert machine.cpu_temperature(tmp_path) is None


def test_free_disk_space_is_what_this_user_may_use(tmp_path):
    disk = os.statvfs(tmp_path)
    assert machine.disk_free_mb(tmp_path) == pytest.approx(disk.f_bavail * disk.f_frsize / 1e6, rel=0.01)


def test_the_clock_is_synchronized_by_timesyncd_or_timedatectl(pi, tmp_path, programs):
    assert machine.clock_synchronized(pi) is True
    for answer, expected in (("yes", True), ("no", False)):
        write_program(programs, "timedatectl", f'[ "$*" = "show -p NTPSynchronized --value" ] && echo {answer}')
        assert machine.clock_synchronized(tmp_path) is expected
