"""What this machine is, how it is doing, and which video devices it has: read from /proc, /sys and a Pi's vcgencmd.

Nothing here raises: what cannot be read is None, or left out. `root` is the folder that stands for /, so that a test
can hand over one that is made like a Raspberry Pi's. One MB is a million bytes.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import platform
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from edge.errors import EmotionEdgeError
from edge.system.native_output import suppress_native_output

ROOT = Path("/")
UNIT = "emotion-edge.system.systemd"
# What loading a package raises that is missing, damaged, or was built for another numpy.
BROKEN = (ImportError, AttributeError, ValueError, SystemError)
ANSWER_SECONDS = 2.0  # for a program that answers in milliseconds, or hangs because the firmware does

# Bits 0 to 3 of the firmware's get_throttled say what is, bits 16 to 19 what was since boot: Raspberry Pi's
# documentation of vcgencmd.
THROTTLING = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
_SINCE_BOOT = 16

# ioctls and flags of linux/videodev2.h.
_QUERYCAP, _CAPABILITY = 0x80685600, struct.Struct("=16s32s32sIII12x")  # driver, card, bus, version, whole, this node
_ENUM_FMT, _FORMAT = 0xC0405602, struct.Struct("=III32s4s16x")  # index, type, flags, description, four letters
_VIDEO_CAPTURE, _DEVICE_CAPS = 0x00000001, 0x80000000
_MOST_FORMATS = 64  # no camera has as many; a driver that never ends the list must not hang us

# The Pi's own receivers and image processors look like capture devices; camera `usb` leaves the same ones out.
BOARD_PARTS = ("unicam", "bcm2835-isp", "rp1-cfe", "pisp", "rpi-hevc-dec", "bcm2835-codec")
# Of these, the two that are there only when a camera module was found at start.
RECEIVERS = ("unicam", "rp1-cfe")


def facts(folder: Path = Path(), root: Path = ROOT) -> dict[str, Any]:
    """Return all of the machine's facts, ready for JSON; None where one is not available.

    Args:
        folder: whose disk's free room is meant.
    """
    return {
        "board": board(root),
        "system": system(root),
        "kernel": _text(root / "proc/sys/kernel/osrelease"),
        "architecture": platform.machine(),
        "bits": struct.calcsize("P") * 8,  # of Python: a 64-bit kernel may run 32-bit programs
        "cpus": len(os.sched_getaffinity(0)),  # that this process may use
        "governor": _text(_cpufreq(root, "scaling_governor")),
        "clock_driver": _text(_cpufreq(root, "scaling_driver")),
        "clock_mhz": clock(root),
        "clock_max_mhz": _scaled(_number(_cpufreq(root, "cpuinfo_max_freq")), 1e-3),
        "temperature_c": temperature(root),
        "throttling": throttling(root),
        "memory_mb": _kilobytes(root / "proc/meminfo", "MemTotal"),
        "memory_available_mb": _kilobytes(root / "proc/meminfo", "MemAvailable"),
        "disk_free_mb": disk_free(folder),
        "resident_mb": resident(root),
        "resident_peak_mb": resident_peak(root),
        "versions": versions(),
    }


def in_words(found: dict[str, Any]) -> str:
    """Return what `facts` found of the machine itself in one line; what is not available is left out."""
    cpus = f"{found['cpus']} CPU" + "s" * (found["cpus"] != 1)
    if found["clock_max_mhz"]:
        cpus += f" of {found['clock_max_mhz']:.0f} MHz"
    memory = f"{found['memory_mb']:.0f} MB of memory" if found["memory_mb"] else None
    kernel = f"Linux {found['kernel']}" if found["kernel"] else None
    return ", ".join(filter(None, [found["board"], cpus, memory, found["system"], kernel, found["architecture"]]))


def board(root: Path = ROOT) -> str | None:
    """Return the board's model ("Raspberry Pi 5 Model B Rev 1.0"), or the processor's where no board has a name."""
    model = _text(root / "proc/device-tree/model")
    return model or _field(root / "proc/cpuinfo", "model name")


def system(root: Path = ROOT) -> str | None:
    """Return the operating system's name, as "Debian GNU/Linux 12 (bookworm)"."""
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', _text(root / "etc/os-release") or "", re.MULTILINE)
    return found[1] if found else None


def clock(root: Path = ROOT) -> float | None:
    """Return the first CPU's clock in MHz.

    The firmware is asked first: under throttling the kernel goes on to show the clock that it has asked for.
    """
    hertz = _number_said(r"frequency\(\d+\)=(\d+)", "vcgencmd", "measure_clock", "arm")
    return _scaled(hertz, 1e-6) or _scaled(_number(_cpufreq(root, "scaling_cur_freq")), 1e-3)


def temperature(root: Path = ROOT) -> float | None:
    """Return the CPU's temperature in degrees C, by its thermal zone or else by the Pi's firmware."""
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        # Other zones are the case, the battery or the wireless.
        if re.match("cpu|soc|x86_pkg", _text(zone / "type") or ""):
            found = _number(zone / "temp")
            if found is not None:
                return _scaled(found, 1e-3)
    return _number_said(r"temp=(\d+(?:\.\d+)?)", "vcgencmd", "measure_temp")


def throttling(root: Path = ROOT) -> dict[str, list[str]] | None:
    """Return which of THROTTLING hold "now" and which have happened "since_boot"; None anywhere but on a Pi."""
    found = re.search("throttled=(0x[0-9a-fA-F]+)", output_of("vcgencmd", "get_throttled") or "")
    texts = [found[1]] if found else [_text(path) for path in root.glob("sys/devices/platform/soc*/soc*/get_throttled")]
    for text in texts:
        with suppress(ValueError):
            bits = int(text or "", 16)
            return {"now": _throttled(bits), "since_boot": _throttled(bits >> _SINCE_BOOT)}
    return None


def disk_free(folder: Path) -> float | None:
    """Return the room in MB that is left for this user on the disk of `folder`."""
    try:
        return _scaled(shutil.disk_usage(folder).free, 1e-6)
    except OSError:
        return None


def resident(root: Path = ROOT) -> float | None:
    """Return the memory in MB that this process has in RAM."""
    return _kilobytes(root / "proc/self/status", "VmRSS")


def resident_peak(root: Path = ROOT) -> float | None:
    """Return the most memory in MB that this process has ever had in RAM."""
    return _kilobytes(root / "proc/self/status", "VmHWM")


def threads(root: Path = ROOT) -> int | None:
    """Return how many threads this process has, the runtime's and OpenCV's among them."""
    found = _field(root / "proc/self/status", "Threads")
    return int(found) if found and found.isdecimal() else None


def process_age(root: Path = ROOT) -> float | None:
    """Return how many seconds ago this process was started; the kernel notes it in hundredths."""
    # The second field, the program's name in brackets, may hold blanks and brackets; the start is the 22nd.
    rest = (_text(root / "proc/self/stat") or "").rpartition(")")[2].split()
    if len(rest) < 20:
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(rest[19]) / os.sysconf("SC_CLK_TCK")


def versions() -> dict[str, str | None]:
    """Return the versions of what takes part, and the name of the TFLite runtime that `edge.inference.classifier` uses."""
    runtime = _runtime()
    return {
        "python": platform.python_version(),
        "emotion_edge": installed("emotion-edge"),
        "numpy": _version("numpy"),
        "opencv": _version("cv2"),
        "runtime": runtime,
        "runtime_version": installed(runtime) if runtime else None,
    }


def installed(package: str) -> str | None:
    """Return the version of the installed `package`, None when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def clock_synchronized(root: Path = ROOT) -> bool | None:
    """Return whether a time server has set the clock; None where systemd does not tell."""
    if (root / "run/systemd/timesync/synchronized").exists():
        return True
    said = output_of("timedatectl", "show", "-p", "NTPSynchronized", "--value")
    return None if said is None else said.strip() == "yes"


def service() -> dict[str, str] | None:
    """Return systemd's properties of our unit, None where there is no systemd. An unknown unit's LoadState tells so."""
    said = output_of("systemctl", "show", UNIT, "-p", "LoadState,ActiveState,SubState,NRestarts,Result")
    return None if said is None else dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def output_of(program: str, *arguments: str) -> str | None:
    """Return what `program` prints, None when it is not installed, fails, or takes longer than ANSWER_SECONDS."""
    path = shutil.which(program)
    if path is None:
        return None
    command = [path, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class VideoNode:
    """One /dev/video*: what its driver says of it."""

    path: Path
    name: str  # of the camera, as the driver calls it; the kernel's name where the driver could not be asked
    driver: str | None  # None: could not be asked
    captures: bool  # this node itself gives images; a webcam's second node only tells about them
    formats: tuple[str, ...]  # four letters each, the driver's favorite first
    allowed: bool  # this user may read and write it

    @property
    def is_camera(self) -> bool:
        """Whether camera `usb` can read it."""
        return self.captures and not (self.driver or "").startswith(BOARD_PARTS)


def video_nodes(root: Path = ROOT) -> list[VideoNode]:
    """Return all /dev/video*, by their numbers. None is opened for capturing: their drivers are only asked."""
    paths = [path for path in root.glob("dev/video*") if path.name[5:].isdecimal()]
    return [_node(path, root) for path in sorted(paths, key=lambda path: int(path.name[5:]))]


def holders(path: Path, root: Path = ROOT) -> tuple[dict[int, str], int]:
    """Return the other processes that have `path` open, process ID -> name, and how many could not be looked into."""
    found, unseen = {}, 0
    for process in root.glob("proc/[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            if os.path.realpath(path) in _open_files(process):
                found[int(process.name)] = _text(process / "comm") or "?"
        except PermissionError:
            unseen += bool(_text(process / "cmdline"))  # the kernel's own threads have none, and open nothing
        except OSError:  # it has ended since
            continue
    return found, unseen


def _node(path: Path, root: Path) -> VideoNode:
    allowed = os.access(path, os.R_OK | os.W_OK)
    name = _text(root / "sys/class/video4linux" / path.name / "name") or path.name
    try:
        with path.open("rb", buffering=0) as device:
            answer = bytearray(_CAPABILITY.size)
            fcntl.ioctl(device, _QUERYCAP, answer)
            driver, card, _, _, whole, own = _CAPABILITY.unpack(answer)
            captures = bool((own if whole & _DEVICE_CAPS else whole) & _VIDEO_CAPTURE)
            formats = tuple(_formats(device)) if captures else ()
    except OSError:
        return VideoNode(path, name, None, False, (), allowed)
    return VideoNode(path, _letters(card) or name, _letters(driver), captures, formats, allowed)


def _formats(device: BinaryIO) -> Iterator[str]:
    for index in range(_MOST_FORMATS):
        answer = bytearray(_FORMAT.pack(index, _VIDEO_CAPTURE, 0, b"", b""))
        try:
            fcntl.ioctl(device, _ENUM_FMT, answer)
        except OSError:  # EINVAL: that was the last one
            return
        first, second, third, fourth = _FORMAT.unpack(answer)[4]
        name = _letters(bytes((first, second, third, fourth & 0x7F))).strip()
        yield f"{name}-BE" if fourth & 0x80 else name  # the highest bit: big-endian


def _letters(text: bytes) -> str:
    return text.split(b"\0")[0].decode(errors="replace")


def _open_files(process: Path) -> Iterator[str]:
    """Yield what the descriptors of the process with the folder `process` lead to. Raises OSError."""
    for link in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            yield str(link.readlink())


def _throttled(bits: int) -> list[str]:
    return [word for bit, word in enumerate(THROTTLING) if bits >> bit & 1]


def _runtime() -> str | None:
    """Return the name of the package that `edge.inference.classifier` takes its runtime from."""
    try:
        from edge.inference.classifier import runtime

        with suppress_native_output(2):  # a runtime made for another numpy prints a page before it fails
            module: str = runtime().__name__
    except (EmotionEdgeError, *BROKEN):
        return None
    return module.partition(".")[0].replace("_", "-")


def _version(module: str) -> str | None:
    """Return what `module` says of itself: where two packages have overwritten one another, theirs may not be true."""
    try:
        return str(importlib.import_module(module).__version__)
    except BROKEN:
        return None


def _cpufreq(root: Path, name: str) -> Path:
    return root / "sys/devices/system/cpu/cpu0/cpufreq" / name


def _kilobytes(path: Path, key: str) -> float | None:
    """Return in MB the value that the file at `path` gives in kB (1,024 bytes each)."""
    found = re.match(r"(\d+) kB", _field(path, key) or "")
    return _scaled(int(found[1]), 1024e-6) if found else None


def _field(path: Path, key: str) -> str | None:
    """Return the value of the first line `key: value` of the file at `path`."""
    found = re.search(rf"^{key}\s*:\s*(.+)$", _text(path) or "", re.MULTILINE)
    return found[1].strip() if found else None


def _number_said(pattern: str, *command: str) -> float | None:
    found = re.search(pattern, output_of(*command) or "")
    return float(found[1]) if found else None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 1)


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None


def _text(path: Path) -> str | None:
    """Return what the file at `path` says, without the NUL that ends a device tree's texts."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return None
