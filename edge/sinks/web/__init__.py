"""Serves a page for phone and laptop, an API and metrics, on this device: `web`, `web:PORT`, `web:ADDRESS:PORT`.

Options: `image` shows the camera's image, which is off otherwise, `fps=5` images a second at most; `no-photo`
takes no photo to try; `token-file=PATH` holds the token that a visitor must have; `insecure` lets anybody in;
`host=NAME` is a further name that the page may be called by. Listens on 127.0.0.1:8080 unless told; any other address
needs a token (or `insecure`), which may also be the systemd credential `web-token` or $EMOTION_EDGE_WEB_TOKEN.

What it says is only ever the newest: who reads slowly misses some, and nothing waits for him. It sends no image
unless `image` is on and somebody looks; it keeps none, and no photo that was tried. docs/web.md has the rest.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from edge.config.sink_options import number, parse
from edge.errors import SinkError, UsageError
from edge.system import log as journal
from edge.types import FrameResult, RunInfo

try:
    from edge.sinks.web.access import Access, find_token
    from edge.sinks.web.run_state import Watch
    from edge.sinks.web.server import Server
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] != "tornado":
        raise
    raise UsageError("sink web needs tornado: pip install 'emotion-edge[web]'") from missing

HOST, PORT = "127.0.0.1", 8080
IMAGES = 5.0  # a second
BACKLOG = 128  # connections that wait to be taken
GRACE = 0.4  # seconds at the end for the server to close its connections
START_SECONDS = 10.0  # for the server's thread to begin; it takes milliseconds, more on a board that swaps
NOWHERE = "192.0.2.1"  # of RFC 5737: nobody has it, so that the way there is the way to everybody


class Address(NamedTuple):
    host: str  # a name, or a literal address without brackets
    port: int  # 0: any that is free

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this device can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Sink:
    reopens = True

    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        first, options = parse(
            "web",
            argument,
            {
                "image": bool,
                "fps": number(0.1, 30, float),
                "no-photo": bool,
                "token-file": lambda text: Path(text).expanduser(),
                "insecure": bool,
                "host": str,
            },
        )
        if "insecure" in options and "token-file" in options:
            raise UsageError("sink web: both token-file and insecure are there, expected one of them")
        if "fps" in options and "image" not in options:
            raise UsageError("sink web: fps is of the camera's image, which is shown only with the switch 'image'")
        self.address = _parsed(first)
        self._options, self._run = options, run
        self._watch = Watch(run.labels, keep_image="image" in options)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        token = find_token(self._options.get("token-file"))
        if token is None and not (self.address.is_loopback or "insecure" in self._options):
            raise UsageError(
                f"sink web: {self.address} can be reached from outside; give a token (token-file=PATH, the credential "
                "web-token or $EMOTION_EDGE_WEB_TOKEN), or the switch insecure, which lets anybody in"
            )
        bound = _bound(self.address)
        self.address = self.address._replace(port=bound.getsockname()[1])
        self._error = None
        self._server = Server(
            bound,
            self._watch,
            self._run,
            Access(token, {self.address.host, *filter(None, [self._options.get("host")])}),
            images=self._options.get("fps", IMAGES) if "image" in self._options else None,
            photos="no-photo" not in self._options,
        )
        self._start(self._server)
        self._tell(token)
        return self

    def write(self, seen: FrameResult) -> None:
        if self._error is not None:
            raise SinkError(f"web: the server ended ({type(self._error).__name__}: {self._error})") from self._error
        self._watch.note(seen, time.monotonic())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.stop()
        self._thread.join(GRACE)

    def _start(self, server: Server) -> None:
        ready = threading.Event()
        # A photo that is being read must not keep the process from ending.
        self._thread = threading.Thread(target=self._serve, args=(server, ready.set), name="sink web", daemon=True)
        self._thread.start()
        if not ready.wait(START_SECONDS):
            raise SinkError(f"web: the server did not begin within {START_SECONDS:g} s; is the board out of memory?")

    def _serve(self, server: Server, ready: Callable[[], None]) -> None:
        try:
            asyncio.run(server.serve(ready))
        except Exception as error:  # noqa: BLE001 (it is raised where the next frame is written)
            self._error = error
            ready()

    def _tell(self, token: str | None) -> None:
        journal.say(f"web: http://{_reached_by(self.address)}/" + ("" if token is None else " (with the token)"))
        if token is None and not self.address.is_loopback:
            what = "the camera's image" if "image" in self._options else "the readings"
            journal.say(f"edge: web: insecure: anybody in the network can see {what}", journal.WARNING)


def _parsed(text: str) -> Address:
    """Return the address that `text` names: PORT, HOST, or HOST:PORT; an IPv6 address stands in brackets."""
    if text.isdecimal():
        host, port = HOST, text
    elif text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    host, port = host or ("" if text else HOST), port or str(PORT)
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"sink web: {text!r} is no address, expected PORT, HOST:PORT or [IPV6]:PORT")
    return Address(host, int(port))


def _bound(address: Address) -> socket.socket:
    """Return the listening socket of `address`."""
    try:
        family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        both = family == socket.AF_INET6 and address.host == "::" and socket.has_dualstack_ipv6()
        bound = socket.create_server(place[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        named = isinstance(error, socket.gaierror)  # whose numbers are others
        what = str(error.strerror) if named or not error.errno else os.strerror(error.errno)
        then = "name an address of this device, and a port that is free"
        if error.errno == errno.EAFNOSUPPORT:
            then = "a service needs systemd/network.conf for it"
        raise SinkError(f"web: cannot listen on {address} ({what.lower()}); {then}") from error
    bound.setblocking(False)
    return bound


def _reached_by(address: Address) -> Address:
    """Return an address that a person can type: of all addresses of this device the one that others see."""
    if address.host not in ("0.0.0.0", "::"):  # noqa: S104 (compared)
        return address
    family = socket.AF_INET if "." in address.host else socket.AF_INET6
    there = (NOWHERE, 9) if family == socket.AF_INET else ("2001:db8::1", 9)  # of RFC 3849, likewise
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        try:
            way.connect(there)  # sends nothing: it asks the kernel which way it would take
            return address._replace(host=way.getsockname()[0])
        except OSError:  # no network yet
            return address._replace(host=f"{os.uname().nodename}.local")
