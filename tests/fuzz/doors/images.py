"""Image files: of a folder, and with the limits of an upload to the page."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from edge.system.image_decoding import decode_image
from tests.fuzz.door import Door
from tests.support.image_files import encode, jpeg_in_scans, tiff_header


def seeds() -> list[bytes]:
    image = np.random.default_rng(1).integers(0, 255, (24, 40, 3), np.uint8)
    image = cv2.resize(image, (80, 48)).astype(np.uint8)
    encoded = [cv2.imencode(suffix, image)[1].tobytes() for suffix in (".jpg", ".png", ".webp", ".bmp", ".ppm")]
    return [
        *encoded,
        encode(image, "JPEG", progressive=True),
        encode(image, "WEBP", lossless=True),
        *(encode(image, "TIFF", compression=each) for each in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")),
        encode(image, "GIF"),
        encode(image, "AVIF", exif=Image.Exif().tobytes()),
        jpeg_in_scans(64, 3),
        tiff_header(64, 64),
    ]


def receive(content: bytes) -> None:
    image = decode_image(content)
    assert image.ndim == 3
    assert image.shape[2] == 3


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(
            b"\xff\xd8",
            b"\xff\xd9",
            b"\xff\xc0\0\x11\x08",
            b"\xff\xc2\0\x11\x08",
            b"\xff\xda\0\x0c\3",
            b"\xff\xdd\0\4\0\1",
        ),
        *(
            b"IHDR",
            b"IDAT",
            b"PLTE",
            b"tRNS",
            b"acTL",
            b"iCCP",
            b"zTXt",
            b"VP8X",
            b"VP8L",
            b"VP8 ",
            b"ANIM",
            b"ALPH",
            b"EXIF",
        ),
        *(b"GIF89a", b"\x21\xf9\4", b"ftypavif", b"ispe\0\0\0\0\0\1\0\0", b"irot", b"av1C", b"iloc"),
        *(b"II*\0", b"MM\0*", b"\0\1\4\0", b"\1\1\4\0", b"\3\1\3\0", b"P3\n", b"P5\n", b"65535 65535\n"),
    ),
    test_inputs=1500,
    campaign_inputs=250_000,
)
