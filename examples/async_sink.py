"""A sink of your own with asyncio: sends the label of each face to a server, a line of JSON for each frame.

    nc -lk 9000 &
    edge run --sink ./examples/async_sink.py:localhost:9000

The event loop runs in a thread of its own, because `write` must return at once. docs/sinks.md describes sinks.
"""

import asyncio
import json
import logging
import threading
from typing import Self

from edge.errors import UsageError
from edge.types import FrameResult, RunInfo

MAX_QUEUED, RETRY_SECONDS = 100, 5.0


class Sink:
    def __init__(self, argument: str, run: RunInfo) -> None:  # opens nothing
        self._host, _, self._port = argument.rpartition(":")
        if not self._port.isdecimal():
            raise UsageError(f"async_sink: {argument!r} has no port, expected HOST:PORT")
        self._queue, self._live = asyncio.Queue[bytes](), run.live

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._send(),), daemon=True)
        self._thread.start()
        return self

    def write(self, result: FrameResult) -> None:
        line = json.dumps({face.track_id: face.label for face in result.faces}) + "\n"
        if self._queue.qsize() < MAX_QUEUED or not self._live:  # of files nothing is dropped
            self._loop.call_soon_threadsafe(self._queue.put_nowait, line.encode())

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, b"")  # the end
        self._thread.join(0.5 if self._live else 10)
        if not self._thread.is_alive():
            self._loop.close()

    async def _send(self) -> None:
        while True:
            try:
                _, stream = await asyncio.open_connection(self._host, int(self._port))
                while line := await self._queue.get():
                    stream.write(line)
                    await stream.drain()
                stream.close()
                return await stream.wait_closed()
            except OSError as error:
                logging.getLogger(__name__).warning("edge: async_sink: %s; again in %g s", error, RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
