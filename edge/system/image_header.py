"""Reads size and decoding cost of an image from its header: JPEG, PNG, WebP, TIFF, BMP, PNM, GIF, AVIF.

An image of some kilobytes can decode to gigabytes, or keep a decoder busy for hours. So nothing is decoded before its
header has been read, and a format that is not in this module is refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edge.errors import ImageError
from edge.system.avif_header import read_avif_header
from edge.system.iso_boxes import read_brands

FORMATS = ("JPEG", "PNG", "WebP", "TIFF", "BMP", "PNM", "GIF", "AVIF")

# JPEG markers, ITU-T T.81 table B.1. Only the three Huffman-coded modes that cameras and programs write are read.
_EOI, _SOS = 0xD9, 0xDA
_READABLE_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended sequential, progressive
_PROGRESSIVE = 0xC2
_OTHER_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MARKERS_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
# The end of a scan: a marker other than a restart marker. 0xFF 0x00 is a byte of data, and 0xFF 0xFF a fill byte.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_COEFFICIENT_BYTES = 2

_SIGNATURES = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
# Formats that OpenCV does not read, by signature, and by brand of the ISO base media file format.
_UNREAD_SIGNATURES = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"<svg": "SVG",
}
_HEIC_BRANDS = ("heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1")
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]{0,500}\n){1,100}(\d{1,9})(?:\s|#[^\n]{0,500}\n){1,100}(\d{1,9})\s")
_TIFF_TYPES = {3: "H", 4: "I"}  # SHORT and LONG
_TIFF_COMPRESSIONS = {1, 5, 8, 32773, 32946}  # none, LZW, Deflate, PackBits: TIFF 6.0 and Adobe's supplements
_MAX_TIFF_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What decoding will cost."""

    format: str
    width: int  # pixels, before a rotation by EXIF
    height: int  # pixels
    buffer_bytes: int = 0  # that the decoder needs besides the decoded pixels
    scans: int = 1  # passes over the whole image
    quarter_turns: int = 0  # counterclockwise, that make the decoded image upright; OpenCV applies EXIF itself
    flip: int | None = None  # after the turn: 0 exchanges top and bottom, 1 left and right

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def decodes_reduced(self) -> bool:
        """Whether a smaller image costs less memory: other formats are decoded in full size and then reduced."""
        return self.format == "JPEG"


def read_header(content: bytes, formats: Sequence[str] = FORMATS) -> ImageHeader:
    """Return the header of the image in `content`, whose format is found by its first bytes.

    Args:
        formats: that are accepted, of FORMATS.

    Raises ImageError if it is damaged, or of no accepted format.
    """
    name = _find_format(content)
    if unread := _find_unread_format(content):
        raise ImageError(f"{unread} images are not read; convert it to JPEG")
    if name not in formats:
        raise ImageError(f"not a {', '.join(formats[:-1])} or {formats[-1]} image")
    try:
        return _READERS[name](content)
    except (struct.error, IndexError):
        raise ImageError("the image is incomplete") from None


def _find_format(content: bytes) -> str:
    """Return the name of the format, empty if it is unknown."""
    for signature, name in _SIGNATURES.items():
        if content.startswith(signature):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP"
    if "avif" in read_brands(content[:200]):
        return "AVIF"
    return "PNM" if _PNM.match(content) else ""


def _find_unread_format(content: bytes) -> str:
    """Return the name of a format that people have, but that is not read; empty if it is none."""
    for signature, name in _UNREAD_SIGNATURES.items():
        if content.startswith(signature):
            return name
    brands = read_brands(content[:200])
    if brands[:1] == ["avis"]:  # its frames have sizes of their own
        return "animated AVIF"
    return "HEIC" if brands and brands[0] in _HEIC_BRANDS and "avif" not in brands else ""


def _read_jpeg(content: bytes) -> ImageHeader:
    """Count the scans as well: with more than one, or in progressive mode, all coefficients are kept in memory."""
    frame = None
    scans = 0
    for marker, position in _jpeg_segments(content):
        if marker in _READABLE_FRAMES:
            if frame is not None:
                raise ImageError("the JPEG image is damaged: it has two frames")
            precision, height, width, components = struct.unpack_from(">BHHB", content, position)
            if precision != 8:
                raise ImageError(f"a JPEG image of {precision} bits; only 8 bits are read")
            samplings = [content[position + 7 + 3 * index] for index in range(components)]
            frame = marker, width, height, [max(1, each >> 4) * max(1, each & 15) for each in samplings]
        elif marker in _OTHER_FRAMES:
            raise ImageError(
                "a lossless, hierarchical or arithmetic-coded JPEG image; only baseline and progressive are read"
            )
        scans += marker == _SOS
    if frame is None:
        raise ImageError("the image is incomplete")
    marker, width, height, areas = frame
    is_buffered = marker == _PROGRESSIVE or scans > 1
    coefficients = width * height * sum(areas) // max(areas, default=1) * is_buffered
    return ImageHeader("JPEG", width, height, _COEFFICIENT_BYTES * coefficients, max(1, scans))


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment, and the position of its content, as libjpeg finds them."""
    position = 2
    while position + 2 <= len(content):
        if content[position] != 0xFF:
            raise ImageError("the JPEG image is damaged")
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker == _EOI:
            return
        length = 0
        if marker not in _MARKERS_WITHOUT_LENGTH:
            if position + 4 > len(content):
                return
            (length,) = struct.unpack_from(">H", content, position + 2)
            if length < 2:
                raise ImageError("the JPEG image is damaged")
        yield marker, position + 4
        position += 2 + length
        if marker == _SOS:
            end = _END_OF_SCAN.search(content, position)
            if end is None:
                return
            position = end.start()


def _read_png(content: bytes) -> ImageHeader:
    """Check the length of every chunk: OpenCV allocates as much as one states, up to 2 GB."""
    if content[12:16] != b"IHDR":
        raise ImageError("the PNG image is damaged")
    width, height = struct.unpack_from(">II", content, 16)
    position, kind, is_animated = 8, b"", False
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, position)
        position += 12 + length
        if position > len(content):
            raise ImageError("the image is incomplete")
        is_animated |= kind == b"acTL"
    # An animated PNG is composed in two further images of four bytes a pixel.
    return ImageHeader("PNG", width, height, 9 * width * height * is_animated)


def _read_webp(content: bytes) -> ImageHeader:
    """Read one of the three forms of the WebP Container Specification."""
    kind = content[12:16]
    frames = 1
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        frames += 2 * (content[20] >> 1 & 1)  # an animation is composed in two further images
        if len(content) < 30:
            raise IndexError
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    else:
        raise ImageError("the WebP image is damaged")
    return ImageHeader("WebP", width, height, 4 * width * height * frames)


def _read_bmp(content: bytes) -> ImageHeader:
    (header_bytes,) = struct.unpack_from("<I", content, 14)
    if header_bytes == 12:  # of OS/2
        width, height = struct.unpack_from("<HH", content, 18)
    else:
        width, height = (abs(side) for side in struct.unpack_from("<ii", content, 18))
    return ImageHeader("BMP", width, height)


def _read_tiff(content: bytes) -> ImageHeader:
    """Read the first image file directory, TIFF 6.0 section 2."""
    order = "<" if content.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, directory)
    if count > _MAX_TIFF_ENTRIES:
        raise ImageError("the TIFF image is damaged")
    values: dict[int, int] = {}
    for place in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", content, place)
        if kind in _TIFF_TYPES:
            size = struct.calcsize(_TIFF_TYPES[kind])
            at = place + 8 if length * size <= 4 else struct.unpack_from(f"{order}I", content, place + 8)[0]
            values.setdefault(tag, *struct.unpack_from(f"{order}{_TIFF_TYPES[kind]}", content, at))
    if not {256, 257} <= values.keys():
        raise ImageError("the TIFF image is damaged")
    width, height, bits, samples = values[256], values[257], values.get(258, 1), values.get(277, 1)
    compression = values.get(259, 1)
    if compression not in _TIFF_COMPRESSIONS or not (bits in (1, 2, 4, 8, 16, 32, 64) and 1 <= samples <= 4):
        raise ImageError(f"a TIFF image of compression {compression}, {samples} x {bits} bits, which is not read")
    # A strip or tile, which may be the whole image, is decoded in its own bits, and then converted to RGBA.
    area = max(width * height, values.get(322, 0) * values.get(323, 0))
    return ImageHeader("TIFF", width, height, area * (4 + max(1, samples * bits // 8)))


def _read_pnm(content: bytes) -> ImageHeader:
    found = _PNM.match(content)
    assert found is not None
    return ImageHeader("PNM", int(found[1]), int(found[2]))


def _read_gif(content: bytes) -> ImageHeader:
    """Read the logical screen; the first image is drawn on it in four bytes a pixel."""
    width, height = struct.unpack_from("<HH", content, 6)
    return ImageHeader("GIF", width, height, 8 * width * height)


def _read_avif(content: bytes) -> ImageHeader:
    header = read_avif_header(content)
    # Three components of up to 16 bits in each stream, and in the image that tiles make up.
    buffer_bytes = 6 * (header.stream_pixels + header.width * header.height)
    return ImageHeader("AVIF", header.width, header.height, buffer_bytes, 1, header.quarter_turns, header.flip)


_READERS: dict[str, Callable[[bytes], ImageHeader]] = {
    "JPEG": _read_jpeg,
    "PNG": _read_png,
    "WebP": _read_webp,
    "TIFF": _read_tiff,
    "BMP": _read_bmp,
    "PNM": _read_pnm,
    "GIF": _read_gif,
    "AVIF": _read_avif,
}
