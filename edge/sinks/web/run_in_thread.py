"""Work that would hold up the server, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def apart(work: Callable[[], Result], *, native: bool) -> Result:
    """Return what `work` returns, or raise what it raises.

    Args:
        native: whether it is a C++ library that works. It is then waited for when the process ends: a thread that comes
            back from C++ into an interpreter that has ended takes the whole process down (std::terminate). Keep it
            short. Other work, which may hang, keeps no process from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def tell(result: Result | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type] # then there is one
        else:
            done.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 (it is raised where it is awaited)
            error = raised
        with suppress(RuntimeError):  # the server has ended since
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, name="sink web, apart", daemon=not native).start()
    return await done
