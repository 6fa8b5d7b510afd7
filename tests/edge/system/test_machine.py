"""What is told of a machine is what its files say, on a Raspberry Pi and on one that tells nothing."""

import fcntl
import os
import platform
import re
import struct
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture import usb
from edge.inference.classifier import runtime
from edge.system import machine

MODEL = "Raspberry Pi 5 Model B Rev 1.0"
CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"
ZONE = "sys/class/thermal/thermal_zone0"
# Files of a Raspberry Pi 5 with 4 GB and Raspberry Pi OS Bookworm, shortened.
PI = {
    "proc/device-tree/model": f"{MODEL}\0",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm\n",
    "proc/meminfo": "MemTotal:        4146176 kB\nMemFree:          300000 kB\nMemAvailable:    3500000 kB\n",
    "proc/self/status": "Name:\tedge\nVmPeak:\t  900000 kB\nVmHWM:\t  120000 kB\nVmRSS:\t  100000 kB\n",
    "proc/sys/kernel/osrelease": "6.6.31+rpt-rpi-2712\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    f"{CPUFREQ}/scaling_governor": "ondemand\n",
    f"{CPUFREQ}/scaling_driver": "cpufreq-dt\n",
    f"{CPUFREQ}/scaling_cur_freq": "1500000\n",
    f"{CPUFREQ}/cpuinfo_max_freq": "2400000\n",
    f"{ZONE}/type": "cpu-thermal\n",
    f"{ZONE}/temp": "54350\n",
    "run/systemd/timesync/synchronized": "",
}


def lay(root: Path, files: dict[str, str]) -> Path:
    """Write `files`, path -> text, below `root`."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def program(folder: Path, name: str, script: str) -> None:
    """Put a program that runs the shell's `script` into `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def drivers(monkeypatch, answers: dict[str, tuple[bytes, bytes, int, int, tuple[bytes, ...]]]) -> None:
    """Let the ioctls of files named as in `answers` give (driver, card, capabilities, device capabilities, formats)."""

    def ioctl(device, request, buffer):
        driver, card, whole, own, formats = answers[Path(device.name).name]
        if request == 0x80685600:  # VIDIOC_QUERYCAP, which writes 104 bytes
            assert len(buffer) == 104
            buffer[:48] = driver.ljust(16, b"\0") + card.ljust(32, b"\0")
            buffer[84:92] = struct.pack("=II", whole, own)
        else:
            assert (request, len(buffer)) == (0xC0405602, 64)  # VIDIOC_ENUM_FMT
            index, kind = struct.unpack_from("=II", buffer)
            assert kind == 1  # images that come in
            if index >= len(formats):
                raise OSError(22, "Invalid argument")
            buffer[12:44] = b"described in words".ljust(32, b"\0")
            buffer[44:48] = formats[index]

    monkeypatch.setattr(fcntl, "ioctl", ioctl)


WEBCAM = (b"uvcvideo", b"HD Webcam C270", 0x84A00001, 0x04200001, (b"MJPG", b"YUYV"))
METADATA = (b"uvcvideo", b"HD Webcam C270", 0x84A00001, 0x04A00000, ())  # the same webcam's second node
RECEIVER = (b"rp1-cfe", b"rp1-cfe", 0xA4A00001, 0x24200001, (b"pRAA", b"Y16\xa0"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch) -> Path:
    """A folder that is all of PATH: no program is found but those that a test puts there."""
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def pi(tmp_path, programs) -> Path:
    return lay(tmp_path / "pi", PI)


def test_the_facts_of_a_raspberry_pi(pi, tmp_path):
    found = machine.facts(tmp_path, pi)
    assert found.pop("versions") == machine.versions()
    assert found.pop("disk_free_mb") > 0
    assert found.pop("cpus") == len(os.sched_getaffinity(0))
    assert found == {
        "board": MODEL,
        "system": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.6.31+rpt-rpi-2712",
        "architecture": platform.machine(),
        "bits": 64 if "64" in platform.machine() else 32,
        "governor": "ondemand",
        "clock_driver": "cpufreq-dt",
        "clock_mhz": 1500.0,
        "clock_max_mhz": 2400.0,
        "temperature_c": 54.4,
        "throttling": None,  # there is no vcgencmd
        "memory_mb": 4245.7,
        "memory_available_mb": 3584.0,
        "resident_mb": 102.4,
        "resident_peak_mb": 122.9,
    }


def test_a_machine_that_tells_nothing_has_no_facts_and_no_error(tmp_path, programs):
    found = machine.facts(tmp_path / "nothing", tmp_path / "nothing")
    told = {key for key, value in found.items() if value is not None}
    assert told == {"architecture", "bits", "cpus", "versions"}
    assert machine.clock_synchronized(tmp_path) is None
    assert machine.service() is None
    assert machine.video_nodes(tmp_path) == []
    assert machine.holders(tmp_path, tmp_path) == ({}, 0)


def test_files_that_hold_something_else_are_no_facts(pi):
    for name in PI:
        (pi / name).write_bytes(b"\xff rubbish: many\n")
    found = machine.facts(pi, pi)
    numbers = {key for key in found if key.endswith(("_mb", "_mhz", "_c"))} - {"disk_free_mb"}
    assert {found[key] for key in numbers} == {None}
    assert found["system"] is None


def test_the_machine_in_one_line_leaves_out_what_is_not_known(pi, tmp_path):
    found = {**machine.facts(tmp_path, pi), "cpus": 4, "architecture": "aarch64"}
    assert machine.in_words(found) == (
        f"{MODEL}, 4 CPUs of 2400 MHz, 4246 MB of memory, Debian GNU/Linux 12 (bookworm), Linux 6.6.31+rpt-rpi-2712,"
        " aarch64"
    )
    nothing = {**dict.fromkeys(found), "cpus": 1, "architecture": "armv7l"}
    assert machine.in_words(nothing) == "1 CPU, armv7l"


def test_where_no_board_has_a_name_the_processor_is_told(tmp_path):
    lay(tmp_path, {"proc/cpuinfo": "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"})
    assert machine.board(tmp_path) == "AMD EPYC"


def test_the_temperature_is_the_cpu_s_and_not_the_case_s(tmp_path, programs):
    lay(tmp_path, {f"{ZONE}/type": "acpitz\n", f"{ZONE}/temp": "27800\n"})
    assert machine.temperature(tmp_path) is None
    other = ZONE.replace("zone0", "zone7")
    lay(tmp_path, {f"{other}/type": "x86_pkg_temp\n", f"{other}/temp": "61000\n"})
    assert machine.temperature(tmp_path) == 61.0


def test_without_a_thermal_zone_the_firmware_tells_the_temperature(tmp_path, programs):
    program(programs, "vcgencmd", '[ "$*" = measure_temp ] && echo "temp=62.3\'C"')
    assert machine.temperature(tmp_path) == 62.3


def test_the_firmware_tells_the_true_clock_and_the_kernel_the_one_it_asked_for(pi, programs):
    program(programs, "vcgencmd", '[ "$*" = "measure_clock arm" ] && echo "frequency(0)=1000007040"')
    assert machine.clock(pi) == 1000.0
    program(programs, "vcgencmd", "echo 'frequency(0)=0'")
    assert machine.clock(pi) == 1500.0


BITS = [
    ("0x0", [], []),
    ("0x50005", ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
    ("0x80000", [], ["soft temperature limit"]),
    ("0xe0008", ["soft temperature limit"], ["clock capped", "throttled", "soft temperature limit"]),
    ("0x20002", ["clock capped"], ["clock capped"]),
]


@pytest.mark.parametrize(("bits", "now", "since_boot"), BITS)
def test_the_firmware_s_bits_are_told_in_words(tmp_path, programs, bits, now, since_boot):
    program(programs, "vcgencmd", f'[ "$*" = get_throttled ] && echo "throttled={bits}"')
    assert machine.throttling(tmp_path) == {"now": now, "since_boot": since_boot}


@pytest.mark.parametrize("soc", ["soc", "soc@107c000000"])  # up to Raspberry Pi 4, and 5
@pytest.mark.parametrize(("bits", "now", "since_boot"), BITS)
def test_without_vcgencmd_the_kernel_tells_the_bits(tmp_path, programs, soc, bits, now, since_boot):
    lay(tmp_path, {f"sys/devices/platform/soc/{soc}:firmware/get_throttled": f"{bits[2:]}\n"})
    assert machine.throttling(tmp_path) == {"now": now, "since_boot": since_boot}


def test_a_kernel_that_says_something_else_tells_no_bits(tmp_path, programs):
    lay(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "unknown\n"})
    assert machine.throttling(tmp_path) is None


@pytest.mark.parametrize(
    "script",
    ["echo 'VCHI initialization failed'; exit 255", "echo throttled=", "echo error=1", "printf 'temp=\\377'", "exit 0"],
)
def test_a_vcgencmd_that_fails_tells_nothing(tmp_path, programs, script):
    program(programs, "vcgencmd", script)
    assert machine.throttling(tmp_path) is None
    assert machine.temperature(tmp_path) is None


def test_a_program_that_hangs_is_left(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(machine, "ANSWER_SECONDS", 0.05)
    program(programs, "vcgencmd", "exec /usr/bin/tail -f /dev/null")
    assert machine.throttling(tmp_path) is None


def test_a_program_that_cannot_be_started_tells_nothing(programs):
    program(programs, "vcgencmd", "")
    (programs / "vcgencmd").write_text("#!/no/such/shell\n")
    assert machine.output_of("vcgencmd") is None


def test_the_versions_are_those_that_run():
    found = machine.versions()
    assert found["python"] == platform.python_version()
    assert found["emotion_edge"] == metadata.version("emotion-edge")
    assert (found["numpy"], found["opencv"]) == (np.__version__, cv2.__version__)
    assert found["runtime"] in {"ai-edge-litert", "tflite-runtime"}
    assert str(found["runtime"]).replace("-", "_") == runtime().__name__.partition(".")[0]
    assert found["runtime_version"] == metadata.version(str(found["runtime"]))


def test_a_package_that_is_not_installed_has_no_version():
    assert machine.installed("no-such-package") is None
    assert machine.installed("numpy") == np.__version__


def test_packages_that_do_not_load_have_no_version(monkeypatch):
    for name in ("numpy", "cv2", "edge.inference.classifier"):
        monkeypatch.setitem(sys.modules, name, None)
    found = machine.versions()
    assert {found[key] for key in ("numpy", "opencv", "runtime", "runtime_version")} == {None}


def test_the_memory_of_this_process_grows_with_what_it_holds():
    before = machine.resident()
    held = np.ones(60_000_000, np.uint8)
    after, peak = machine.resident(), machine.resident_peak()
    assert before
    assert after
    assert peak
    assert 50 < after - before < 80, held.size
    assert peak >= after


def test_the_room_on_the_disk_is_what_this_user_may_fill(tmp_path):
    there = os.statvfs(tmp_path)
    assert machine.disk_free(tmp_path) == pytest.approx(there.f_bavail * there.f_frsize / 1e6, rel=0.01)


def test_a_clock_is_synchronized_by_the_mark_of_timesyncd_or_by_what_timedatectl_says(pi, tmp_path, programs):
    assert machine.clock_synchronized(pi) is True
    for said, expected in (("yes", True), ("no", False)):
        program(programs, "timedatectl", f'[ "$*" = "show -p NTPSynchronized --value" ] && echo {said}')
        assert machine.clock_synchronized(tmp_path) is expected


def test_the_service_is_what_systemctl_shows(programs):
    program(
        programs,
        "systemctl",
        '[ "$1 $2" = "show emotion-edge.system.systemd" ] && echo "ActiveState=active\nResult=a=b"',
    )
    assert machine.service() == {"ActiveState": "active", "Result": "a=b"}
    program(programs, "systemctl", "echo not booted with systemd >&2; exit 1")
    assert machine.service() is None


def test_a_video_node_is_what_its_driver_says(tmp_path, monkeypatch):
    files = [f"dev/video{end}" for end in ("10", "2", "1", "0", "", "X")]
    lay(tmp_path, dict.fromkeys(files, ""))
    codec = (b"bcm2835-codec", b"bcm2835-codec-decode", 0x84204000, 0x04204000, (b"H264",))
    drivers(monkeypatch, {"video0": WEBCAM, "video1": METADATA, "video2": RECEIVER, "video10": codec})
    nodes = machine.video_nodes(tmp_path)
    assert [node.path.name for node in nodes] == ["video0", "video1", "video2", "video10"]
    assert [(node.name, node.driver) for node in nodes[:1]] == [("HD Webcam C270", "uvcvideo")]
    assert [node.captures for node in nodes] == [True, False, True, False]
    assert [node.is_camera for node in nodes] == [True, False, False, False]
    assert [node.formats for node in nodes] == [("MJPG", "YUYV"), (), ("pRAA", "Y16-BE"), ()]
    assert all(node.allowed for node in nodes)


def test_a_driver_that_never_ends_its_list_of_formats_does_not_hang_us(tmp_path, monkeypatch):
    lay(tmp_path, {"dev/video0": ""})
    drivers(monkeypatch, {"video0": (*WEBCAM[:4], (b"MJPG",) * 1000)})
    assert len(machine.video_nodes(tmp_path)[0].formats) == 64


def test_a_video_node_that_cannot_be_asked_has_the_kernel_s_name(tmp_path):
    lay(tmp_path, {"dev/video0": "", "dev/video1": "", "sys/class/video4linux/video0/name": "HD Webcam\n"})
    nodes = machine.video_nodes(tmp_path)  # plain files answer no ioctl
    assert [(node.name, node.driver, node.is_camera) for node in nodes] == [
        ("HD Webcam", None, False),
        ("video1", None, False),
    ]


def test_a_video_node_that_this_user_may_not_use_is_told(tmp_path, monkeypatch):
    lay(tmp_path, {"dev/video0": ""})
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    assert not machine.video_nodes(tmp_path)[0].allowed
    assert asked == [(tmp_path / "dev/video0", os.R_OK | os.W_OK)]


def test_the_parts_of_the_board_that_are_no_cameras_are_those_that_the_usb_camera_leaves_out():
    assert machine.BOARD_PARTS == usb._NOT_CAMERAS
    assert set(machine.RECEIVERS) <= set(machine.BOARD_PARTS)


def test_the_process_that_holds_a_file_is_found_and_this_one_is_not(tmp_path):
    (tmp_path / "video0").touch()
    (tmp_path / "link").symlink_to("video0")
    with (tmp_path / "video0").open() as mine, subprocess.Popen(["/bin/sleep", "60"], stdin=mine) as other:
        found, _ = machine.holders(tmp_path / "video0")
        by_link, _ = machine.holders(tmp_path / "link")
        other.kill()
    assert found == by_link == {other.pid: "sleep"}
    assert machine.holders(tmp_path / "video0")[0] == {}


def test_processes_of_others_are_counted_and_those_that_have_ended_are_not(tmp_path, monkeypatch):
    others, kernel, ended, open_one = 40, 41, 42, 43
    lay(tmp_path, {f"proc/{others}/cmdline": "motion\0", f"proc/{kernel}/cmdline": "", f"proc/{ended}/comm": "gone\n"})
    lay(tmp_path, {f"proc/{open_one}/comm": "ffmpeg\n", "dev/video0": ""})
    fd = tmp_path / f"proc/{open_one}/fd"
    fd.mkdir()
    (fd / "3").symlink_to(tmp_path / "dev/video0")
    real = Path.iterdir

    def refused(path):
        if re.search(f"/({others}|{kernel})/fd$", str(path)):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    assert machine.holders(tmp_path / "dev/video0", tmp_path) == ({open_one: "ffmpeg"}, 1)
