"""A video that cannot be decoded is named by container and codec, with the command that converts it."""

import io

import cv2
import numpy as np
import pytest

from edge.system.video_header import VideoHeader, explain_undecodable, read_video_header
from tests.support.video_files import box, mp4, track


def read(content: bytes) -> VideoHeader:
    return read_video_header(io.BytesIO(content))


@pytest.mark.parametrize(
    ("code", "codec"),
    [(b"hvc1", "H.265 (hvc1)"), (b"av01", "AV1 (av01)"), (b"encv", "encrypted (encv)"), (b"zzz9", "zzz9")],
)
def test_mp4_is_named_with_its_codec(code, codec):
    assert read(mp4(track(b"soun", b"mp4a"), track(b"vide", code))) == VideoHeader("MP4 or MOV file", codec)


def test_codec_is_found_in_files_of_opencv(tmp_path):
    for name, code in (("a.mp4", "mp4v"), ("a.avi", "MJPG")):
        writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter.fourcc(*code), 10, (64, 48))
        writer.write(np.zeros((48, 64, 3), np.uint8))
        writer.release()
        header = read((tmp_path / name).read_bytes())
        assert code in header.codec
        assert name[-3:].upper() in header.container


@pytest.mark.parametrize(
    ("content", "container", "codec"),
    [
        (
            b"\x1aE\xdf\xa3" + bytes(50) + b"\x86\x8fV_MPEGI/ISO/VVC" + bytes(9),
            "Matroska or WebM file",
            "V_MPEGI/ISO/VVC",
        ),
        (b"DKIF\0\0\x20\0AV01" + bytes(20), "IVF file", "AV1 (AV01)"),
        ((b"G" + bytes(187)) * 3, "MPEG transport stream", ""),
        (bytes(4) + (b"G" + bytes(191)) * 3, "MPEG transport stream", ""),
        (b".RMF" + bytes(20), "RealMedia file", ""),
        (b"RIFF....AVI LIST....strlstrh\x38\0\0\0vids\x1b[2J" + bytes(20), "AVI file", ""),
    ],
)
def test_other_containers_are_named(content, container, codec):
    assert read(content) == VideoHeader(container, codec)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (mp4()[: 20 + 1000], "without its index (moov)"),
        (mp4(track(b"soun", b"mp4a")), "without a video track"),
        (b"PK\3\4" + bytes(50), "a ZIP archive"),
        (b"<!DOCTYPE html>", "a web page"),
    ],
)
def test_file_that_no_program_plays_has_its_reason(tmp_path, content, words):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    explanation = explain_undecodable(path)
    assert words in explanation
    assert "ffmpeg" not in explanation


def test_command_converts_the_named_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my 12:30.mkv"
    path.write_bytes(mp4(track(b"vide", b"vvc1")))
    explanation = explain_undecodable(path.relative_to(tmp_path))
    assert explanation.startswith("MP4 or MOV file with H.266 (vvc1) video; ")
    assert "ffmpeg -i './my 12:30.mkv' -c:v libx264 -pix_fmt yuv420p './my 12:30-h264.mp4'" in explanation


def test_unknown_content_is_said_to_be_unknown(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\7nothing that is known" * 50)
    assert "not of a known video format" in explain_undecodable(tmp_path / "a.mp4")


def test_boxes_without_end_are_bounded():
    nested = b""
    for _ in range(20):
        nested = box(b"trak", nested, nested) if len(nested) < 100_000 else nested
    assert read(box(b"ftyp", bytes(8)) + box(b"moov", nested, *[box(b"trak")] * 5000)).problem
    assert read(b"\0\0\0\1ftyp" + bytes(8)).problem
