"""Decodes the JPEG images of a camera, which come many times a second: what one costs is known before it is decoded."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ImageError
from edge.system.image_header import read_header

HEADER_BYTES = 4096  # in which most cameras state the size of an image
MAX_HEADER_BYTES = 262_144  # the same of one that precedes it with metadata: a thumbnail, a color profile, its own data
MAX_PIXELS = 3840 * 2160  # of a camera that has not stated its size: 4K

Image = NDArray[np.uint8]


def decode_jpeg(content: Image, mode: int, size: tuple[int, int] | None = None) -> Image:
    """Return the image in `content`, the bytes of a JPEG file.

    Args:
        mode: cv2.IMREAD_GRAYSCALE or cv2.IMREAD_COLOR.
        size: (width, height) in pixels that it must have; None: up to MAX_PIXELS.

    Raises ImageError if it is damaged, or not what a camera sends.
    """
    try:
        header = read_header(content[:HEADER_BYTES].tobytes())
    except ImageError:
        header = read_header(content[:MAX_HEADER_BYTES].tobytes())
    found = f"an image of {header.width} x {header.height} pixels"
    if size is not None and (header.width, header.height) != size:
        raise ImageError(f"{found}, expected {size[0]} x {size[1]}")
    if not 0 < header.pixels <= MAX_PIXELS:
        raise ImageError(f"{found}, expected at most {MAX_PIXELS / 1e6:.1f} million pixels")
    if header.buffer_bytes:
        raise ImageError("a progressive JPEG image, which no camera sends: it may take seconds")
    try:
        decoded = cv2.imdecode(content, mode)
    except cv2.error:  # a limit of OpenCV
        decoded = None
    if decoded is None:
        raise ImageError("the JPEG image is damaged: it cannot be decoded")
    return decoded.astype(np.uint8, copy=False)
