"""Ready, alive, status: systemd's notify protocol, sd_notify(3). Where no service manager listens there is nothing.

A run is ready when it has read its first frame, and alive as long as frames come out of the loop: the watchdog is fed
from the loop alone, never by a timer that would go on while the loop hangs. One exception is made: a wait for a missing
camera that was announced with its end (edge/capture/reconnecting.py) feeds it too, for the process is well and knows what it does.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from edge.errors import SettingsError
from edge.system import machine
from edge.types import FrameResult

STATUS_SECONDS = 5.0  # between two states of `systemctl status`: nobody reads faster
SEND_SECONDS = 0.5  # that the manager may take to accept a message; a hanging one must not hold up the frames
FEED = 1 / 4  # of the watchdog's time, at most, from one feeding to the first frame that feeds again
START_SECONDS = 30.0  # by which a wait for the camera extends the time to start; told again every STATUS_SECONDS


class Manager:
    """The service manager, as its socket.

    Args:
        address: a path, or the name of an abstract socket after an '@'.
        watchdog: seconds within which it wants a sign of life; None: it does not.
    """

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def listening(cls, environment: Mapping[str, str] = os.environ) -> Manager | None:
        """Return the manager that started this process, None where none wants to hear of it.

        It tells by $NOTIFY_SOCKET, and by $WATCHDOG_USEC for the process $WATCHDOG_PID, if named.
        """
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):  # newer ones also know vsock:, for virtual machines
            return None
        ours = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        microseconds = environment.get("WATCHDOG_USEC", "")
        return cls(address, int(microseconds) / 1e6 if ours and microseconds.isdecimal() else None)

    def tell(self, *assignments: str) -> bool:
        """Send `assignments`, as "READY=1"; return whether they arrived. A manager that is gone is no error."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
                way.settimeout(SEND_SECONDS)
                way.sendto("\n".join(assignments).encode(), self._address)
        except OSError:
            return False
        return True


class SystemdNotifier:
    """Stands among the sinks and tells the manager how the run is doing; the last of them, so that it tells first.

    Args:
        manager: to be told.
        warm_up: reads an image with the model; a run before which nobody stands has not shown yet that it can.
        clock: in seconds; another than time's in tests.
        temperature: the board's in degrees C, None where it has none.
    """

    def __init__(
        self,
        manager: Manager,
        warm_up: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        temperature: Callable[[], float | None] = machine.temperature,
    ) -> None:
        self._manager, self._warm_up = manager, warm_up
        self._clock, self._temperature = clock, temperature
        self._ready, self._waiting = False, True
        self._fed = self._told = float("-inf")
        self._since, self._frames = 0.0, 0  # of the rate that is told next

    def __enter__(self) -> Self:
        self._manager.tell("STATUS=waiting for the first frame")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.tell("STOPPING=1")

    def write(self, seen: FrameResult) -> None:
        """Take note of a frame that has gone the whole way."""
        now = self._clock()
        if not self._ready:
            if not seen.faces:
                self._warm_up()
            self._ready = self._manager.tell("READY=1")
        self._feed(now)
        if self._waiting:
            self._waiting, self._told, self._since, self._frames = False, now, now, 0
            self._manager.tell("STATUS=frames come")
            return
        self._frames += 1
        if now - self._told >= STATUS_SECONDS:
            self._tell_state(now, len(seen.faces))

    def waiting(self, why: str) -> None:
        """Take note of a wait for the camera that will end; `why` there is one, in words."""
        now = self._clock()
        self._feed(now)
        if self._waiting and now - self._told < STATUS_SECONDS:
            return
        more = () if self._ready else (f"EXTEND_TIMEOUT_USEC={START_SECONDS * 1e6:.0f}",)
        self._manager.tell(f"STATUS=waiting for the camera: {why}", *more)
        self._waiting, self._told = True, now

    def _feed(self, now: float) -> None:
        watchdog = self._manager.watchdog
        if watchdog is not None and now - self._fed >= watchdog * FEED and self._manager.tell("WATCHDOG=1"):
            self._fed = now

    def _tell_state(self, now: float, faces: int) -> None:
        rate, degrees = self._frames / (now - self._since), self._temperature()
        words = [f"{rate:.1f} frames a second", f"{faces} face{'s' * (faces != 1)}"]
        words += [] if degrees is None else [f"{degrees:.0f} degrees C"]
        self._manager.tell(f"STATUS={', '.join(words)}")
        self._told, self._since, self._frames = now, now, 0


def make_notifier(warm_up: Callable[[], object], slowest: float | None) -> SystemdNotifier | None:
    """Return what tells the service manager how a run is doing; None where none listens.

    Args:
        warm_up: reads an image with the model.
        slowest: frames a second that the run may be slowed down to on purpose; None: it is not.

    Raises SettingsError where so few frames could not feed the watchdog.
    """
    manager = Manager.listening()
    if manager is None:
        return None
    if manager.watchdog is not None and slowest is not None and 1 / slowest > manager.watchdog / 2:
        least = 2 / manager.watchdog
        raise SettingsError(
            f"max_fps or idle_fps is {slowest:g}, expected {least:.2g} or more: a watchdog of {manager.watchdog:g} s "
            "(WatchdogSec= of the unit) wants two frames in its time"
        )
    return SystemdNotifier(manager, warm_up)
