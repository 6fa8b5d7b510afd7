"""The HTTP server: its life cycle, its connections, and what it publishes to clients of streams."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from socket import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from edge.sinks.web import messages
from edge.sinks.web.connection_limits import ConnectionLimits
from edge.sinks.web.context import WebContext
from edge.sinks.web.handlers import make_application
from edge.sinks.web.run_in_thread import run_in_thread

EVENTS_PER_SECOND = 10.0
HEALTH_INTERVAL_SECONDS = 2.0
MAX_HEADER_BYTES, MAX_BODY_BYTES = 16_384, 4_096  # of a request; a photo's body has its own limit
MAX_BUFFER_BYTES = 262_144  # of a connection, for what has arrived and was not read yet
HEAD_TIMEOUT_SECONDS, BODY_TIMEOUT_SECONDS = 10.0, 30.0  # from a response, or from the start, to the end of each


class Server:
    """Serves `context` on the socket `listening`."""

    def __init__(self, listening: socket, context: WebContext) -> None:
        self._listening, self._context = listening, context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`; `ready` is called when requests are accepted."""
        # Tornado logs malformed requests of strangers; our own errors go through BaseHandler.log_exception.
        logging.getLogger("tornado").setLevel(logging.CRITICAL + 1)
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(self._log_exception)
        http = BoundedHTTPServer(
            make_application(self._context),
            max_header_size=MAX_HEADER_BYTES,
            max_body_size=MAX_BODY_BYTES,
            max_buffer_size=MAX_BUFFER_BYTES,
            idle_connection_timeout=HEAD_TIMEOUT_SECONDS,
            body_timeout=BODY_TIMEOUT_SECONDS,
        )
        http.limits = self._context.connections
        http.add_socket(self._listening)
        publishers = [publish_events(self._context)]
        if self._context.image_fps is not None:
            publishers.append(publish_images(self._context, 1 / self._context.image_fps))
        tasks = [asyncio.create_task(work) for work in (self._stopped.wait(), *publishers)]
        ready()
        try:
            # A publisher ends only by an error, which is raised here.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await next(iter(done))
        finally:
            http.stop()
            self._context.connections.close()
            for task in tasks:
                task.cancel()

    def _log_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log in one line what a callback raised; asyncio would log a traceback each time."""
        error = context.get("exception")
        reason = f"{type(error).__name__}: {error}" if error else context["message"]
        self._context.log.log(logging.ERROR, f"edge: web: {reason}")

    def stop(self) -> None:
        """End `serve`; thread-safe."""
        if self._loop is not None and self._stopped is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)


class BoundedHTTPServer(HTTPServer):
    """Keeps the connections that `limits` allows."""

    limits: ConnectionLimits

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        self.limits.add(stream, str(address[0]))
        super().handle_stream(stream, address)


async def publish_events(context: WebContext) -> None:
    """Send `timeline`, `result` and `health` events to the clients while there are any."""
    state = context.run_state
    health_sent, last_second, last_frames = float("-inf"), -1, -1
    while True:
        await asyncio.sleep(1 / EVENTS_PER_SECOND)
        if not context.event_clients:
            continue
        now = time.monotonic()
        events = []
        for point in state.timeline(max(last_second, state.second(now) - 2), now):
            last_second = point["second"]
            events.append(messages.event("timeline", point))
        if state.stats.frames != last_frames:
            last_frames = state.stats.frames
            events.append(messages.event("result", state.last_result(now)))
        if now - health_sent >= HEALTH_INTERVAL_SECONDS:
            health_sent = now
            await context.health.refresh()
            events.append(messages.event("health", context.health.to_dict()))
        if events:
            context.event_clients.send(b"".join(events))


async def publish_images(context: WebContext, interval: float) -> None:
    """Send an image every `interval` seconds, encoded once for all clients, while there are any and it has changed."""
    sent = None
    while True:
        await asyncio.sleep(interval)
        result = context.run_state.result_with_image
        if not context.mjpeg_clients:
            sent = None
        elif result is not None and result is not sent:
            sent = result
            context.mjpeg_clients.send(await run_in_thread(partial(messages.mjpeg_part, result), native=True))
