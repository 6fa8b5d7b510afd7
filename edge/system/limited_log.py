"""Log lines that strangers can cause: printable, short, and so few that they cannot fill the journal."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

MAX_LINES, INTERVAL_SECONDS = 5, 60.0  # of one LimitedLog
MAX_CHARACTERS = 200  # of one line


def printable(text: str, max_characters: int = MAX_CHARACTERS) -> str:
    """Return `text` shortened, in ASCII, with everything else escaped: it cannot control a terminal or forge a line."""
    shortened = text if len(text) <= max_characters else f"{text[:max_characters]}..."
    return "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in shortened)


class LimitedLog:
    """Logs at most MAX_LINES lines in INTERVAL_SECONDS, and how many were left out.

    Args:
        clock: in seconds; replaced in tests.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger, self._clock = logger, clock
        self._times: deque[float] = deque(maxlen=MAX_LINES)
        self._left_out = 0

    def log(self, level: int, text: str) -> None:
        """Log `text`, made printable, or count it."""
        now = self._clock()
        if len(self._times) == MAX_LINES and now - self._times[0] < INTERVAL_SECONDS:
            self._left_out += 1
            return
        if self._left_out:
            self._logger.log(level, "edge: %d more lines of this kind were left out", self._left_out)
            self._left_out = 0
        self._times.append(now)
        self._logger.log(level, "%s", printable(text))
