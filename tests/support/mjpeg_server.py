"""A network camera with HTTP on loopback, which tests stop and start again."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

BOUNDARY = b"frame"


class CameraServer:
    """Answers each request with `body`; a context manager.

    Args:
        body: chunks; after the last one the connection is kept open, without a byte, until the server is stopped.
        port: 0: any free one.
        authorizations: values of Authorization that are accepted; others get 401 with `challenge`.
    """

    def __init__(
        self,
        body: Sequence[bytes],
        content_type: str = "multipart/x-mixed-replace; boundary=frame",
        *,
        port: int = 0,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        challenge: str = "",
        certificate: Any = None,
        ends: bool = False,
    ) -> None:
        self.requests: list[tuple[str, str]] = []  # path, and value of Authorization
        stopped = self._stopped = threading.Event()
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                authorization = self.headers.get("Authorization", "")
                requests.append((self.path, authorization))
                self.send_response(401 if challenge and not authorization else status)
                for name, value in (("Content-Type", content_type), *headers):
                    self.send_header(name, value)
                if challenge:
                    self.send_header("WWW-Authenticate", challenge)
                self.end_headers()
                if challenge and not authorization:
                    return
                for chunk in body:
                    self.wfile.write(chunk)
                if not ends:
                    stopped.wait()

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        self.port = self._server.server_address[1]

    def url(self, path: str = "/video", host: str = "localhost") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()


def mjpeg(images: Iterable[bytes]) -> list[bytes]:
    """Return the chunks of a Motion JPEG stream of `images`, each the content of a JPEG file."""
    chunks = [
        b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (BOUNDARY, len(image), image)
        for image in images
    ]
    return [*chunks, b"--%s\r\n" % BOUNDARY]
