"""Names the container and the codec of a video that cannot be decoded, from the file's header."""

from __future__ import annotations

import os
import re
import shlex
import string
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge.system.iso_boxes import find_boxes, read_boxes
from edge.system.paths import display_name

HEAD_BYTES = 65_536  # in which Matroska and AVI name their codecs
MAX_TRACKS = 100

_MATROSKA, _IVF = b"\x1aE\xdf\xa3", b"DKIF"
_CONTAINERS = {
    _MATROSKA: "Matroska or WebM file",
    b"FLV\x01": "FLV file",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "ASF or WMV file",
    b"OggS": "Ogg file",
    b"\0\0\1\xba": "MPEG program stream",
    b"\0\0\1\xb3": "MPEG video stream",
    b".RMF": "RealMedia file",
    b"\x06\x0e\x2b\x34": "MXF file",
    _IVF: "IVF file",
}
_NOT_VIDEOS = {
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"<": "a web page or another text",
    b"ID3": "an MP3 file",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
}
# Codes of video codecs, as registered at mp4ra.org, and of AVI.
_CODECS = {
    **dict.fromkeys(("avc1", "avc3", "H264", "h264", "X264"), "H.264"),
    **dict.fromkeys(("hvc1", "hev1", "HEVC"), "H.265"),
    **dict.fromkeys(("vvc1", "vvi1"), "H.266"),
    **dict.fromkeys(("dvh1", "dvhe", "dva1", "dvav", "dav1"), "Dolby Vision"),
    **dict.fromkeys(("apch", "apcn", "apcs", "apco", "ap4h", "ap4x"), "ProRes"),
    "apv1": "APV",
    "av01": "AV1",
    "AV01": "AV1",
    "vp08": "VP8",
    "vp09": "VP9",
    "mp4v": "MPEG-4 Visual",
    "evc1": "EVC",
    "encv": "encrypted",
}
_MATROSKA_CODEC = re.compile(rb"\x86[\x80-\xff](V_[A-Z0-9_/]{1,40})")  # element CodecID
_CODE_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_-./ ")
_ISO_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # with one of them an MP4 or MOV file begins
_SYNC_BYTE = b"G"  # of each packet of an MPEG transport stream, ISO/IEC 13818-1


@dataclass(frozen=True, slots=True)
class VideoHeader:
    """What a file is by its header. All are empty if it is of no known format."""

    container: str = ""  # such as "MP4 or MOV file"
    codec: str = ""  # such as "H.265 (hvc1)"; empty if the header does not tell it easily
    problem: str = ""  # why no decoder can read it


def explain_undecodable(path: Path) -> str:
    """Return what the file at `path` is by its header, and what to do: one line without a period."""
    try:
        with path.open("rb") as file:
            header = read_video_header(file)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if header.problem:
        return header.problem
    if not header.container:
        return "not of a known video format; check that it is a complete video file"
    codec = f" with {header.codec} video" if header.codec else ""
    # With the folder, since FFmpeg takes `12:30:00.mp4` for a protocol.
    source, target = (
        shlex.quote(display_name(f"{path.parent}/{name}")) for name in (path.name, f"{path.stem}-h264.mp4")
    )
    return (
        f"{header.container}{codec}; if other programs play it, convert it: "
        f"ffmpeg -i {source} -c:v libx264 -pix_fmt yuv420p {target}"
    )


def read_video_header(file: BinaryIO) -> VideoHeader:
    """Return what `file` is. Reads its first 64 kB, and of MP4 and MOV files some hundred bytes of the index."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        return VideoHeader(problem="the file is empty")
    if head[4:8] in _ISO_BOXES:
        return _read_iso(file)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        stream = head.find(b"vids")
        return VideoHeader("AVI file", _name_codec(head[stream + 4 : stream + 8] if stream > 0 else b""))
    # A packet has 188 bytes; cameras put a time stamp of 4 bytes before each one.
    if any(head[at : at + 1] == head[at + step : at + step + 1] == _SYNC_BYTE for at, step in ((0, 188), (4, 192))):
        return VideoHeader("MPEG transport stream")
    return _find_signature(head)


def _find_signature(head: bytes) -> VideoHeader:
    for signature, name in _CONTAINERS.items():
        if head.startswith(signature):
            found = _MATROSKA_CODEC.search(head) if signature == _MATROSKA else None
            code = found[1] if found else head[8:12] if signature == _IVF else b""
            return VideoHeader(name, _name_codec(code))
    for signature, name in _NOT_VIDEOS.items():
        if head.startswith(signature):
            return VideoHeader(problem=f"{name}; name a video, an image or a folder of images")
    return VideoHeader()


def _read_iso(file: BinaryIO) -> VideoHeader:
    """Find the codec of the first video track of an MP4 or MOV file."""
    size = file.seek(0, os.SEEK_END)
    name = "MP4 or MOV file"
    if not any(box.kind == "moov" for box in read_boxes(file, 0, size)):
        return VideoHeader(name, problem=f"{name} without its index (moov): incomplete, or its recording was cut off")
    for _, media in zip(range(MAX_TRACKS), find_boxes(file, "moov/trak/mdia", 0, size), strict=False):
        handlers = [box.read(file, 12)[8:] for box in find_boxes(file, "hdlr", media.start, media.end)]
        for table in find_boxes(file, "minf/stbl/stsd", media.start, media.end):
            if b"vide" in handlers:
                return VideoHeader(name, _name_codec(table.read(file, 16)[12:]))
    return VideoHeader(name, problem=f"{name} without a video track")


def _name_codec(code: bytes) -> str:
    """Return a code as "H.265 (hvc1)"; empty if it holds anything but the characters of codes."""
    text = code.decode("latin-1")
    if not text.strip() or not set(text) <= _CODE_CHARACTERS:
        return ""
    return f"{_CODECS[text]} ({text})" if text in _CODECS else text
