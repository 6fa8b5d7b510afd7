"""The one way to decode an image that comes from outside: what it costs is known before it is decoded."""

from __future__ import annotations

import re
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ImageError
from edge.system.image_header import FORMATS, ImageHeader, read_header
from edge.system.native_output import suppress_native_output

MAX_IMAGE_PIXELS = 50_000_000  # the largest mode of common phones
# Passes of a decoder over the pixels. A progressive JPEG usually has 10, of 16 million pixels 0.6 s on x86-64; without
# a limit 20 kB can keep a core busy for 14 s, and 10 MB for hours.
MAX_SCANS = 60
MAX_SCANNED_PIXELS = 250_000_000  # of all scans together, of an image with more than three
_INTERLEAVED_SCANS = 3  # a baseline JPEG has one scan, or one for each component
_BYTES_PER_PIXEL = 3
_REDUCED_MODES = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


def decode_image(
    content: bytes,
    max_pixels: int = MAX_IMAGE_PIXELS,
    *,
    max_side: int | None = None,
    max_bytes: int | None = None,
    formats: Sequence[str] = FORMATS,
) -> NDArray[np.uint8]:
    """Return the image as (height, width, 3) BGR, upright as its EXIF or AVIF orientation says.

    Of a GIF or an animation it is the first image.

    Nothing that a decoder prints reaches stderr; lines that other threads log there meanwhile are lost as well.

    Args:
        content: of the file.
        max_pixels: width times height that is accepted.
        max_side: pixels; a larger image is downscaled to it, as early as its decoder can. None: not downscaled.
        max_bytes: memory that decoding may take; None: twice that of `max_pixels` in color, since OpenCV copies the
            image at the end.
        formats: that are accepted, of FORMATS.

    Raises ImageError if it is damaged, too large, or of no known format.
    """
    header = read_header(content, formats)
    if not header.pixels:
        raise ImageError(f"the image has {header.width} x {header.height} pixels")
    # The decoder reduces by one of these factors, as far as the image does not get smaller than asked for.
    side = max(header.width, header.height)
    factor = max((each for each in _REDUCED_MODES if max_side and side >= each * max_side), default=1)
    _check_cost(header, factor, max_pixels, max_bytes or 2 * _BYTES_PER_PIXEL * max_pixels)
    with suppress_native_output(2):
        try:
            decoded = cv2.imdecode(np.frombuffer(content, np.uint8), _REDUCED_MODES.get(factor, cv2.IMREAD_COLOR))
        except (cv2.error, MemoryError):  # more pixels than in the header, or a limit of OpenCV
            decoded = None
    if decoded is None:
        if re.search(rf"\b{header.format}: +NO\b", cv2.getBuildInformation()):
            raise ImageError(f"OpenCV {cv2.__version__} reads no {header.format} images; convert it to JPEG")
        raise ImageError(f"the {header.format} image is damaged: it cannot be decoded")
    scale = 1.0 if max_side is None else max_side / max(decoded.shape)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in decoded.shape[1::-1])
        decoded = cv2.resize(decoded, (width, height), interpolation=cv2.INTER_AREA)
    upright = np.rot90(decoded, header.quarter_turns)
    return np.ascontiguousarray(upright if header.flip is None else np.flip(upright, header.flip), np.uint8)


def _check_cost(header: ImageHeader, factor: int, max_pixels: int, max_bytes: int) -> None:
    """Raise ImageError if decoding takes too many pixels, too much memory or too many passes."""
    decoded_bytes = _BYTES_PER_PIXEL * header.pixels
    if header.decodes_reduced:
        decoded_bytes //= factor * factor
    needed_bytes = max(header.buffer_bytes + decoded_bytes, 2 * decoded_bytes if factor == 1 else 0)
    limit = min(max_pixels, header.pixels * max_bytes // needed_bytes)
    size = f"the {header.format} image has {header.width} x {header.height} pixels"
    if header.pixels > limit:
        raise ImageError(f"{size}; the limit for this kind is {limit / 1e6:.3g} million")
    scanned_pixels = header.scans * header.pixels if header.scans > _INTERLEAVED_SCANS else 0
    if header.scans > MAX_SCANS or scanned_pixels > MAX_SCANNED_PIXELS:
        raise ImageError(f"{size} in {header.scans} scans; a photo has about 10")
