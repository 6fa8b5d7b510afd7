"""Facts about this machine: board, processor, temperature, throttling, memory, disk, clock.

They come from /proc, /sys and, on a Raspberry Pi, vcgencmd. No function raises: what cannot be read is None. One MB is
10^6 bytes.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge.system import process
from edge.system.command import output_of
from edge.system.sysfs import ROOT, read_field, read_int, read_megabytes, read_text

# Bits 0 to 3 of the firmware's get_throttled are the present state, bits 16 to 19 whether it occurred since boot:
# Raspberry Pi's documentation of vcgencmd.
THROTTLING_STATES = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
_SINCE_BOOT_SHIFT = 16


def facts(folder: Path = Path(), root: Path = ROOT) -> dict[str, Any]:
    """Return all facts about the machine and this process, ready for JSON; None where one is not available.

    Args:
        folder: on the disk whose free space is reported.
    """
    cpufreq = root / "sys/devices/system/cpu/cpu0/cpufreq"
    max_kilohertz = read_int(cpufreq / "cpuinfo_max_freq")
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux has it
    return {
        "board": board_model(root),
        "system": os_name(root),
        "kernel": read_text(root / "proc/sys/kernel/osrelease"),
        "architecture": platform.machine(),
        "bits": struct.calcsize("P") * 8,  # of Python: a 64-bit kernel also runs 32-bit programs
        "cpus": len(affinity(0)) if affinity else os.cpu_count() or 1,  # that this process may use
        "governor": read_text(cpufreq / "scaling_governor"),
        "clock_driver": read_text(cpufreq / "scaling_driver"),
        "clock_mhz": cpu_clock_mhz(root),
        "clock_max_mhz": None if max_kilohertz is None else round(max_kilohertz / 1e3, 1),
        "temperature_c": cpu_temperature(root),
        "throttling": throttling(root),
        "memory_mb": read_megabytes(root / "proc/meminfo", "MemTotal"),
        "memory_available_mb": read_megabytes(root / "proc/meminfo", "MemAvailable"),
        "disk_free_mb": disk_free_mb(folder),
        "resident_mb": process.resident_mb(root),
        "resident_peak_mb": process.peak_resident_mb(root),
    }


def describe(found: dict[str, Any]) -> str:
    """Return the hardware and the system of `facts` in one line, without those that are not available."""
    cpus = f"{found['cpus']} CPU" + "s" * (found["cpus"] != 1)
    if found["clock_max_mhz"]:
        cpus += f" at up to {found['clock_max_mhz']:.0f} MHz"
    memory = f"{found['memory_mb']:.0f} MB memory" if found["memory_mb"] else None
    kernel = f"Linux {found['kernel']}" if found["kernel"] else None
    return ", ".join(filter(None, [found["board"], cpus, memory, found["system"], kernel, found["architecture"]]))


def board_model(root: Path = ROOT) -> str | None:
    """Return the model of the board ("Raspberry Pi 5 Model B Rev 1.0"), or of the processor if the board has none."""
    return read_text(root / "proc/device-tree/model") or read_field(root / "proc/cpuinfo", "model name")


def os_name(root: Path = ROOT) -> str | None:
    """Return the name of the operating system, such as "Debian GNU/Linux 12 (bookworm)"."""
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', read_text(root / "etc/os-release") or "", re.MULTILINE)
    return match[1] if match else None


def cpu_clock_mhz(root: Path = ROOT) -> float | None:
    """Return the clock of the first CPU in MHz.

    The firmware's value comes first: while the firmware throttles, the kernel still reports the requested clock.
    """
    match = re.search(r"frequency\(\d+\)=(\d+)", output_of("vcgencmd", "measure_clock", "arm") or "")
    if match and int(match[1]):
        return round(int(match[1]) / 1e6, 1)
    kilohertz = read_int(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")
    return None if kilohertz is None else round(kilohertz / 1e3, 1)


def cpu_temperature(root: Path = ROOT) -> float | None:
    """Return the temperature of the CPU in degrees C, from its thermal zone or else from the Pi's firmware."""
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        # Other zones belong to the case, the battery or the wireless adapter.
        if re.match("cpu|soc|x86_pkg", read_text(zone / "type") or ""):
            millidegrees = read_int(zone / "temp")
            if millidegrees is not None:
                return round(millidegrees / 1e3, 1)
    match = re.search(r"temp=(\d+(?:\.\d+)?)", output_of("vcgencmd", "measure_temp") or "")
    return round(float(match[1]), 1) if match else None


def throttling(root: Path = ROOT) -> dict[str, list[str]] | None:
    """Return which THROTTLING_STATES hold "now" and which occurred "since_boot"; None unless it is a Raspberry Pi."""
    match = re.search("throttled=(0x[0-9a-fA-F]+)", output_of("vcgencmd", "get_throttled") or "")
    kernel_files = root.glob("sys/devices/platform/soc*/soc*/get_throttled")
    for text in [match[1]] if match else map(read_text, kernel_files):
        with suppress(ValueError):
            bits = int(text or "", 16)
            return {"now": _throttling_states(bits), "since_boot": _throttling_states(bits >> _SINCE_BOOT_SHIFT)}
    return None


def _throttling_states(bits: int) -> list[str]:
    return [state for bit, state in enumerate(THROTTLING_STATES) if bits >> bit & 1]


def disk_free_mb(folder: Path) -> float | None:
    """Return the space in MB that this user may still use on the disk of `folder`."""
    try:
        return round(shutil.disk_usage(folder).free / 1e6, 1)
    except OSError:
        return None


def clock_synchronized(root: Path = ROOT) -> bool | None:
    """Return whether a time server has set the clock; None where systemd does not report it."""
    if (root / "run/systemd/timesync/synchronized").exists():
        return True
    answer = output_of("timedatectl", "show", "-p", "NTPSynchronized", "--value")
    return None if answer is None else answer.strip() == "yes"
