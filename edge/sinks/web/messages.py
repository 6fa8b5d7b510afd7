"""What goes over the line as bytes: events, images, and the head of an answer that does not end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import cv2

from edge.sinks.annotate import annotate
from edge.types import FrameResult

IMAGE_WIDTH, QUALITY = 960, 75  # pixels at most, and JPEG's: 20 to 80 kB an image
SAFE = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: a browser would then say of our own form that it is nobody's
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BOUNDARY = "image"
# A browser shows an image when it sees the next one's boundary: so each is followed by it at once.
FIRST_BOUNDARY = f"--{BOUNDARY}\r\n".encode()


def event(name: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def head(more: Mapping[str, str]) -> bytes:
    """Return the head of an answer that goes on until one of both has enough."""
    lines = [f"{name}: {value}" for name, value in {**SAFE, **more, "Connection": "close"}.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "\r\n"]).encode()


def image_part(seen: FrameResult) -> bytes:
    """Return the annotated image of `seen` as a part of a multipart answer."""
    image = annotate(seen)
    height, width = image.shape[:2]
    if width > IMAGE_WIDTH:
        size = IMAGE_WIDTH, round(height * IMAGE_WIDTH / width)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment] # uint8 it stays
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    about = f"Content-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    return about + content + b"\r\n" + FIRST_BOUNDARY
