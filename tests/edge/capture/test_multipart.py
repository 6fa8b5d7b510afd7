"""The images of a Motion JPEG stream are found, also where a camera deviates from the standard, within limits."""

import pytest

from edge.capture import multipart
from edge.capture.multipart import MultipartReader
from edge.errors import CameraError

IMAGES = [b"first\r\n--", b"\n--second", b"3"]


def read(stream: bytes, count: int, *, boundary: bytes = b"frame", chunk: int = 1_000_000) -> list[bytes]:
    """Return `count` parts of `stream`, which arrives in chunks of `chunk` bytes."""
    chunks = iter([stream[start : start + chunk] for start in range(0, len(stream), chunk)])
    reader = MultipartReader(lambda: next(chunks, b""), boundary)
    return [reader.read_part() for _ in range(count)]


def make_stream(*, line_end: bytes = b"\r\n", length: bool = True, between: bytes = b"\r\n") -> bytes:
    parts = []
    for image in IMAGES:
        headers = [b"Content-Type: image/jpeg", *([b"content-LENGTH:%d" % len(image)] if length else [])]
        parts.append(line_end.join([b"--frame", *headers, b"", image]))
    return between.join([*parts, b"--frame--"])


@pytest.mark.parametrize("chunk", [1, 7, 1_000_000])
@pytest.mark.parametrize(
    "stream",
    [
        make_stream(),
        make_stream(length=False),
        make_stream(line_end=b"\n", between=b"\n"),
        make_stream(between=b""),  # no line break after an image
        b"preamble\r\n" + make_stream(),
    ],
)
def test_all_images_are_found_however_they_arrive(stream, chunk):
    assert read(stream, 3, chunk=chunk) == IMAGES


def test_a_boundary_may_be_stated_with_its_dashes():
    assert read(make_stream(), 3, boundary=b"--frame") == IMAGES


def test_an_image_may_have_no_headers():
    assert read(b"--frame\r\n\r\nimage\r\n--frame", 1) == [b"image"]


@pytest.mark.parametrize(
    ("stream", "boundary", "message"),
    [
        (b"--frame\r\n", b"", "no boundary"),
        (b"--frame\r\n", b"--", "no boundary"),
        (make_stream() + b"\r\n", b"frame", "ended its stream"),
        (b"x" * 10_000, b"frame", "no boundary between images: none in 8,192"),
        (b"--frame\r\n" + b"a: b\r\n" * 2000, b"frame", "8,192 bytes of headers"),
        (b"--frame\r\ncontent-length: 99999999\r\n\r\n", b"frame", "an image of 99,999,999 bytes"),
    ],
)
def test_what_is_no_stream_of_images_is_refused(stream, boundary, message):
    with pytest.raises(CameraError, match=message):
        read(stream, 4, boundary=boundary, chunk=1000)


def test_an_image_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(multipart, "MAX_IMAGE_BYTES", 1000)
    with pytest.raises(CameraError, match="an image without end: none in 1,000 bytes"):
        read(b"--frame\r\n\r\n" + b"x" * 3000, 1, chunk=100)
