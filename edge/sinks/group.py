"""All sinks of a run as one: opened and closed together, and isolated from each other's failures.

A run over files ends with the first failure, so that an incomplete result is never taken for a complete one. A live run
continues without the failed sink, which is logged once. A sink with `reopens` is opened again every REOPEN_SECONDS; it
counts as recovered after CONFIRM_SECONDS without an error, because a file on a full disk can be opened but not written.
The run ends when no sink is left; a sink that failed and did not recover makes it fail in the end. A reader that
exits, as `head` does, ends any run without a message.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.errors import EmotionEdgeError, UsageError
from edge.sinks.registry import locate
from edge.system.paths import display_name
from edge.types import FrameResult, Sink

REOPEN_SECONDS = 60.0  # a full disk is not emptied sooner
CONFIRM_SECONDS = 30.0  # less than REOPEN_SECONDS, and long enough for a sink to write what it collects

_log = logging.getLogger(__name__)


class SinkGroup:
    """Several sinks as one.

    Args:
        sinks: by their spec, as the user wrote it.
        live: whether the run continues when a sink fails.
        clock: in seconds; injected by tests.

    Raises UsageError if two sinks write to the same file.
    """

    def __init__(self, sinks: Mapping[str, Sink], live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        check_different(sinks)
        self._sinks, self._live, self._clock = dict(sinks), live, clock
        self._open: dict[str, Sink] = {}
        self._errors: dict[str, Exception] = {}  # of failed sinks, until they have recovered
        self._reopen_at: dict[str, float] = {}  # of failed sinks with `reopens`
        self._confirm_at: dict[str, float] = {}  # of sinks that were opened again: when they count as recovered

    def __enter__(self) -> Self:
        try:
            for spec, sink in self._sinks.items():
                try:
                    self._open[spec] = sink.__enter__()
                except Exception as error:  # noqa: BLE001 (raised again)
                    failure = locate(spec, "__enter__", error)
                    raise failure from failure.__cause__
        except BaseException:
            self._close(*sys.exc_info())
            raise
        return self

    def write(self, result: FrameResult) -> None:
        """Hand `result` to all open sinks. Raises what a sink raised, in a live run only if no sink is left."""
        if self._errors:
            self._reopen()
        for spec, sink in list(self._open.items()):
            try:
                sink.write(result)
            except BrokenPipeError:
                raise
            except Exception as error:  # noqa: BLE001 (raised again, or logged)
                failure = locate(spec, "write", error)
                if not self._live:
                    raise failure from failure.__cause__
                self._remove(spec, failure)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        first = self._close(kind, error, trace)
        not_recovered = [failure for spec, failure in self._errors.items() if spec not in self._confirm_at]
        failures = [*filter(None, [first]), *not_recovered]
        if failures and error is None:
            raise failures[0]

    def _remove(self, spec: str, error: Exception) -> None:
        """Close the failed sink, and schedule its reopening if it `reopens`. Raises `error` if no sink is left."""
        sink = self._open.pop(spec)
        with suppress(Exception):  # its first error is logged below
            sink.__exit__(type(error), error, error.__traceback__)
        was_reopened = self._confirm_at.pop(spec, None) is not None
        is_known = was_reopened and str(self._errors[spec]) == str(error)
        self._errors[spec] = error
        reopens = getattr(sink, "reopens", False)
        if not (self._open or reopens or self._reopen_at):
            raise error
        if reopens:
            self._reopen_at[spec] = self._clock() + REOPEN_SECONDS
        if not is_known:
            problem = error if isinstance(error, EmotionEdgeError) else f"{spec}: {type(error).__name__}: {error}"
            outlook = f"retrying every {REOPEN_SECONDS:g} s" if reopens else "the run continues without it"
            _log.error("edge: error: %s; %s", problem, outlook)

    def _reopen(self) -> None:
        """Open the sinks whose time has come, and log which have recovered."""
        now = self._clock()
        for spec in [spec for spec, due in self._reopen_at.items() if now >= due]:
            try:
                self._open[spec] = self._sinks[spec].__enter__()
            except Exception:  # noqa: BLE001 (logged when it failed first)
                self._reopen_at[spec] = now + REOPEN_SECONDS
            else:
                del self._reopen_at[spec]
                self._confirm_at[spec] = now + CONFIRM_SECONDS
        for spec in [spec for spec, due in self._confirm_at.items() if now >= due]:
            del self._confirm_at[spec], self._errors[spec]
            _log.info("edge: %s works again", spec)

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Exception | None:
        """Close all open sinks, the last one first; return the first exception that this raised."""
        first: Exception | None = None
        while self._open:
            spec, sink = self._open.popitem()
            try:
                sink.__exit__(kind, error, trace)
            except Exception as failure:  # noqa: BLE001 (the other sinks are closed all the same)
                first = first or locate(spec, "__exit__", failure)
        return first


def check_different(sinks: Mapping[str, Sink]) -> None:
    """Raise UsageError if two of `sinks` (by their spec) write to the same file.

    A sink names what it writes to by its attribute `output`, a path or None. A device or a FIFO may have several, and a
    folder one of each kind: their files have other names.
    """
    known: dict[object, str] = {}
    for spec, sink in sinks.items():
        output: Path | None = getattr(sink, "output", None)
        if output is None:
            continue
        path = Path(os.path.realpath(output))
        is_new_file = path.suffix and not path.exists()  # a new path without suffix may become a folder
        identity: object = path if is_new_file else (type(sink), path)
        with suppress(OSError):
            status = output.stat()
            if stat.S_ISREG(status.st_mode):
                identity = (status.st_dev, status.st_ino)
            elif not stat.S_ISDIR(status.st_mode):
                continue
        if (other := known.setdefault(identity, spec)) != spec:
            raise UsageError(
                f"sinks {display_name(other)} and {display_name(spec)} write to the same place; name another one"
            )
