"""What the server answers to which request, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from edge.sinks import serialize
from edge.sinks.web import messages, metrics, photo
from edge.sinks.web.access import SESSION_SECONDS, Rate
from edge.sinks.web.run_in_thread import apart
from edge.sinks.web.subscribers import Viewers
from edge.system import log as journal

if TYPE_CHECKING:
    from edge.sinks.web.server import Server

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
COOKIE = "emotion-edge"
PHOTOS_AT_ONCE = 3  # read one after another
DRAINED_BYTES = 4 * photo.BYTES  # of a photo that is too large: beyond that the connection is closed without an answer


def application(server: Server) -> Application:
    routes: list[tuple[str, type[_Handler], dict[str, Any]]] = [
        (r"/", _Page, {"name": "index.html"}),
        (r"/login", _Login, {}),
        (r"/logout", _Logout, {}),
        (r"/page/([a-z]+\.[a-z]+)", _Asset, {}),
        (r"/healthz", _Healthz, {}),
        (r"/metrics", _Metrics, {}),
        (r"/api/reading", _Reading, {}),
        (r"/api/events", _Events, {}),
        (r"/api/image", _Image, {}),
        (r"/api/photo", _Photo, {}),
        (r".*", _Handler, {}),
    ]
    with_server = [(path, handler, {"server": server, **more}) for path, handler, more in routes]
    return Application(with_server, log_function=lambda _: None)


class Refusal(HTTPError):
    """An answer that says why there is no other, with header fields of its own."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason=reason)
        self.headers = headers or {}


class _Handler(RequestHandler):
    """What holds for every request; by itself, of a path that there is not."""

    needs_token = True

    def initialize(self, server: Server, name: str = "") -> None:
        self.server, self.name = server, name

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in messages.SAFE.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        if not self.server.access.knows_name(self.request.host):
            raise HTTPError(
                403, reason="This device has other names; open the page by its address, or start it with host=NAME"
            )
        if self.request.method not in ("GET", "HEAD") and not self._is_from_here():
            raise Refusal(403, "This was sent by another site's page")
        if type(self) is _Handler:
            raise Refusal(404, "There is no such page")
        if self.needs_token and not self.let_in():
            self.refuse()

    def let_in(self) -> bool:
        """Return whether the request comes with the token, or with the cookie that stands for it."""
        access = self.server.access
        if access.is_open or access.is_session(self.get_cookie(COOKIE) or ""):
            return True
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.guess(token.strip())

    def guess(self, token: str) -> bool:
        """Return whether `token` is right; an address that was wrong too often has to wait."""
        guesses, address = self.server.guesses, self.request.remote_ip or ""
        self.hold_back(guesses, address)
        right = self.server.access.fits(token)
        if not right:
            guesses.count(address)
        return right

    def hold_back(self, rate: Rate, address: str) -> None:
        wait = rate.wait(address)
        if wait:
            after = str(int(wait) + 1)
            raise Refusal(429, f"Too many from your address; try again in {after} s", {"Retry-After": after})

    def refuse(self) -> None:
        raise Refusal(401, "A token is needed, as Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    def write_error(self, status_code: int, **about: Any) -> None:  # noqa: ARG002 (as Tornado calls it)
        error = about.get("exc_info", (None, None))[1]
        if isinstance(error, Refusal):
            for name, value in error.headers.items():
                self.set_header(name, value)
        self.finish({"error": self._reason})

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:  # noqa: ARG002 (likewise)
        if not isinstance(value, HTTPError):
            what = f"{self.request.method} {self.request.path}: {type(value).__name__}: {value}"
            journal.say(f"edge: web: {what}", journal.ERROR)

    def _is_from_here(self) -> bool:
        """Return whether no other site's page sent the request: a browser says in Origin whose page did."""
        origin = self.request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc.lower() == self.request.host.lower()


class _Asset(_Handler):
    """A file of the page; nothing in them is secret."""

    needs_token = False

    async def get(self, name: str) -> None:
        content = self.server.page.get(name)
        if content is None:
            raise Refusal(404, "There is no such page")
        self.set_header("Content-Type", KINDS[Path(name).suffix])
        self.set_header("Cache-Control", "no-cache")  # may be kept, if it is asked each time whether it changed
        self.write(content)


class _Page(_Asset):
    needs_token = True

    async def get(self, name: str = "") -> None:
        await super().get(name or self.name)

    def refuse(self) -> None:
        self.redirect("/login", status=303)


class _Login(_Asset):
    async def get(self, name: str = "login.html") -> None:
        await super().get(name)

    async def post(self) -> None:
        if not self.guess(self.get_body_argument("token", "")):
            self.redirect("/login#wrong", status=303)
            return
        if not self.server.access.is_open:
            session, age = self.server.access.new_session(), SESSION_SECONDS
            self.set_cookie(COOKIE, session, max_age=age, httponly=True, samesite="Strict", path="/")
        self.redirect("/", status=303)


class _Logout(_Handler):
    async def post(self) -> None:
        self.clear_cookie(COOKIE, httponly=True, samesite="Strict", path="/")
        self.redirect("/login", status=303)


class _Healthz(_Handler):
    """Says no more than whether frames come: for who looks after the device, and has no token."""

    needs_token = False

    async def get(self) -> None:
        watch, now = self.server.watch, time.monotonic()
        fresh, since = watch.is_fresh(now), watch.since_frame(now)
        self.set_status(200 if fresh else 503)
        self.write({"fresh": fresh, "since_frame_seconds": None if since is None else round(since, 1)})

    head = get


class _Metrics(_Handler):
    async def get(self) -> None:
        server = self.server
        await server.health.refresh()
        viewers = {"events": len(server.listeners), "image": len(server.onlookers)}
        dropped = server.listeners.dropped + server.onlookers.dropped
        self.set_header("Content-Type", metrics.CONTENT_TYPE)
        self.write(metrics.text(server.watch, server.health, viewers, dropped, server.run.model))


class _Reading(_Handler):
    async def get(self) -> None:
        await self.server.health.refresh()
        latest = self.server.latest(time.monotonic())
        del latest["second"]
        self.write({**latest, "health": self.server.health.figures()})


class _Events(_Handler):
    async def get(self) -> None:
        self.admit(self.server.listeners)
        await self.server.health.refresh()
        head = messages.head({"Content-Type": "text/event-stream; charset=utf-8"})
        first = head + b"retry: 2000\n\n" + self.server.hello()
        self.server.listeners.add(self.detach(), first)

    def admit(self, viewers: Viewers) -> None:
        if viewers.is_full:
            raise Refusal(503, "Too many are looking; try again later", {"Retry-After": "10"})


class _Image(_Events):
    async def get(self) -> None:
        if self.server.images is None:
            raise Refusal(404, "The camera's image is not shown; it is with the switch 'image'")
        self.admit(self.server.onlookers)
        head = messages.head({"Content-Type": f"multipart/x-mixed-replace; boundary={messages.BOUNDARY}"})
        self.server.onlookers.add(self.detach(), head + messages.FIRST_BOUNDARY + self.server.shown)


@stream_request_body
class _Photo(_Handler):
    """Reads a photo, and forgets it."""

    async def prepare(self) -> None:
        self._content, self._length = bytearray(), 0
        self._refusal: HTTPError | None = None
        self.request.connection.set_max_body_size(DRAINED_BYTES)  # type: ignore[union-attr] # it has one
        try:
            await super().prepare()
            self._check()
        except HTTPError as refusal:
            self._refusal = refusal  # who is still sending would not hear it

    def data_received(self, chunk: bytes) -> None:
        self._length += len(chunk)
        if self._refusal is None and self._length <= photo.BYTES:
            self._content += chunk

    async def post(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._length > photo.BYTES:
            raise Refusal(413, f"The photo is too large; {photo.BYTES // 1_000_000} MB are the most")
        if self.server.photos_here >= PHOTOS_AT_ONCE:
            raise Refusal(429, "Other photos are being read; try again in 2 s", {"Retry-After": "2"})
        content, self._content = bytes(self._content), bytearray()
        self.server.photos_here += 1
        try:
            async with self.server.photo_turn:
                self.write(await self._read(content))
        except photo.NoPhoto as error:
            raise Refusal(422, str(error)) from None
        finally:
            self.server.photos_here -= 1

    async def _read(self, content: bytes) -> dict[str, Any]:
        # In two steps, as the end of the process waits for one.
        image = await apart(lambda: photo.decoded(content), native=True)
        readings = await apart(lambda: self.server.run.analyze_image(image), native=True)
        height, width = image.shape[:2]
        return {"width": width, "height": height, "faces": [serialize.face_to_dict(reading) for reading in readings]}

    def _check(self) -> None:
        """Refuse what need not even be kept until it is here as a whole."""
        if not self.server.photos:
            raise Refusal(404, "Photos are not read here: it was started with 'no-photo'")
        if not self.request.headers.get("Content-Type", "").startswith(("image/", "application/octet-stream")):
            raise Refusal(415, "Send the photo itself, with its type, as Content-Type: image/jpeg")
        self.hold_back(self.server.tries, self.request.remote_ip or "")
        self.server.tries.count(self.request.remote_ip or "")
