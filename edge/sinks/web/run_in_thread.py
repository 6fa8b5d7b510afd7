"""Work that would block the event loop, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def run_in_thread(work: Callable[[], Result], *, native: bool) -> Result:
    """Return what `work` returns, or raise what it raises.

    Args:
        native: whether `work` runs C++ code. The process then waits for it at its end, so it has to be short: a thread
            that returns from C++ into a finalized interpreter aborts the process (std::terminate). Other work may
            block for long; it does not delay the end of the process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def resolve(result: Result | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type] # there is one if there is no error
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 (raised again where it is awaited)
            error = raised
        with suppress(RuntimeError):  # the event loop has been closed meanwhile
            loop.call_soon_threadsafe(resolve, result, error)

    threading.Thread(target=run, name="sink web worker", daemon=not native).start()
    return await future
