"""Where a sink of a live run puts what it has to say: a thread says it, so that no frame waits for a slow reader."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from edge.system import log as journal

Item = TypeVar("Item")

GRACE = 0.5  # seconds: a stop takes less than one in all


class BackgroundWriter(Generic[Item]):
    """Hands items to `work` in their order. A context manager: entering starts the thread, leaving ends it.

    In a live run `put` never waits: a thread works, `size` items may wait, and the oldest is dropped for the newest. In
    any other run nothing may be lost and nobody waits for a label, so `put` works in its caller's own time.

    Args:
        name: of the sink, for messages and for the thread's name.
        work: is called with each item; what it raises ends the work, and each `put` after it, and leaving, raises it.
        live: whether the source is a camera, which does not wait.
        size: items that may wait; keep small what holds images.
        grace: seconds that leaving waits for what is not yet worked on.
        in_hand: seconds more that it waits for the item that is being worked on, where that must not be left half done.
        what: an item's name in the message about dropped ones.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Item], object],
        *,
        live: bool,
        size: int = 1000,
        grace: float = GRACE,
        in_hand: float = 0.0,
        what: str = "lines",
    ) -> None:
        self._name, self._work, self._live, self._size = name, work, live, size
        self._grace, self._in_hand, self._what = grace, in_hand, what
        self._waiting: deque[Item] = deque()
        self._changed = threading.Condition()
        self._wanted, self._busy = False, False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self.dropped = 0  # items that never reached `work`

    def __enter__(self) -> Self:
        self._wanted, self._error, self.dropped = True, None, 0
        self._waiting.clear()
        if self._live:
            # A reader that never reads again must not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name=f"sink {self._name}", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give what waits its time. Raises what `work` raised, if nothing else was raised before."""
        with self._changed:
            self._wanted = False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(self._grace)
            with self._changed:
                self.dropped += len(self._waiting)
                self._waiting.clear()
            self._thread.join(self._in_hand)
            self.dropped += self._busy
        if self.dropped and self._error is None:
            text = f"{self._name}: {self.dropped} {self._what} dropped, as they were not taken in time"
            journal.say(f"edge: {text}", journal.WARNING)
        if self._error is not None and error is None:
            raise self._error

    @property
    def stuck(self) -> bool:
        """Whether the thread is still at work; after leaving, in an item that may never end. It uses what it uses."""
        return self._thread is not None and self._thread.is_alive()

    def put(self, item: Item) -> None:
        """Have `item` worked on. Raises what `work` has raised."""
        if not self._live:
            self._work(item)
            return
        with self._changed:
            if self._error is not None:
                raise self._error
            if len(self._waiting) == self._size:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(item)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.wait_for(lambda: self._waiting or not self._wanted)
                if not self._waiting:
                    return
                item = self._waiting.popleft()
                self._busy = True
            try:
                self._work(item)
            except Exception as error:  # noqa: BLE001 (it is raised where the next item is put)
                with self._changed:
                    self._error, self._busy = error, False
                return
