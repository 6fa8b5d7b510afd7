"""Image files of every format, and small ones that cost a decoder much."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encode(image: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    """Return (height, width, 3) BGR as a file of Pillow's format `kind`."""
    content = io.BytesIO()
    Image.fromarray(image[..., ::-1]).save(content, kind, **options)
    return content.getvalue()


def jpeg_in_scans(side: int, scans: int) -> bytes:
    """Return a baseline JPEG of `side` x `side` pixels whose components come in `scans` scans without data.

    A decoder keeps all coefficients until the last scan: 6 bytes a pixel.
    """

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    one_code = bytes([1, *bytes(15), 0])  # a Huffman table with a single code, of one bit
    components = bytes(each for number in (1, 2, 3) for each in (number, 0x11, 0))
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xDB, bytes([0, *[16] * 64])),
            segment(0xC0, struct.pack(">BHHB", 8, side, side, 3) + components),
            segment(0xC4, b"\x00" + one_code),
            segment(0xC4, b"\x10" + one_code),
            *(segment(0xDA, bytes([1, number % 3 + 1, 0, 0, 63, 0])) for number in range(scans)),
            b"\xff\xd9",
        ]
    )


def tiff_header(width: int, height: int, compression: int = 1) -> bytes:
    """Return the directory of a TIFF file without pixels."""
    entries = {256: width, 257: height, 258: 8, 259: compression, 277: 1}
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
