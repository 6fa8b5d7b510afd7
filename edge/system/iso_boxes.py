"""Reads the boxes of the ISO base media file format, ISO/IEC 14496-12: of MP4, MOV, HEIC and AVIF files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MAX_BOXES = 1000  # in one box; more are not read
MAX_BRANDS = 32
_FULL_BOX_BYTES = 4  # version and flags


class IsoBox(NamedTuple):
    """A box, and where its content lies in the file."""

    kind: str  # four characters
    start: int  # bytes
    end: int  # bytes

    def read(self, file: BinaryIO, max_bytes: int) -> bytes:
        """Return the first bytes of the content."""
        file.seek(self.start)
        return file.read(max(0, min(max_bytes, self.end - self.start)))


def read_brands(head: bytes) -> list[str]:
    """Return the brands of the file that begins with `head`, the major one first; [] if it has none."""
    if head[4:8] != b"ftyp" or len(head) < 16:
        return []
    end = min(len(head), int.from_bytes(head[:4]), 16 + 4 * MAX_BRANDS)
    return [head[at : at + 4].decode("latin-1") for at in (8, *range(16, end - 3, 4))]


def read_boxes(file: BinaryIO, start: int, end: int) -> Iterator[IsoBox]:
    """Yield the boxes between two positions of `file`; the last one may reach beyond the file's end."""
    for _ in range(MAX_BOXES):
        file.seek(start)
        head = file.read(min(16, max(0, end - start)))
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        header = 8
        if size == 1 and len(head) == 16:
            size, header = int.from_bytes(head[8:]), 16
        size = size or end - start  # 0: up to the end
        if size < header:
            return
        yield IsoBox(kind.decode("latin-1"), start + header, min(start + size, end))
        start += size


def find_boxes(file: BinaryIO, path: str, start: int, end: int) -> Iterator[IsoBox]:
    """Yield the boxes at `path`, such as "moov/trak/mdia", between two positions of `file`.

    `meta` counts as a full box, as in images.
    """
    kind, _, rest = path.partition("/")
    for box in read_boxes(file, start, end):
        if box.kind != kind:
            continue
        if rest:
            yield from find_boxes(file, rest, box.start + _FULL_BOX_BYTES * (kind == "meta"), box.end)
        else:
            yield box
