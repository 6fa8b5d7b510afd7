"""Serves a page, an API and metrics from this device: `web`, `web:PORT`, `web:HOST:PORT`.

The default address is 127.0.0.1:8080. Any other address needs a token, or `insecure`. Options, comma-separated:

    image            shows the camera's image, which is off by default
    fps=5            of that image: at most this many per second
    blur             pixelates the faces in it that are found, and a face that was lost for a second longer
    no-photo         rejects uploaded photos
    token-file=PATH  contains the token that clients authenticate with; it may also come from the systemd credential
                     `web-token` or $EMOTION_EDGE_WEB_TOKEN
    insecure         allows access without a token
    host=NAME        a further host name of the page

Clients get the newest result: a slow client misses some, and the loop waits for none. No image is sent unless `image`
is set and a client asks; neither images nor uploaded photos are stored. docs/web.md describes the rest.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from edge.config.sink_options import number, parse
from edge.errors import SinkError, UsageError
from edge.sinks.face_blur import FaceBlur
from edge.sinks.missing_package import missing_package
from edge.sinks.web.address import listen, parse_address, reachable_address
from edge.system.paths import expand_path
from edge.types import Disclosure, FrameResult, RunInfo

try:
    from edge.sinks.web.authentication import Authenticator, load_token
    from edge.sinks.web.context import EVENT_BUFFER_BYTES, MJPEG_BUFFER_BYTES, WebContext
    from edge.sinks.web.health import HealthMonitor
    from edge.sinks.web.photo_queue import PhotoQueue
    from edge.sinks.web.run_state import RunState
    from edge.sinks.web.server import Server
    from edge.sinks.web.subscribers import SubscriberSet
except ModuleNotFoundError as missing:
    package = (missing.name or "").partition(".")[0]
    if package not in ("tornado", "prometheus_client"):
        raise
    raise missing_package("web", package) from missing

_log = logging.getLogger(__name__)

DEFAULT_IMAGE_FPS = 5.0
STOP_SECONDS = 0.4  # for the server to close its connections
START_SECONDS = 10.0  # for the server's thread to start; it takes milliseconds, more on a board that swaps


class Sink:
    reopens = True

    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        address, options = parse(
            "web",
            argument,
            {
                "image": bool,
                "blur": bool,
                "fps": number(0.1, 30, float),
                "no-photo": bool,
                "token-file": expand_path,
                "insecure": bool,
                "host": str,
            },
        )
        if "insecure" in options and "token-file" in options:
            raise UsageError("sink web: both token-file and insecure are set, expected one of them")
        if "fps" in options and "image" not in options:
            raise UsageError("sink web: fps limits the camera's image, which needs the option 'image'")
        if "blur" in options and "image" not in options:
            raise UsageError("sink web: blur pixelates the faces of the camera's image, which needs the option 'image'")
        self._blur = FaceBlur() if "blur" in options else None
        self.address = parse_address(address)
        self._options, self._run_info = options, run
        self._run_state = RunState(run.labels, keep_image="image" in options)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def disclose(self) -> Disclosure:
        address, options = self.address, self._options
        if "insecure" in options:
            readers = "to EVERYBODY who can connect" if not address.is_loopback else "to every user of this device"
        else:
            readers = "to programs on this device" if address.is_loopback else "to whoever has the token"
        readers += f", at {address}" if address.is_loopback else f", at {address}, NOT ENCRYPTED"
        lines = [f"{readers}: labels, probabilities and boxes of the faces, health and counters of the run"]
        image = "the camera's IMAGE, faces that are found pixelated" if self._blur else "the camera's IMAGE"
        lines += [f"{readers}: {image}"] if "image" in options else []
        photo = "a photo that a visitor uploads is analyzed in memory, and discarded"
        return Disclosure(
            kept=("in memory, for 5 minutes: mean probabilities of each second",),
            sent=tuple(lines) if "no-photo" in options else (*lines, f"{readers}: the result for their photo; {photo}"),
        )

    def __enter__(self) -> Self:
        token = load_token(self._options.get("token-file"))
        if token is None and not (self.address.is_loopback or "insecure" in self._options):
            raise UsageError(
                f"sink web: other devices can connect to {self.address}; set a token (token-file=PATH, the credential "
                "web-token or $EMOTION_EDGE_WEB_TOKEN), or the option insecure to allow access without one"
            )
        listening = listen(self.address)
        self.address = self.address._replace(port=listening.getsockname()[1])
        self._error, ready = None, threading.Event()
        self._server = Server(listening, self._make_context(token))
        # A daemon: a server that does not stop must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._serve, args=(self._server, ready.set), name="sink web", daemon=True
        )
        self._thread.start()
        if not ready.wait(START_SECONDS):
            listening.close()
            raise SinkError(f"web: the server did not start within {START_SECONDS:g} s; is the memory full?")
        _log.info("web: http://%s/%s", reachable_address(self.address), "" if token is None else " (with the token)")
        if token is None and not self.address.is_loopback:
            data = "the camera's image" if "image" in self._options else "the results"
            _log.warning("edge: web: insecure: anyone in the network can see %s", data)
        return self

    def write(self, result: FrameResult) -> None:
        if self._error is not None:
            raise SinkError(f"web: the server failed ({type(self._error).__name__}: {self._error})") from self._error
        self._run_state.record(self._blur.hide(result) if self._blur else result, time.monotonic())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.stop()
        self._thread.join(STOP_SECONDS)

    def _make_context(self, token: str | None) -> WebContext:
        options, run_info = self._options, self._run_info
        return WebContext(
            run_state=self._run_state,
            health=HealthMonitor(self._run_state, run_info.describe_model),
            authenticator=Authenticator(token, {self.address.host, *filter(None, [options.get("host")])}),
            event_clients=SubscriberSet(EVENT_BUFFER_BYTES),
            mjpeg_clients=SubscriberSet(MJPEG_BUFFER_BYTES),
            image_fps=options.get("fps", DEFAULT_IMAGE_FPS) if "image" in options else None,
            photos=None if "no-photo" in options else PhotoQueue(run_info.analyze_image),
        )

    def _serve(self, server: Server, ready: Callable[[], None]) -> None:
        try:
            asyncio.run(server.serve(ready))
        except Exception as error:  # noqa: BLE001 (raised again by the next write)
            self._error = error
            ready()
