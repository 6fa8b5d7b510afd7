"""Boxes of MP4, HEIC and AVIF files, and MP4 files that have only their index."""

from __future__ import annotations

import struct


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box of the ISO base media file format."""
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def track(handler: bytes, code: bytes) -> bytes:
    """Return a track of an MP4 file without samples."""
    table = box(b"stsd", struct.pack(">II", 0, 1), box(code, bytes(78)))
    handling = box(b"hdlr", bytes(8), handler, bytes(12))
    return box(b"trak", box(b"tkhd", bytes(84)), box(b"mdia", handling, box(b"minf", box(b"stbl", table))))


def mp4(*tracks: bytes) -> bytes:
    """Return an MP4 file of these tracks, its index last."""
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"mdat", bytes(3000)) + box(b"moov", *tracks)
