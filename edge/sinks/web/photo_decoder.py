"""Decodes an uploaded photo, after a check of its size: decoded pixels may not fit a small board's memory."""

from __future__ import annotations

import struct
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_PHOTO_BYTES = 10_000_000
# Baseline JPEG, the format of phone cameras, is downscaled while it is decoded; other formats are decoded in full size.
MAX_BASELINE_JPEG_PIXELS, MAX_PIXELS = 80_000_000, 16_000_000
MAX_SIDE_PIXELS = 1280  # of the decoded photo; the run needs the processor as well

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BASELINE_MARKER = 0xC0
_FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG markers with the size (SOFn), ITU-T T.81 table B.1
_MARKERS_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
_REDUCED_MODES = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


class PhotoError(ValueError):
    """The upload is not a usable photo; the message is one sentence for the visitor."""


class PhotoSize(NamedTuple):
    width: int  # pixels
    height: int  # pixels
    is_baseline_jpeg: bool


def decode_photo(content: bytes) -> NDArray[np.uint8]:
    """Return the photo as (height, width, 3) BGR, upright by its EXIF orientation, no side above MAX_SIDE_PIXELS.

    Raises PhotoError.
    """
    size = read_size(content)
    limit = MAX_BASELINE_JPEG_PIXELS if size.is_baseline_jpeg else MAX_PIXELS
    if not 0 < size.width * size.height <= limit:
        raise PhotoError(f"The photo has {size.width} x {size.height} pixels; the limit is {limit / 1e6:g} million.")
    image = _decode(content, size)
    scale = MAX_SIDE_PIXELS / max(image.shape)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return image


def read_size(content: bytes) -> PhotoSize:
    """Return the size in the header of a JPEG, PNG or WebP file. Raises PhotoError."""
    try:
        if content.startswith(b"\xff\xd8"):
            return _jpeg_size(content)
        if content.startswith(_PNG_SIGNATURE):
            width, height = struct.unpack_from(">II", content, 16)
            return PhotoSize(width, height, False)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp_size(content)
    except (struct.error, IndexError):
        raise PhotoError("The photo is incomplete.") from None
    raise PhotoError("This is not a JPEG, PNG or WebP photo.")


def _jpeg_size(content: bytes) -> PhotoSize:
    position = 2
    while True:
        marker, length = content[position + 1], 0
        if content[position] != 0xFF:
            raise PhotoError("The JPEG photo is damaged.")
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", content, position + 5)
            return PhotoSize(width, height, marker == _BASELINE_MARKER)
        if marker not in _MARKERS_WITHOUT_LENGTH and marker != 0xFF:  # 0xFF: a fill byte
            (length,) = struct.unpack_from(">H", content, position + 2)
        position += 1 if marker == 0xFF else 2 + length


def _webp_size(content: bytes) -> PhotoSize:
    """Read one of the three forms of the WebP Container Specification."""
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    return PhotoSize(width, height, False)


def _decode(content: bytes, size: PhotoSize) -> NDArray[np.uint8]:
    """Decode `content`, a baseline JPEG downscaled to MAX_SIDE_PIXELS or somewhat more."""
    side = max(size.width, size.height)
    factors = [factor for factor in _REDUCED_MODES if size.is_baseline_jpeg and side >= MAX_SIDE_PIXELS * factor]
    mode = _REDUCED_MODES[max(factors)] if factors else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    except cv2.error:  # more pixels than in the header, or a limit of OpenCV
        image = None
    if image is None:
        raise PhotoError("The photo is damaged: it cannot be decoded.")
    return np.asarray(image, np.uint8)
