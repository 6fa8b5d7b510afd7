"""A sink of your own with asyncio: sends the label of each face to a server, a line of JSON for each frame.

    nc -lk 9000 &
    ./scripts/run.sh --sink ./examples/async_sink.py:localhost:9000

The event loop runs in a thread of its own, because `write` must return at once. docs/sinks.md describes sinks.
"""

import asyncio
import json
import logging
import queue
import threading
from typing import Self

from edge.errors import SinkError, UsageError
from edge.types import FrameResult, RunInfo

MAX_QUEUED, RETRY_SECONDS = 100, 5.0


class Sink:
    def __init__(self, argument: str, run: RunInfo) -> None:  # opens nothing
        self._host, _, self._port = argument.rpartition(":")
        if self._port not in map(str, range(1, 65536)):
            raise UsageError(f"async_sink: {argument!r} has no port from 1 to 65535, expected HOST:PORT")
        self._queue, self._live = queue.SimpleQueue[bytes](), run.live

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()), daemon=True)
        self._thread.start()
        return self

    def write(self, result: FrameResult) -> None:
        if self._queue.qsize() < MAX_QUEUED or not self._live:  # of files nothing is dropped
            self._queue.put(json.dumps({face.track_id: face.label for face in result.faces}).encode() + b"\n")

    def __exit__(self, *error: object) -> None:
        self._queue.put(b"")  # the end
        self._thread.join(0.5 if self._live else 2 * RETRY_SECONDS)
        if self._thread.is_alive() and not self._live:
            raise SinkError(f"async_sink: {self._host}:{self._port} did not take all results; is the server running?")

    async def _send(self, line: bytes = b"") -> None:
        while True:
            try:
                _, stream = await asyncio.open_connection(self._host, int(self._port))
                while line := line or await asyncio.to_thread(self._queue.get):
                    stream.write(line)
                    await stream.drain()
                    line = b""  # sent; otherwise the next connection sends it
                stream.close()
                return await stream.wait_closed()
            except OSError as error:
                logging.getLogger(__name__).warning("edge: async_sink: %s; again in %g s", error, RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
