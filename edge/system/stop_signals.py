"""Ends a run at the first signal: in order, or by force if native code does not return."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
from typing import Any, Self

END_SECONDS = 10.0  # from the first signal: a sink may take half of it to complete its file
EXIT_SECONDS = 1.0  # from the second one
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


class StopSignals:
    """Whether SIGINT (Ctrl-C) or SIGTERM arrived: the run then ends in order. A second signal exits at once.

    Python calls a signal handler only after native code has returned, and a decoder may never return. So a thread,
    which gets the signals by a pipe (see signal.set_wakeup_fd), ends the process if the run does not end in time.

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

        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._watcher = threading.Thread(target=self._watch, name="stop signals", daemon=True)
        self._watcher.start()
        self._before = {number: signal.signal(number, receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._writer)  # ends the thread
        self._watcher.join()
        os.close(self._reader)

    def _watch(self) -> None:
        """Wait for signals, and end the process if the run does not end; return when the pipe is closed."""
        number, timeout = 0, None
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while poll.poll(timeout):
            received = os.read(self._reader, 1)
            if not received:
                return
            if received[0] in SIGNALS:
                timeout = 1000 * (EXIT_SECONDS if number else self._end_seconds)
                number = received[0]
        name = signal.Signals(number).name
        _log.error("edge: error: the run did not end within %g s of %s; ended by force", self._end_seconds, name)
        os._exit(128 + number)
