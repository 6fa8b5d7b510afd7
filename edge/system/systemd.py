"""Reports readiness, liveness and status to systemd by its notify protocol, sd_notify(3), and queries the service.

A run is ready after its first frame, and alive as long as frames leave the loop: only the loop feeds the watchdog, not
a timer, which would continue while the loop hangs. There is one exception: an announced wait for a missing camera
(edge/capture/reconnecting.py) feeds it, too, because the process works as intended.

The status is `fps=14.9 faces=1 temperature_c=48`, or a sentence while no frames come. scripts/install.sh reads it.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edge.errors import SettingsError
from edge.system.command import output_of
from edge.system.machine import cpu_temperature

if TYPE_CHECKING:  # `edge doctor` queries the service also where NumPy cannot be imported
    from edge.types import FrameResult

SERVICE_UNIT = "emotion-edge.service"
STATUS_SECONDS = 5.0  # between two updates of the status: people do not read faster
SEND_TIMEOUT_SECONDS = 0.5  # for the manager to accept a message; one that hangs must not block frames
WATCHDOG_FRACTION = 1 / 4  # of the watchdog's interval that passes before it is fed again
LOG_TIMEOUT_SECONDS = 20.0  # for the journal: on a memory card that is busy, its index is read first
EXTEND_START_SECONDS = 30.0  # that a wait for the camera adds to the start timeout, again every STATUS_SECONDS


class SystemdManager:
    """The service manager at the other end of the notify socket.

    Args:
        address: a path, or '@' and the name of an abstract socket.
        watchdog_seconds: within which the manager expects a sign of life; None: no watchdog.
    """

    def __init__(self, address: str, watchdog_seconds: float | None = None) -> None:
        self.watchdog_seconds = watchdog_seconds
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> SystemdManager | None:
        """Return the manager that started this process, None where none expects notifications.

        Its address is $NOTIFY_SOCKET. $WATCHDOG_USEC is meant for the process $WATCHDOG_PID, if that is set.
        """
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):  # newer managers also offer vsock:, for virtual machines
            return None
        is_watched = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        microseconds = environment.get("WATCHDOG_USEC", "")
        return cls(address, int(microseconds) / 1e6 if is_watched and microseconds.isdecimal() else None)

    def notify(self, *assignments: str) -> bool:
        """Send `assignments` such as "READY=1"; return whether they arrived. A manager that is gone is no error."""
        if sys.platform == "win32":
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.settimeout(SEND_TIMEOUT_SECONDS)
                connection.sendto("\n".join(assignments).encode(), self._address)
        except OSError:
            return False
        return True


class SystemdNotifier:
    """A sink that notifies the service manager. It is the last sink, so that it leaves first.

    Args:
        manager: the receiver of the notifications.
        warm_up: runs the model once; called if the first frame has no face, so that "ready" proves that the model runs.
        clock: returns seconds.
        temperature: returns the board's temperature in degrees C, None where it has no sensor.
    """

    def __init__(
        self,
        manager: SystemdManager,
        warm_up: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        temperature: Callable[[], float | None] = cpu_temperature,
    ) -> None:
        self._manager, self._warm_up = manager, warm_up
        self._clock, self._temperature = clock, temperature
        self._ready, self._waiting = False, True
        self._fed_at = self._status_at = float("-inf")
        self._frames = 0  # since the last status

    def __enter__(self) -> Self:
        self._manager.notify("STATUS=waiting for the first frame")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.notify("STOPPING=1")

    def write(self, result: FrameResult) -> None:
        """Report a frame that passed all stages."""
        now = self._clock()
        if not self._ready:
            if not result.faces:
                self._warm_up()
            self._ready = self._manager.notify("READY=1")
        self._feed_watchdog(now)
        if self._waiting:
            self._waiting, self._status_at, self._frames = False, now, 0
            self._manager.notify("STATUS=receiving frames")
            return
        self._frames += 1
        if now - self._status_at >= STATUS_SECONDS:
            degrees = self._temperature()
            values = [f"fps={self._frames / (now - self._status_at):.1f}", f"faces={len(result.faces)}"]
            values += [] if degrees is None else [f"temperature_c={degrees:.0f}"]
            self._manager.notify(f"STATUS={' '.join(values)}")
            self._status_at, self._frames = now, 0

    def report_wait(self, reason: str) -> None:
        """Report that the camera is missing for `reason`, and that the process will try again."""
        now = self._clock()
        self._feed_watchdog(now)
        if self._waiting and now - self._status_at < STATUS_SECONDS:
            return
        extension = () if self._ready else (f"EXTEND_TIMEOUT_USEC={EXTEND_START_SECONDS * 1e6:.0f}",)
        self._manager.notify(f"STATUS=waiting for the camera: {reason}", *extension)
        self._waiting, self._status_at = True, now

    def _feed_watchdog(self, now: float) -> None:
        interval = self._manager.watchdog_seconds
        if interval is None or now - self._fed_at < interval * WATCHDOG_FRACTION:
            return
        if self._manager.notify("WATCHDOG=1"):
            self._fed_at = now


def make_notifier(warm_up: Callable[[], object], slowest_fps: float | None) -> SystemdNotifier | None:
    """Return a notifier of the service manager that started this process, None where there is none.

    Args:
        warm_up: runs the model once.
        slowest_fps: to which the settings may limit the frame rate; None: no limit.

    Raises SettingsError if frames at that rate could not feed the watchdog.
    """
    manager = SystemdManager.from_environment()
    if manager is None:
        return None
    watchdog_seconds = manager.watchdog_seconds
    if watchdog_seconds is not None and slowest_fps is not None and 1 / slowest_fps > watchdog_seconds / 2:
        raise SettingsError(
            f"max_fps or idle_fps is {slowest_fps:g}, expected {2 / watchdog_seconds:.2g} or more: the watchdog needs "
            f"two frames in {watchdog_seconds:g} s (WatchdogSec= of the unit)"
        )
    return SystemdNotifier(manager, warm_up)


def service_properties() -> dict[str, str] | None:
    """Return systemd's properties of the service; None without systemd. LoadState is "not-found" without the unit."""
    answer = output_of("systemctl", "show", SERVICE_UNIT, "-p", "LoadState,ActiveState,SubState,NRestarts,Result")
    return None if answer is None else dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)


def service_log(count: int) -> list[str]:
    """Return the last `count` lines of the service's log, oldest first: time in UTC, process, message.

    Empty without systemd, without a log, or if this user may not read it.
    """
    options = ("--no-pager", "--quiet", "--no-hostname", "--utc", "--output=short-iso")
    answer = output_of("journalctl", "-u", SERVICE_UNIT, "-n", str(count), *options, timeout=LOG_TIMEOUT_SECONDS)
    return (answer or "").splitlines()
