"""A photo that somebody tries: checked before it is decoded, and decoded from memory."""

from __future__ import annotations

import struct
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

BYTES = 10_000_000
# Decoded pixels take memory that a small board may not have. Baseline JPEG, what telephones make, is shrunk while it is
# decoded; anything else is decoded as a whole first.
PIXELS, PIXELS_WHOLE = 80_000_000, 16_000_000
SIDE = 1280  # pixels that the longer side is shrunk to before it is read: the loop needs the processor, too

_PNG, _WEBP = b"\x89PNG\r\n\x1a\n", b"WEBP"
_BASELINE, _FRAMES = 0xC0, {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers that tell the size
_ALONE = {0x01, *range(0xD0, 0xD8)}  # its markers without a length
_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


class NoPhoto(ValueError):
    """What was sent cannot be read; the message says why, in one sentence."""


class Size(NamedTuple):
    width: int  # pixels
    height: int  # pixels
    shrinks: bool  # whether it can be shrunk while it is decoded


def decoded(content: bytes) -> NDArray[np.uint8]:
    """Return the photo of the bytes `content`: (height, width, 3) BGR, upright by its EXIF, SIDE pixels a side at most.

    Raises NoPhoto.
    """
    size = size_of(content)
    most = PIXELS if size.shrinks else PIXELS_WHOLE
    if not 0 < size.width * size.height <= most:
        raise NoPhoto(f"The photo has {size.width} x {size.height} pixels; {most / 1e6:g} million are the most")
    image = _decoded(content, size)
    scale = SIDE / max(image.shape)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return image


def size_of(content: bytes) -> Size:
    """Return the size that the JPEG, PNG or WebP photo says it has, without decoding it. Raises NoPhoto for others."""
    try:
        if content.startswith(b"\xff\xd8"):
            return _jpeg_size(content)
        if content.startswith(_PNG):
            width, height = struct.unpack_from(">II", content, 16)
            return Size(width, height, False)
        if content[:4] == b"RIFF" and content[8:12] == _WEBP:
            return _webp_size(content)
    except (struct.error, IndexError):
        raise NoPhoto("The photo is cut short") from None
    raise NoPhoto("This is no photo in JPEG, PNG or WebP")


def _jpeg_size(content: bytes) -> Size:
    at = 2
    while True:
        marker, length = content[at + 1], 0
        if content[at] != 0xFF:
            raise NoPhoto("The JPEG photo is damaged")
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return Size(width, height, marker == _BASELINE)
        if marker not in _ALONE and marker != 0xFF:  # 0xFF: filled up
            (length,) = struct.unpack_from(">H", content, at + 2)
        at += 1 if marker == 0xFF else 2 + length


def _webp_size(content: bytes) -> Size:
    """By the three forms of the WebP Container Specification."""
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    return Size(width, height, False)


def _decoded(content: bytes, size: Size) -> NDArray[np.uint8]:
    shrink = max((by for by in _REDUCED if max(size.width, size.height) >= SIDE * by), default=1)
    way = _REDUCED[shrink] if size.shrinks and shrink > 1 else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), way)
    except cv2.error:  # more pixels than it was told, or its own limits
        image = None
    if image is None:
        raise NoPhoto("The photo is damaged: it cannot be decoded")
    return np.asarray(image, np.uint8)
