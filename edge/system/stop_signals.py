"""Ends a run after its duration, or at the first signal: in order, or by force if native code does not return."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

END_SECONDS = 10.0  # from the first signal: a sink may take half of it to complete its file
EXIT_SECONDS = 1.0  # from the second one
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


class StopSignals:
    """Whether SIGINT (Ctrl-C) or SIGTERM arrived: the run then ends in order. A second signal exits at once.

    Python calls a signal handler only after native code has returned, and a decoder may never return. So a thread,
    which gets the signals by a socket (see signal.set_wakeup_fd), ends the process if the run does not end in time.

    Args:
        end_seconds: time for the run to end in order.
    """

    def __init__(self, end_seconds: float = END_SECONDS) -> None:
        self._end_seconds = end_seconds
        self._received = False

    def __call__(self) -> bool:
        return self._received

    def __enter__(self) -> Self:
        def receive(number: int, _: Any) -> None:
            if self._received:
                sys.exit(128 + number)
            self._received = True

        self._reader, self._writer = socket.socketpair()  # Windows takes no pipe
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._watcher = threading.Thread(target=self._watch, name="stop signals", daemon=True)
        self._watcher.start()
        self._before = {number: signal.signal(number, receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._writer.close()  # ends the thread
        self._watcher.join()
        self._reader.close()

    def _watch(self) -> None:
        """Wait for signals, and end the process if the run does not end; return when the socket is closed."""
        number = 0
        with suppress(TimeoutError):
            while received := self._reader.recv(1):
                if received[0] in SIGNALS:
                    self._reader.settimeout(EXIT_SECONDS if number else self._end_seconds)
                    number = received[0]
            return
        name = signal.Signals(number).name
        _log.error("edge: error: the run did not end within %g s of %s; ended by force", self._end_seconds, name)
        os._exit(128 + number)


class RunLimit:
    """Whether the run must end, because of a signal or its duration, even while no frame arrives.

    Args:
        stopped: whether a signal arrived.
        duration: in seconds from the first call, when everything is loaded; None: no limit.
    """

    def __init__(self, stopped: Callable[[], bool], duration: float | None) -> None:
        self._stopped, self._duration = stopped, math.inf if duration is None else duration
        self._end: float | None = None

    def __call__(self) -> bool:
        now = time.monotonic()
        if self._end is None:
            self._end = now + self._duration
        return self._stopped() or now >= self._end
