"""Checks of the board and its system: temperature, power, clock, memory, disk, time, service."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from edge.diagnostics.check import NOT_AVAILABLE, Check
from edge.system.systemd import SERVICE_UNIT

# Raspberry Pi's documentation ("Frequency management and thermal control"): from 80 °C the Arm cores are throttled step
# by step, at 85 the GPU too. The 3B+ also has a soft limit of 60; the firmware's throttling bits report it.
THROTTLING_CELSIUS = 80.0
WARM_CELSIUS = 70.0
MEMORY_WARNING_MB, MEMORY_ERROR_MB = 200, 100  # available; `edge run` took 116 on x86-64
DISK_WARNING_MB, DISK_ERROR_MB = 200, 50  # free; a minute of annotated video of the synthetic camera took 6
OLDEST_YEAR = 2024  # this program is younger: an earlier date means that the clock was never set
DYNAMIC_POWERSAVE_DRIVERS = ("intel_pstate", "amd-pstate-epp")  # their governor `powersave` still uses the full clock

COOLING_ADVICE = "give the board a heat sink or a fan, and free air"
POWER_ADVICE = "use the power supply made for this board and a short, thick cable"


def check_temperature(celsius: float | None, is_pi: bool) -> Check:
    """Check the CPU's temperature; `is_pi`: the machine is a Raspberry Pi, which throttles early."""
    if celsius is None:
        return Check("temperature", "unavailable", NOT_AVAILABLE)
    message = f"{celsius:.0f} °C"
    if celsius < WARM_CELSIUS:
        return Check("temperature", "ok", message)
    if celsius < THROTTLING_CELSIUS or not is_pi:  # the processor of a PC is made for higher temperatures
        return Check("temperature", "warning", message, COOLING_ADVICE)
    message += f": a Raspberry Pi throttles from {THROTTLING_CELSIUS:.0f} °C"
    return Check("temperature", "error", message, COOLING_ADVICE)


def check_throttling(throttling: Mapping[str, Sequence[str]] | None) -> Check:
    """Check the states "now" and "since_boot" of edge.system.machine.throttling."""
    if throttling is None:
        return Check("throttling", "unavailable", NOT_AVAILABLE)
    now, since_boot = throttling["now"], throttling["since_boot"]
    if not now and not since_boot:
        return Check("throttling", "ok", "no under-voltage and no throttling since boot")
    parts = [f"{when}: {', '.join(states)}" for when, states in (("now", now), ("since boot", since_boot)) if states]
    states = {*now, *since_boot}
    advice = [POWER_ADVICE] if "under-voltage" in states else []
    if "soft temperature limit" in states or "under-voltage" not in states:
        advice.append(COOLING_ADVICE)
    return Check("throttling", "error" if now else "warning", "; ".join(parts), "; ".join(advice))


def check_governor(governor: str | None, driver: str | None) -> Check:
    """Check the governor of the CPU's clock; `driver` is that of the clock."""
    if governor is None:
        return Check("governor", "unavailable", NOT_AVAILABLE)
    if governor == "powersave" and driver not in DYNAMIC_POWERSAVE_DRIVERS:
        advice = "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        return Check("governor", "warning", "powersave: the CPU stays at its lowest clock", advice)
    return Check("governor", "ok", governor)


def check_memory(available_mb: float | None, total_mb: float | None) -> Check:
    """Check the memory that programs can still use; None: not known."""
    if available_mb is None or total_mb is None:
        return Check("memory", "unavailable", NOT_AVAILABLE)
    message = f"{available_mb:.0f} MB available of {total_mb:.0f} MB"
    advice = "end programs that use much of it (see 'top'), or use a board with more"
    return _check_minimum("memory", available_mb, MEMORY_WARNING_MB, MEMORY_ERROR_MB, message, advice)


def check_disk(free_mb: float | None) -> Check:
    """Check the space on the disk of the working folder; None: not known."""
    if free_mb is None:
        return Check("disk", "unavailable", NOT_AVAILABLE)
    message = f"{free_mb:.0f} MB free for the working folder"
    return _check_minimum("disk", free_mb, DISK_WARNING_MB, DISK_ERROR_MB, message, "delete files that are not needed")


def _check_minimum(
    name: str, value: float, warning_below: float, error_below: float, message: str, advice: str
) -> Check:
    if value >= warning_below:
        return Check(name, "ok", message)
    return Check(name, "warning" if value >= error_below else "error", message, advice)


def check_clock(now: datetime, synchronized: bool | None) -> Check:
    """Check the system's time `now`; `synchronized`: a time server has set it, None: not known."""
    message, advice = f"{now:%Y-%m-%d %H:%M} UTC", "sudo timedatectl set-ntp true, and connect it to a time server"
    if now.year < OLDEST_YEAR:
        return Check("clock", "error", f"{message}: it was never set", advice)
    if synchronized is False:
        return Check("clock", "warning", f"{message} (not synchronized with a time server)", advice)
    return Check("clock", "ok", f"{message} ({'synchronized' if synchronized else 'synchronization not known'})")


def check_service(properties: Mapping[str, str] | None) -> Check:
    """Check the service by systemd's properties of its unit; None: no systemd."""
    if properties is None:
        return Check("service", "unavailable", NOT_AVAILABLE)
    if properties.get("LoadState") == "not-found":
        return Check("service", "unavailable", "not installed")
    state, substate = properties.get("ActiveState", "unknown"), properties.get("SubState", "")
    restarts = int(re.sub(r"\D", "", properties.get("NRestarts", "")) or 0)
    result = properties.get("Result", "unknown")
    message = f"{state} ({substate}), restarted {restarts} times, last result {result}"
    log_command = f"journalctl -u {SERVICE_UNIT} -n 50"
    if state == "failed" or substate == "auto-restart":
        return Check("service", "error", message, log_command)
    if state != "active":
        return Check("service", "warning", message, f"sudo systemctl start {SERVICE_UNIT}; {log_command}")
    return Check("service", "warning" if restarts else "ok", message, log_command if restarts else "")
