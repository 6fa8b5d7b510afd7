"""A network camera with HTTP: `http://HOST/PATH`, or `https://HOST/PATH` with TLS; see edge/capture/stream_url.py.

Motion JPEG (multipart/x-mixed-replace), or a video that FFmpeg decodes as it comes, such as MPEG-TS. The connection is
Python's in both cases, so that certificate and host name are verified; redirections are not followed. User and password
are sent by the method that the camera asks for, Digest or Basic.
"""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from email.utils import collapse_rfc2231_value
from functools import cache, partial
from http.client import HTTPException, HTTPResponse
from typing import Any

import cv2
import numpy as np

from edge.capture import ffmpeg, stream_url
from edge.capture.encoded_frame import EncodedFrame
from edge.capture.jpeg import decode_jpeg
from edge.capture.multipart import MultipartReader
from edge.capture.stream_url import StreamUrl
from edge.errors import CameraError, EmotionEdgeError

CONNECT_TIMEOUT_SECONDS = 5.0  # for each step of a connection, and for any bytes to come
IMAGE_TIMEOUT_SECONDS = 5.0  # for a complete image
RECEIVE_BYTES = 65_536
# Content types of what is no video -> what to do.
REFUSED_TYPES = {
    "image/": "a single image; name the address of its stream (MJPEG)",
    "text/": "a page or a text; name the address of its stream",
    "application/vnd.apple.mpegurl": "a playlist (HLS), which is not supported; use its RTSP or MJPEG stream",
    "application/x-mpegurl": "a playlist (HLS), which is not supported; use its RTSP or MJPEG stream",
    "application/dash+xml": "a playlist (DASH), which is not supported; use its RTSP or MJPEG stream",
}
# Status -> what it means.
PROBLEMS = {
    **dict.fromkeys((401, 403), stream_url.LOGIN_ADVICE),
    **dict.fromkeys((301, 302, 303, 307, 308), "redirects to another address, which is not followed; name that one"),
    404: "the camera has no stream of that path",
}

CAN_RECONNECT = True


def frames(argument: str) -> Generator[EncodedFrame, None, None]:
    """Yield frames as they come. Raises CameraError if the camera cannot be opened, or stops delivering."""
    url = stream_url.parse(argument)
    with _open(url) as response:
        kind = response.headers.get_content_type()
        for refused, advice in REFUSED_TYPES.items():
            if kind.startswith(refused):
                raise CameraError(f"{url}: {advice}")
        if not kind.startswith("multipart/") and response.length is not None:  # a stream has no end
            raise CameraError(
                f"{url}: a file of {response.length / 1e6:.1f} MB, not a stream; download it, and name the file"
            )
        yield from _mjpeg_frames(response, url) if kind.startswith("multipart/") else _video_frames(response, url)


def is_live(argument: str) -> bool:  # noqa: ARG001 (every camera has it)
    """Return True: frames come at the camera's pace."""
    return True


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: it could lead from https to http, or to another host that would get the password."""


def _open(url: StreamUrl) -> HTTPResponse:
    login, context = url.load_login(), url.make_tls_context()
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if login.user is not None:
        passwords.add_password(None, f"{url.scheme}://{url.address}/", login.user, login.password or "")
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDigestAuthHandler(passwords),
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _NoRedirection(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(  # noqa: S310 (http and https only)
        f"{url.scheme}://{url.address}{url.target_for(login)}", headers={"User-Agent": "emotion-edge"}
    )
    try:
        response = opener.open(request, timeout=CONNECT_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        problem = PROBLEMS.get(error.code, f"the camera answers with status {error.code}")
        raise CameraError(f"{url}: {problem}") from None
    except Exception as error:  # noqa: BLE001 (urllib raises many kinds for headers that are wrong)
        raise CameraError(f"{url}: cannot be opened ({_reason(error)})") from None
    assert isinstance(response, HTTPResponse)
    return response


def _mjpeg_frames(response: HTTPResponse, url: StreamUrl) -> Generator[EncodedFrame, None, None]:
    receive = _Receiver(response, url)
    boundary = collapse_rfc2231_value(response.headers.get_param("boundary") or "")
    reader = MultipartReader(receive, boundary.encode("latin-1", "replace"))
    start, index = time.monotonic(), 0
    while True:
        receive.expect_image()
        content = np.frombuffer(reader.read_part(), np.uint8)
        arrived = time.monotonic()
        decode_color: Callable[[], Any] = cache(partial(decode_jpeg, content, cv2.IMREAD_COLOR))
        yield EncodedFrame(
            partial(decode_jpeg, content, cv2.IMREAD_GRAYSCALE), decode_color, arrived - start, index, arrived
        )
        index += 1


def _video_frames(response: HTTPResponse, url: StreamUrl) -> Generator[EncodedFrame, None, None]:
    if not hasattr(cv2, "IStreamReader"):
        raise CameraError(f"{url}: OpenCV {cv2.__version__} reads no video from a connection; install 4.11 or newer")
    ffmpeg.suppress_log()
    content = _VideoContent(_Receiver(response, url))
    capture = cv2.VideoCapture(content, cv2.CAP_FFMPEG, ())  # type: ignore[call-overload]  # no stub says how
    if not capture.isOpened():
        capture.release()
        raise content.error or CameraError(f"{url}: what the camera sends cannot be decoded as a video")
    try:
        yield from ffmpeg.read_frames(capture, url)
    except CameraError as error:
        raise (content.error or error) from None


class _Receiver:
    """Returns bytes of a response as they come. Raises CameraError when none come, or no image within its time."""

    def __init__(self, response: HTTPResponse, url: StreamUrl) -> None:
        self._response, self._url = response, url
        self._deadline = float("inf")

    def expect_image(self) -> None:
        """Start the time within which the next image must be complete."""
        self._deadline = time.monotonic() + IMAGE_TIMEOUT_SECONDS

    def __call__(self) -> bytes:
        if time.monotonic() > self._deadline:
            raise CameraError(f"{self._url}: no complete image for {IMAGE_TIMEOUT_SECONDS:g} s")
        try:
            return self._response.read1(RECEIVE_BYTES)
        except (OSError, HTTPException, ValueError) as error:
            raise CameraError(f"{self._url}: the camera stopped delivering ({_reason(error)})") from None


class _VideoContent(io.BufferedIOBase):
    """What FFmpeg reads of a video; it cannot seek in it. An error ends the video, and is kept in `error`."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive, self._left = receive, b""
        self.error: CameraError | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        try:
            content = self._left or self._receive()
        except EmotionEdgeError as error:
            self.error = CameraError(str(error))
            return b""
        size = len(content) if size is None or size < 0 else size
        self._left = content[size:]
        return content[:size]

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: ARG002 (as io has it)
        """Return -1: OpenCV takes it for a failure, while an exception would be printed."""
        return -1


def _reason(error: BaseException) -> str:
    """Return the reason of `error` in one line."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _reason(reason)
    message = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or reason or error
    return str(message) if isinstance(error, OSError) else type(error).__name__
