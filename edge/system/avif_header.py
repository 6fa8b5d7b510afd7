"""Reads how large the images in an AVIF file decode: what the file states, and what its AV1 streams state themselves.

The decoder allocates what a stream states, up to 268 million pixels, whatever the file says about it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edge.errors import ImageError
from edge.system.iso_boxes import find_boxes

_MAX_ITEMS = 500  # tiles, masks, thumbnails and metadata
_MAX_UNITS = 1000  # of an item
_SEQUENCE_HEADER = 1  # type of an open bitstream unit (OBU), AV1 specification section 6.2.2
_NOT_READ = "the AVIF image is laid out in a way that is not read; convert it to JPEG"


@dataclass(frozen=True, slots=True)
class AvifHeader:
    """The largest image of the file, and how it is turned upright."""

    width: int  # pixels
    height: int  # pixels
    stream_pixels: int  # of all AV1 streams together: tiles, mask, thumbnails
    quarter_turns: int  # counterclockwise
    flip: int | None  # after the turn: 0 exchanges top and bottom, 1 left and right


def read_avif_header(content: bytes) -> AvifHeader:
    """Return the header of an AVIF file, ISO/IEC 23008-12. Raises ImageError, struct.error or IndexError."""
    file = io.BytesIO(content)

    def properties(kind: str) -> list[bytes]:
        return [box.read(file, 12) for box in find_boxes(file, f"meta/iprp/ipco/{kind}", 0, len(content))]

    sizes: list[tuple[int, int]] = [struct.unpack_from(">II", each, 4) for each in properties("ispe")]
    if not sizes:
        raise ImageError("the AVIF image is damaged")
    streams = [size for item in _av1_items(content) for size in _stream_sizes(item)]
    sizes += streams
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    turns = [each[0] & 3 for each in properties("irot")]
    flips = [each[0] & 1 for each in properties("imir")]
    stream_pixels = sum(width * height for width, height in streams)
    return AvifHeader(width, height, stream_pixels, turns[0] if turns else 0, flips[0] if flips else None)


def _av1_items(content: bytes) -> Iterator[bytes]:
    """Yield the content of each item of the type `av01`."""
    file = io.BytesIO(content)
    ids = set()
    for box in find_boxes(file, "meta/iinf", 0, len(content)):
        is_long = content[box.start] > 0  # version 0 counts in 16 bits
        if int.from_bytes(content[box.start + 4 :][: 4 if is_long else 2]) > _MAX_ITEMS:
            raise ImageError(_NOT_READ)
        for entry in find_boxes(file, "infe", box.start + (8 if is_long else 6), box.end):
            id_bytes = 4 if content[entry.start] == 3 else 2
            if content[entry.start + 6 + id_bytes :][:4] == b"av01":
                ids.add(int.from_bytes(content[entry.start + 4 :][:id_bytes]))
    for box in find_boxes(file, "meta/iloc", 0, len(content)):
        for number, method, extents in _locations(content, box.start):
            if number in ids:
                # Parts that overlap could be many times as large as the file.
                if method or sum(length or len(content) for _, length in extents) > len(content):
                    raise ImageError(_NOT_READ)
                yield b"".join(content[start : start + length if length else None] for start, length in extents)


def _locations(content: bytes, start: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield number, construction method, and positions and lengths in bytes of the parts of each item in a box `iloc`.

    The positions are those in the file if the construction method is 0.
    """
    file = io.BytesIO(content)
    file.seek(start)

    def number(size: int) -> int:
        return int.from_bytes(file.read(size))

    version = number(4) >> 24
    sizes = number(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    count = number(wide)
    if count > _MAX_ITEMS:
        raise ImageError(_NOT_READ)
    for _ in range(count):
        item = number(wide)
        method = number(2) & 15 if version in {1, 2} else 0
        number(2)  # data reference: of this file
        base = number(base_bytes)
        extents = []
        extent_count = number(2)
        if extent_count > _MAX_ITEMS:
            raise ImageError(_NOT_READ)
        for _ in range(extent_count):
            number(index_bytes if version in {1, 2} else 0)
            extents.append((base + number(offset_bytes), number(length_bytes)))
        yield item, method, extents


def _stream_sizes(stream: bytes) -> Iterator[tuple[int, int]]:
    """Yield the width and the height in pixels of each sequence header in an AV1 stream."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(stream):
            return
        head = stream[at]
        at += 2 if head & 4 else 1  # with an extension
        size = 0
        if head & 2:  # the size follows, as LEB128
            for shift in range(0, 56, 7):
                size |= (stream[at] & 127) << shift
                at += 1
                if not stream[at - 1] & 128:
                    break
        else:
            size = len(stream) - at
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            yield _sequence_size(stream[at : at + size])
        at += size
    raise ImageError(_NOT_READ)


def _sequence_size(unit: bytes) -> tuple[int, int]:
    """Return the largest width and height in pixels that a sequence header allows, section 5.5.1.

    Only headers of still images are read: in others each frame can have a size of its own.
    """
    bits = int.from_bytes(unit[:32].ljust(32, b"\0"))

    def field(start: int, count: int) -> int:
        return bits >> 256 - start - count & (1 << count) - 1

    if not field(4, 1):  # reduced_still_picture_header, after the profile and still_picture
        raise ImageError(_NOT_READ)
    width_bits, height_bits = field(10, 4) + 1, field(14, 4) + 1
    return field(18, width_bits) + 1, field(18 + width_bits, height_bits) + 1
