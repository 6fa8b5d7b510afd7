"""The request handlers: authentication, validation and responses."""

from __future__ import annotations

import logging
import time
from asyncio import Future
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from edge.errors import ImageError, WorkerError
from edge.sinks.web import messages
from edge.sinks.web.authentication import SESSION_DAYS
from edge.sinks.web.context import WebContext
from edge.sinks.web.metrics import make_registry
from edge.sinks.web.photo_queue import MAX_PHOTO_BYTES, PhotoQueue
from edge.sinks.web.rate_limiter import RateLimiter
from edge.sinks.web.subscribers import SubscriberSet
from edge.sinks.web.upload_budget import Reservation

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE_FILES = {
    path.name: path.read_bytes() for path in Path(__file__).with_name("page").iterdir() if path.suffix in CONTENT_TYPES
}
SESSION_COOKIE = "emotion-edge"
COOKIE_ATTRIBUTES: dict[str, Any] = {"httponly": True, "samesite": "Strict", "path": "/"}
MAX_LOGGED_PATH = 60  # characters
# A client that is still sending does not read the response, so the body of a refused photo is received and discarded:
# of one that is too large, or for which there is no memory now, up to this many bytes. Each counts for the rate limit.
MAX_DISCARDED_BYTES = 4 * MAX_PHOTO_BYTES
MAX_REFUSED_BYTES = 1_000_000  # likewise, beyond the rate limit or without authentication


def make_application(context: WebContext) -> Application:
    """Return the application of all paths."""
    routes: list[tuple[str, type[BaseHandler], dict[str, Any]]] = [
        (r"/", PageHandler, {}),
        (r"/login", LoginHandler, {}),
        (r"/logout", LogoutHandler, {}),
        (r"/page/([a-z]+\.[a-z]+)", FileHandler, {}),
        (r"/healthz", HealthCheckHandler, {}),
        (r"/metrics", MetricsHandler, {"registry": make_registry(context)}),
        (r"/api/result", ResultHandler, {}),
        (r"/api/events", EventsHandler, {}),
        (r"/api/stream\.mjpg", MjpegHandler, {}),
        (r"/api/analyze", AnalyzeHandler, {}),
        (r".*", NotFoundHandler, {}),
    ]
    return Application(
        [(path, handler, {"context": context, **more}) for path, handler, more in routes],
        cookie_secret=context.authenticator.cookie_secret,
        log_function=lambda _: None,
    )


class ApiError(HTTPError):
    """A response with an error message for the client, and further headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason=message)
        self.headers = headers or {}


class BaseHandler(RequestHandler):
    """Security headers, authentication and errors of every request."""

    needs_authentication = True

    def initialize(self, context: WebContext) -> None:
        self.context = context

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in messages.SECURITY_HEADERS.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        if not self.context.authenticator.accepts_host(self.request.host):
            raise ApiError(403, "Unknown host name; open the page by the device's address, or set the option host=NAME")
        if self.request.method not in ("GET", "HEAD") and self._is_from_other_site():
            raise ApiError(403, "The request comes from another site's page")
        is_authenticated = self.needs_authentication and self.is_authenticated()
        self.use_connection(is_trusted=is_authenticated and self.context.authenticator.required)
        if self.needs_authentication and not is_authenticated:
            self.reject()

    def use_connection(self, *, is_trusted: bool) -> None:
        """Note that the connection is in use, and with `is_trusted` that it is to be kept."""
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            self.context.connections.use(stream, is_trusted=is_trusted)

    def finish(self, chunk: str | bytes | dict[Any, Any] | None = None) -> Future[None]:
        """End the response; the last one of a connection says so and closes it."""
        stream = getattr(self.request.connection, "stream", None)
        if stream is None or not self.context.connections.count_request(stream):
            return super().finish(chunk)
        self.set_header("Connection", "close")
        written = super().finish(chunk)
        written.add_done_callback(lambda _: stream.close())
        return written

    def _is_from_other_site(self) -> bool:
        """Return whether the page that sent the request is another site's: browsers send its origin."""
        origin = self.request.headers.get("Origin")
        if origin is None:
            return False
        try:
            return urlsplit(origin).netloc.lower() != self.request.host.lower()
        except ValueError:  # not a URL: of no browser
            return True

    def is_authenticated(self) -> bool:
        """Return whether the request has a valid session cookie or the token."""
        authenticator = self.context.authenticator
        if not authenticator.required:
            return True
        session = self.get_signed_cookie(SESSION_COOKIE, max_age_days=SESSION_DAYS, min_version=2)
        if session == authenticator.session.encode():
            return True
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.check_token(token.strip())

    def check_token(self, token: str) -> bool:
        """Return whether `token` is right. Raises ApiError after too many wrong ones from the client's address."""
        authenticator = self.context.authenticator
        self.limit_rate(authenticator.failed_logins)
        accepted = authenticator.accepts_token(token)
        if not accepted:
            authenticator.failed_logins.count(self.request.remote_ip or "")
        return accepted

    def limit_rate(self, limiter: RateLimiter) -> None:
        """Raise ApiError if the client's address has to wait."""
        wait = limiter.seconds_to_wait(self.request.remote_ip or "")
        if wait:
            seconds = str(int(wait) + 1)
            raise ApiError(429, f"Too many requests from your address; retry in {seconds} s", {"Retry-After": seconds})

    def reject(self) -> None:
        """Answer a request without authentication."""
        raise ApiError(401, "Authentication required: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    def write_error(self, status_code: int, **details: Any) -> None:  # noqa: ARG002 (as Tornado calls it)
        error = details.get("exc_info", (None, None))[1]
        if isinstance(error, ApiError):
            for name, value in error.headers.items():
                self.set_header(name, value)
        self.finish({"error": self._reason})

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:  # noqa: ARG002 (likewise)
        if not isinstance(value, HTTPError):
            request = f"{self.request.method} {self.request.path[:MAX_LOGGED_PATH]}"
            self.context.log.log(logging.ERROR, f"edge: web: {request}: {type(value).__name__}: {value}")


class NotFoundHandler(BaseHandler):
    """Answers paths that do not exist with 404."""

    needs_authentication = False

    async def prepare(self) -> None:
        await super().prepare()
        raise ApiError(404, "Not found")


class FileHandler(BaseHandler):
    """A file of the page; none is confidential."""

    needs_authentication = False

    async def get(self, name: str) -> None:
        content = PAGE_FILES.get(name)
        if content is None:
            raise ApiError(404, "Not found")
        self.set_header("Content-Type", CONTENT_TYPES[Path(name).suffix])
        self.set_header("Cache-Control", "no-cache")  # may be stored, but is validated before each use
        self.write(content)


class PageHandler(FileHandler):
    """Serves the page; without a session it leads to the login."""

    needs_authentication = True

    async def get(self, name: str = "index.html") -> None:
        await super().get(name)

    def reject(self) -> None:
        self.redirect("/login", status=303)


class LoginHandler(FileHandler):
    """Serves the login form, and starts a session for the right token."""

    async def get(self, name: str = "login.html") -> None:
        await super().get(name)

    async def post(self) -> None:
        if not self.check_token(self.get_body_argument("token", "")):
            self.redirect("/login#wrong", status=303)
            return
        authenticator = self.context.authenticator
        if authenticator.required:
            # max_age, not expires: it does not depend on the clock of a board without a battery.
            seconds = SESSION_DAYS * 86400
            self.set_signed_cookie(
                SESSION_COOKIE, authenticator.session, expires_days=None, max_age=seconds, **COOKIE_ATTRIBUTES
            )
        self.redirect("/", status=303)


class LogoutHandler(BaseHandler):
    """Ends all sessions and the streams that they opened: a copy of a cookie is worth nothing afterwards."""

    async def post(self) -> None:
        if self.context.authenticator.required:
            self.context.authenticator.revoke_sessions()
            self.context.event_clients.close()
            self.context.mjpeg_clients.close()
        self.clear_cookie(SESSION_COOKIE, **COOKIE_ATTRIBUTES)
        self.redirect("/login", status=303)

    def reject(self) -> None:
        self.redirect("/login", status=303)


class HealthCheckHandler(BaseHandler):
    """For a monitor without a token: whether frames arrive, and nothing else."""

    needs_authentication = False

    async def get(self) -> None:
        state, now = self.context.run_state, time.monotonic()
        receiving, age = state.is_receiving_frames(now), state.last_frame_age(now)
        self.set_status(200 if receiving else 503)
        self.write({"receiving_frames": receiving, "last_frame_age_seconds": None if age is None else round(age, 1)})

    head = get


class MetricsHandler(BaseHandler):
    """Serves the metrics in Prometheus' text format."""

    def initialize(self, context: WebContext, registry: CollectorRegistry) -> None:  # type: ignore[override]
        super().initialize(context)
        self.registry = registry

    async def get(self) -> None:
        await self.context.health.refresh()
        try:
            encode, content_type = choose_encoder(self.request.headers.get("Accept", ""))
        except (TypeError, ValueError):  # prometheus-client compares versions that are no numbers
            encode, content_type = choose_encoder("")
        self.set_header("Content-Type", content_type)
        self.write(encode(self.registry))


class ResultHandler(BaseHandler):
    """Serves the last result."""

    async def get(self) -> None:
        await self.context.health.refresh()
        result = self.context.run_state.last_result(time.monotonic())
        del result["second"]
        self.write({**result, "health": self.context.health.to_dict()})


class EventsHandler(BaseHandler):
    """Server-sent events: `init` with what does not change and the timeline so far, then what the publisher sends."""

    async def get(self) -> None:
        context, now = self.context, time.monotonic()
        self.check_capacity(context.event_clients)
        await context.health.refresh()
        init = {
            "labels": context.run_state.labels,
            "image": context.image_fps is not None,
            "photo": context.photos is not None,
            "token": context.authenticator.required,
            "timeline": context.run_state.timeline(-1, now),
            "health": context.health.to_dict(),
            **context.run_state.last_result(now),
        }
        head = messages.response_head(messages.EVENT_STREAM_TYPE)
        self.use_connection(is_trusted=True)
        context.event_clients.add(self.detach(), head + b"retry: 2000\n\n" + messages.event("init", init))

    def check_capacity(self, clients: SubscriberSet) -> None:
        """Raise ApiError if there are too many `clients`."""
        if clients.is_full:
            raise ApiError(503, "Too many clients; retry later", {"Retry-After": "10"})


class MjpegHandler(EventsHandler):
    """The camera's image as MJPEG."""

    async def get(self) -> None:
        clients = self.context.mjpeg_clients
        if self.context.image_fps is None:
            raise ApiError(404, "The camera's image is not shown; the option 'image' enables it")
        self.check_capacity(clients)
        head = messages.response_head(messages.MJPEG_TYPE)
        self.use_connection(is_trusted=True)
        clients.add(self.detach(), head + messages.MJPEG_BOUNDARY + clients.last_message)


@stream_request_body
class AnalyzeHandler(BaseHandler):
    """Analyzes an uploaded photo."""

    async def prepare(self) -> None:
        self._content, self._received_bytes = bytearray(), 0
        self._error: HTTPError | None = None
        self._reservation: Reservation | None = None
        self._is_complete = False
        self.request.connection.set_max_body_size(MAX_DISCARDED_BYTES)  # type: ignore[union-attr] # there is one
        length = self._content_length()
        try:
            await super().prepare()
            limiter = self._check_request().limiter
            self.limit_rate(limiter)
        except HTTPError as error:
            if length is None or length > MAX_REFUSED_BYTES:
                raise
            self._error = error
            return
        limiter.count(self.request.remote_ip or "")
        self._reservation = self._check_request().budget.reserve(
            self.request.remote_ip or "", MAX_PHOTO_BYTES if length is None else min(length, MAX_PHOTO_BYTES)
        )
        if self._reservation is None:
            self._error = ApiError(429, "Other photos are being received; retry in 2 s", {"Retry-After": "2"})

    def data_received(self, chunk: bytes) -> None:
        self._received_bytes += len(chunk)
        if self._error is None and self._received_bytes <= MAX_PHOTO_BYTES:
            self._content += chunk
        elif self._content:
            self._content.clear()

    async def post(self) -> None:
        self._is_complete = True
        if self._error is not None:
            raise self._error
        if self._received_bytes > MAX_PHOTO_BYTES:
            raise ApiError(413, f"The photo is too large; the limit is {MAX_PHOTO_BYTES // 1_000_000} MB")
        photos = self._check_request()
        if photos.is_full:
            raise ApiError(429, "Other photos are being analyzed; retry in 2 s", {"Retry-After": "2"})
        content, self._content = bytes(self._content), bytearray()
        try:
            self.write(dict(await photos.analyze(content)))
        except ImageError as error:
            raise ApiError(422, f"The photo is refused: {error}") from None
        except WorkerError as error:
            self.context.log.log(logging.WARNING, f"edge: web: a photo could not be analyzed: {error}")
            raise ApiError(422, "The photo could not be analyzed within the limits of memory and time") from None

    def on_finish(self) -> None:
        if self._reservation is not None:
            self._reservation.release()

    def on_connection_close(self) -> None:
        """Give back the memory of an upload that was not completed; that of a complete one is in use until its end."""
        self._content.clear()
        if not self._is_complete and self._reservation is not None:
            self._reservation.release()

    def _check_request(self) -> PhotoQueue:
        """Return the queue of photos. Raises ApiError if no photo is accepted, or the request is none."""
        if self.context.photos is None:
            raise ApiError(404, "Photos are not accepted: the server runs with the option 'no-photo'")
        if not self.request.headers.get("Content-Type", "").startswith(("image/", "application/octet-stream")):
            raise ApiError(415, "Send the photo as the body, with its type: Content-Type: image/jpeg")
        return self.context.photos

    def _content_length(self) -> int | None:
        """Return the length of the body; None: it comes in chunks."""
        length = self.request.headers.get("Content-Length", "")
        if length.isdecimal():
            return int(length)
        return None if "Transfer-Encoding" in self.request.headers else 0
