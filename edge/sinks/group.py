"""All sinks of a run as one: opened and closed together, and apart from each other when one fails.

What fails in a run of files ends it, so that nobody takes half a result for a whole one. A live run goes on without the
output that failed, which is said once, and tries one that can be opened again (`reopens`) every RETRY_SECONDS; it ends
when none is left, and in the end it is an error if one never came back. One works again when nothing has gone wrong
with it for TRIAL_SECONDS: a file on a full disk can be opened, and not be written. A reader of our lines that goes, as
`head` does, ends any run, quietly.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from edge.errors import EmotionEdgeError
from edge.system import log as journal
from edge.types import FrameResult, Sink

RETRY_SECONDS = 60.0  # a disk that is full does not get empty sooner
TRIAL_SECONDS = 30.0  # less than RETRY_SECONDS; within which a sink writes what it keeps for a while


class SinkGroup:
    """The sinks of `sinks`, by their spec as the user wrote it, as one sink.

    Args:
        live: whether the run goes on when a sink fails.
        clock: in seconds; another than time's in tests.
    """

    def __init__(self, sinks: Mapping[str, Sink], live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._sinks, self._live, self._clock = dict(sinks), live, clock
        self._open: dict[str, Sink] = {}
        self._failed: dict[str, Exception] = {}
        self._again: dict[str, float] = {}  # spec of a failed sink that reopens -> when it is tried again
        self._trial: dict[str, float] = {}  # spec of one that was opened again -> when it will have proved itself

    def __enter__(self) -> Self:
        try:
            for spec, sink in self._sinks.items():
                self._open[spec] = sink.__enter__()
        except BaseException:
            self._close(*sys.exc_info())
            raise
        return self

    def write(self, seen: FrameResult) -> None:
        """Hand `seen` to every sink that is well. Raises what the last one raised, in a run of files any."""
        if self._failed:
            self._retry()
        try:
            for sink in self._open.values():
                sink.write(seen)
        except BrokenPipeError:
            raise
        except Exception as error:
            if not self._live:
                raise
            self._write_apart(seen, sink, error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        closed = self._close(kind, error, trace)
        lost = [problem for spec, problem in self._failed.items() if spec not in self._trial]
        failed = [*filter(None, [closed]), *lost]
        if failed and error is None:
            raise failed[0]

    def _write_apart(self, seen: FrameResult, bad: Sink, error: Exception) -> None:
        """Leave `bad` out, and hand `seen` to those that come after it."""
        specs = list(self._open)
        at = next(number for number, sink in enumerate(self._open.values()) if sink is bad)
        self._leave_out(specs[at], error)
        for spec in specs[at + 1 :]:
            try:
                self._open[spec].write(seen)
            except BrokenPipeError:
                raise
            except Exception as another:  # noqa: BLE001 (a sink may be anybody's)
                self._leave_out(spec, another)

    def _leave_out(self, spec: str, error: Exception) -> None:
        sink = self._open.pop(spec)
        with suppress(Exception):  # it has failed already, and that is said below
            sink.__exit__(type(error), error, error.__traceback__)
        on_trial = self._trial.pop(spec, None) is not None
        known = on_trial and str(self._failed[spec]) == str(error)
        self._failed[spec] = error
        again = getattr(sink, "reopens", False)
        if not (self._open or again or self._again):
            raise error
        if again:
            self._again[spec] = self._clock() + RETRY_SECONDS
        then = f"tried again every {RETRY_SECONDS:g} s" if again else "the run goes on without it"
        if not known:
            journal.say(f"edge: error: {_told(spec, error)}; {then}", journal.ERROR)

    def _retry(self) -> None:
        """Open what may be well again, and say of what has been for a while that it is."""
        now = self._clock()
        for spec in [spec for spec, due in self._again.items() if now >= due]:
            try:
                self._open[spec] = self._sinks[spec].__enter__()
            except Exception:  # noqa: BLE001 (it was said when it failed first)
                self._again[spec] = now + RETRY_SECONDS
            else:
                del self._again[spec]
                self._trial[spec] = now + TRIAL_SECONDS
        for spec in [spec for spec, end in self._trial.items() if now >= end]:
            del self._trial[spec], self._failed[spec]
            journal.say(f"edge: {spec} works again", journal.NOTICE)

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Exception | None:
        """Leave all sinks that are open, the last one first; return the first thing that was raised by that."""
        failed: Exception | None = None
        while self._open:
            _, sink = self._open.popitem()
            try:
                sink.__exit__(kind, error, trace)
            except Exception as problem:  # noqa: BLE001 (the others are closed all the same)
                failed = failed or problem
        return failed


def _told(spec: str, error: Exception) -> str:
    """Return what went wrong with the sink of `spec`, in one line."""
    if isinstance(error, EmotionEdgeError):
        return str(error)
    return f"{spec}: failed ({type(error).__name__}: {error})"
