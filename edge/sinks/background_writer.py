"""A bounded queue and a thread for a sink that may wait: a slow reader never blocks the loop of a live run."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

MAX_QUEUED_ITEMS = 1000
DRAIN_TIMEOUT_SECONDS = 0.5  # a run stops within a second

_log = logging.getLogger(__name__)


class BackgroundWriter(Generic[Item]):
    """Calls `work` with each item, in order. A context manager: entering starts the thread, leaving ends it.

    In a live run `put` never waits: a thread does the work, and when `max_items` are queued, the oldest is dropped. In
    any other run nothing may be lost and nothing is urgent, so `put` calls `work` itself.

    Args:
        name: of the sink, for messages and the thread's name.
        work: called with each item. What it raises ends the work; each later `put`, and leaving, raises it again.
        live: whether the source is a camera, which does not wait.
        max_items: size of the queue; keep it small for items that hold images.
        drain_timeout: seconds that leaving waits for the queued items.
        finish_timeout: seconds that leaving waits in addition for the item in progress, if that must be completed.
        unit: name of the items in the message about dropped ones.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Item], object],
        *,
        live: bool,
        max_items: int = MAX_QUEUED_ITEMS,
        drain_timeout: float = DRAIN_TIMEOUT_SECONDS,
        finish_timeout: float = 0.0,
        unit: str = "lines",
    ) -> None:
        self._name, self._work, self._live, self._max_items = name, work, live, max_items
        self._drain_timeout, self._finish_timeout, self._unit = drain_timeout, finish_timeout, unit
        self._queue: deque[Item] = deque()
        self._changed = threading.Condition()
        self._open, self._busy = False, False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self.dropped = 0  # items that `work` was not called with, or did not finish

    def __enter__(self) -> Self:
        self._open, self._error, self.dropped = True, None, 0
        self._queue.clear()
        if self._live:
            # A daemon: a reader that never reads again must not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name=f"sink {self._name}", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the queued items, within the time limits. Raises what `work` raised, unless `error` is under way."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(self._drain_timeout)
            with self._changed:
                self.dropped += len(self._queue)
                self._queue.clear()
            self._thread.join(self._finish_timeout)
            self.dropped += self._busy
        if self.dropped and self._error is None:
            _log.warning("edge: %s: too slow, %d %s dropped", self._name, self.dropped, self._unit)
        if self._error is not None and error is None:
            raise self._error

    @property
    def stuck(self) -> bool:
        """Whether the thread is running; after leaving, in an item that may never end: do not close what it uses."""
        return self._thread is not None and self._thread.is_alive()

    def put(self, item: Item) -> None:
        """Queue `item`. Raises what `work` has raised."""
        if not self._live:
            self._work(item)
            return
        with self._changed:
            if self._error is not None:
                raise self._error
            if len(self._queue) == self._max_items:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(item)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.wait_for(lambda: self._queue or not self._open)
                if not self._queue:
                    return
                item = self._queue.popleft()
                self._busy = True
            try:
                self._work(item)
            except Exception as error:  # noqa: BLE001 (raised by the next `put`)
                with self._changed:
                    self._error, self._busy = error, False
                return
