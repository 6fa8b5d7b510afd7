"""The server: its connections, and what it tells those who stay."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from edge.sinks import serialize
from edge.sinks.web import handlers, messages
from edge.sinks.web.access import Access, Rate
from edge.sinks.web.health import Health
from edge.sinks.web.run_in_thread import apart
from edge.sinks.web.run_state import Watch
from edge.sinks.web.subscribers import Viewers
from edge.types import RunInfo

PAGE = Path(__file__).with_name("page")
CONNECTIONS = 200  # a browser has six at most
EVENTS = 10.0  # a second: more is not seen
HEALTH_SECONDS = 2.0
GUESSES, GUESS_SECONDS = 5, 60.0  # wrong tokens of one address
PHOTOS, PHOTO_SECONDS = 20, 60.0  # of one address
HEAD_BYTES, BODY_BYTES = 16_384, 4_096  # of a request, but for a photo's body
IDLE_SECONDS, BODY_SECONDS = 60.0, 30.0  # until a connection is closed that sends no request, or not all of it
EVENT_BUFFER, IMAGE_BUFFER = 32_768, 131_072  # bytes that the kernel keeps for a slow viewer


class Server:
    """Answers requests about `run`, whose frames `watch` knows, on the listening socket `bound`.

    Args:
        images: of the camera, a second at most; None: none at all.
        photos: whether visitors may try one.
    """

    def __init__(
        self,
        bound: socket,
        watch: Watch,
        run: RunInfo,
        access: Access,
        *,
        images: float | None,
        photos: bool,
    ) -> None:
        self._bound, self.watch, self.run, self.access = bound, watch, run, access
        self.images, self.photos = images, photos
        self.health = Health(watch, run.model)
        self.listeners, self.onlookers = Viewers(EVENT_BUFFER), Viewers(IMAGE_BUFFER)
        self.guesses, self.tries = Rate(GUESSES, GUESS_SECONDS), Rate(PHOTOS, PHOTO_SECONDS)
        self.photo_turn, self.photos_here = asyncio.Lock(), 0
        self.page = {path.name: path.read_bytes() for path in PAGE.iterdir() if path.suffix in handlers.KINDS}
        self.shown = b""  # the last image, while somebody looks
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`; `ready` is called when requests are answered."""
        # Tornado says on stderr whatever strangers send; what is ours to mend, _Handler.log_exception tells.
        logging.getLogger("tornado").setLevel(logging.CRITICAL + 1)
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        http = _Connections(
            handlers.application(self),
            max_header_size=HEAD_BYTES,
            max_body_size=BODY_BYTES,
            idle_connection_timeout=IDLE_SECONDS,
            body_timeout=BODY_SECONDS,
        )
        http.add_socket(self._bound)
        tasks = [asyncio.create_task(work) for work in (self._tell(), *([self._show()] if self.images else []))]
        ending = asyncio.create_task(self._stopped.wait())
        ready()
        try:
            # None of `tasks` ends by itself: if one does, what it raised is raised here.
            done, _ = await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
            await next(iter(done))
        finally:
            http.stop()
            http.close()
            for task in (ending, *tasks):
                task.cancel()

    def stop(self) -> None:
        """End `serve`; may be called by any thread."""
        if self._loop is not None and self._stopped is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)

    def hello(self) -> bytes:
        """Return the first event: what does not change, and the timeline so far."""
        now = time.monotonic()
        about = {
            "labels": self.run.labels,
            "image": self.images is not None,
            "photo": self.photos,
            "token": not self.access.is_open,
            "points": self.watch.points(-1, now),
            "health": self.health.figures(),
            **self.latest(now),
        }
        return messages.event("hello", about)

    def latest(self, now: float) -> dict[str, Any]:
        """Return the newest reading, and in which second of the timeline that is."""
        seconds, index, readings = self.watch.reading or (None, None, ())
        line: dict[str, Any] = {"time": None, "frame": None, "faces": []}
        if seconds is not None and index is not None:
            line = serialize.frame_to_dict(seconds, index, readings)
        return {**line, "second": self.watch.second(now)}

    async def _tell(self) -> None:
        """Send events to those who listen."""
        told, point, frame = float("-inf"), -1, -1
        while True:
            await asyncio.sleep(1 / EVENTS)
            if not self.listeners:
                continue
            now = time.monotonic()
            events = []
            for each in self.watch.points(max(point, self.watch.second(now) - 2), now):
                point = each["second"]
                events.append(messages.event("point", each))
            if self.watch.frames != frame:
                frame = self.watch.frames
                events.append(messages.event("reading", self.latest(now)))
            if now - told >= HEALTH_SECONDS:
                told = now
                await self.health.refresh()
                events.append(messages.event("health", self.health.figures()))
            if events:
                self.listeners.send(b"".join(events))

    async def _show(self) -> None:
        """Send images to those who look: each is made once, for all."""
        assert self.images
        shown = None
        while True:
            await asyncio.sleep(1 / self.images)
            seen = self.watch.newest()
            if not self.onlookers:
                self.shown, shown = b"", None
            elif seen is not None and seen is not shown:
                shown = seen
                self.shown = await apart(partial(messages.image_part, seen), native=True)
                self.onlookers.send(self.shown)


class _Connections(HTTPServer):
    """Lets no more than CONNECTIONS in, and can part with all of them at once."""

    def initialize(self, *args: Any, **options: Any) -> None:
        super().initialize(*args, **options)
        self._streams: set[IOStream] = set()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        self._streams = {each for each in self._streams if not each.closed()}
        if len(self._streams) >= CONNECTIONS:
            stream.close()  # without an answer: who opens so many does not read them
            return
        self._streams.add(stream)
        super().handle_stream(stream, address)

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
