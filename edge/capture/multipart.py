"""Splits a Motion JPEG stream, multipart/x-mixed-replace, into its images, with limits for what a camera may send.

Syntax: RFC 2046 section 5.1. Cameras deviate from it: some state the boundary with its dashes, end lines with LF alone,
or omit Content-Length, so that an image ends at the next boundary.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from edge.errors import CameraError

MAX_IMAGE_BYTES = 10_000_000  # a 4K image of the best quality has 5 MB
MAX_HEADER_BYTES = 8192  # of a part; also of what precedes the first one
_CONTENT_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")


class MultipartReader:
    """The parts of a stream, one after the other.

    Args:
        receive: returns some bytes of the stream; none at its end.
        boundary: as the response's Content-Type states it. Raises CameraError if it is empty.
    """

    def __init__(self, receive: Callable[[], bytes], boundary: bytes) -> None:
        self._receive, self._delimiter = receive, b"--" + boundary.removeprefix(b"--")
        if self._delimiter == b"--":
            raise CameraError("the camera's stream states no boundary between its images")
        self._buffer = bytearray(b"\n")  # the first boundary is at the beginning of a line as well

    def read_part(self) -> bytes:
        """Return the next part, without its headers. Raises CameraError if the stream ends or exceeds a limit."""
        start = self._find(b"\n" + self._delimiter, MAX_HEADER_BYTES, "no boundary between images")
        del self._buffer[: start + 1 + len(self._delimiter)]
        while (end := _END_OF_HEADERS.search(self._buffer)) is None:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise CameraError(f"the camera sends more than {MAX_HEADER_BYTES:,} bytes of headers for an image")
            self._fill()
        length = _CONTENT_LENGTH.search(bytes(self._buffer[: end.start()]) + b"\n")
        del self._buffer[: end.end()]
        if length is None:
            size = self._find(b"\n" + self._delimiter, MAX_IMAGE_BYTES, "an image without end")
            part = bytes(self._buffer[:size])
            return part.removesuffix(b"\r")
        size = int(length[1])
        if size > MAX_IMAGE_BYTES:
            raise CameraError(f"the camera sends an image of {size:,} bytes, expected at most {MAX_IMAGE_BYTES:,}")
        while len(self._buffer) < size:
            self._fill()
        part = bytes(self._buffer[:size])
        self._buffer[:size] = b"\n"  # also where no line break precedes the boundary
        return part

    def _find(self, pattern: bytes, limit: int, problem: str) -> int:
        """Return where `pattern` begins. Raises CameraError with `problem` if it is not in the first `limit` bytes."""
        start = 0
        while (place := self._buffer.find(pattern, start)) < 0:
            start = max(0, len(self._buffer) - len(pattern) + 1)  # what is before was searched
            if start > limit:
                raise CameraError(f"the camera sends {problem}: none in {limit:,} bytes")
            self._fill()
        return place

    def _fill(self) -> None:
        content = self._receive()
        if not content:
            raise CameraError("the camera has ended its stream")
        self._buffer += content
