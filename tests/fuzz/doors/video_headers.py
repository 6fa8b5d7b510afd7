"""Headers of videos that cannot be decoded."""

from __future__ import annotations

import io

from edge.errors import CameraError
from edge.system.video_header import read_video_header
from tests.fuzz.door import Door
from tests.support.video_files import mp4, track


def seeds() -> list[bytes]:
    return [
        mp4(track(b"soun", b"mp4a"), track(b"vide", b"hvc1")),
        b"\x1aE\xdf\xa3" + bytes(50) + b"\x86\x8fV_MPEGI/ISO/VVC" + bytes(50),
        b"RIFF\0\1\0\0AVI LIST\0\1\0\0hdrlstrh\x38\0\0\0vidszzz9" + bytes(50),
        (b"G" + bytes(187)) * 2,
        b"DKIF\0\0\x20\0AV01" + bytes(50),
    ]


def receive(content: bytes) -> None:
    header = read_video_header(io.BytesIO(content))
    text = f"{header.container}{header.codec}{header.problem}"
    assert text.isprintable()
    assert len(text) < 200
    if not header.container or header.problem:
        raise CameraError(header.problem)


DOOR = Door(
    seeds,
    receive,
    tokens=(b"ftyp", b"moov", b"trak", b"mdia", b"hdlr", b"vide", b"stsd", b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\x08"),
    test_inputs=1500,
    campaign_inputs=50_000,
)
