"""Logging of the commands: plain lines on stderr, with priorities where stderr is the systemd journal.

A message is one line of printable text, whatever names, labels and answers it quotes; only a traceback has more lines.

A module logs with `logging.getLogger(__name__)`; a command calls `configure` once. The journal takes a line that begins
with `<3>` for an error, and `journalctl -p err` shows it; see sd-daemon(3).
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from edge.system.plain_text import escape, escape_lines

OWN_LOGGERS = ("edge", "trainer")  # shown from INFO on; loggers of other libraries only from WARNING on
_SYSLOG_ERROR, _SYSLOG_WARNING, _SYSLOG_INFO, _SYSLOG_DEBUG = 3, 4, 6, 7  # syslog(3)


class PlainFormatter(logging.Formatter):
    """Escapes what is not printable in a message, and in each line of a traceback."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (of logging.Formatter)
        return escape(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return escape_lines(super().formatException(ei))


class JournalFormatter(PlainFormatter):
    """Puts the syslog priority `<N>` of a record before each of its lines."""

    def format(self, record: logging.LogRecord) -> str:
        if record.levelno >= logging.ERROR:
            priority = _SYSLOG_ERROR
        elif record.levelno >= logging.WARNING:
            priority = _SYSLOG_WARNING
        else:
            priority = _SYSLOG_INFO if record.levelno >= logging.INFO else _SYSLOG_DEBUG
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class StderrHandler(logging.Handler):
    """Writes each record to the current sys.stderr, in one call: several threads log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # the reader of stderr is gone, or stderr is closed
            self.handleError(record)

    def filter(self, record: logging.LogRecord) -> bool:
        is_own = record.name.partition(".")[0] in OWN_LOGGERS
        return (is_own or record.levelno >= logging.WARNING) and bool(super().filter(record))


def configure() -> None:
    """Show log messages on stderr; a second call only checks again whether stderr is the journal."""
    root = logging.getLogger()
    handler = next((each for each in root.handlers if isinstance(each, StderrHandler)), None)
    if handler is None:
        handler = StderrHandler()
        root.addHandler(handler)
    handler.setFormatter(JournalFormatter() if stderr_is_journal() else PlainFormatter())
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)


def stderr_is_journal() -> bool:
    """Return whether stderr is the journal's stream: $JOURNAL_STREAM is its device and inode, see systemd.exec(5).

    The variable alone does not prove it: a process whose stderr was redirected inherits it as well.
    """
    stream = os.environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    try:
        status = os.fstat(2)
    except OSError:  # closed
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"
