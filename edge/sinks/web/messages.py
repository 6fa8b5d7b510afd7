"""What is sent as bytes: server-sent events, MJPEG parts, and the head of a response that does not end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import cv2

from edge.sinks.annotate import annotate
from edge.types import FrameResult

MAX_IMAGE_WIDTH_PIXELS, JPEG_QUALITY = 960, 75  # 20 to 80 kB an image
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser sends `Origin: null` with our own forms
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
EVENT_STREAM_TYPE = "text/event-stream; charset=utf-8"
MJPEG_TYPE = "multipart/x-mixed-replace; boundary=image"
# A browser shows an image only when the next boundary arrives, so each image is followed by one at once.
MJPEG_BOUNDARY = b"--image\r\n"


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """Return a server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def response_head(content_type: str) -> bytes:
    """Return the head of a response that lasts until one side closes the connection."""
    headers = {**SECURITY_HEADERS, "Content-Type": content_type, "Connection": "close"}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "\r\n"]).encode()


def mjpeg_part(result: FrameResult) -> bytes:
    """Return the annotated image of `result` as a part of an MJPEG response."""
    image = annotate(result)
    height, width = image.shape[:2]
    if width > MAX_IMAGE_WIDTH_PIXELS:
        size = MAX_IMAGE_WIDTH_PIXELS, round(height * MAX_IMAGE_WIDTH_PIXELS / width)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment] # it stays uint8
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    return head + content + b"\r\n" + MJPEG_BOUNDARY
