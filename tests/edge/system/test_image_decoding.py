"""What an image costs is known before it is decoded; what costs too much, or is not known, is refused."""

import io
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from edge.errors import ImageError
from edge.system import image_decoding
from edge.system.image_decoding import decode_image
from edge.system.image_header import read_header
from tests.support.image_files import encode, jpeg_in_scans, tiff_header
from tests.support.video_files import box


def png_header(width: int, height: int) -> bytes:
    """Return a PNG without pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def avif_header(width: int, height: int) -> bytes:
    """Return an AVIF without pixels, of one item with a size."""
    size = box(b"ispe", struct.pack(">III", 0, width, height))
    meta = box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", size)))
    return box(b"ftyp", b"avif\0\0\0\0avifmif1") + meta


def opencv_lacks(kind: str) -> bool:
    return re.search(rf"\b{kind}: +NO\b", cv2.getBuildInformation()) is not None


@pytest.fixture(scope="module")
def image(portrait):
    return np.ascontiguousarray(portrait[:300])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".ppm", ".pgm"])
def test_each_format_is_decoded_as_opencv_does(image, suffix):
    content = cv2.imencode(suffix, image if suffix != ".pgm" else image[..., 0])[1].tobytes()
    header = read_header(content)
    assert (header.width, header.height, header.scans) == (512, 300, 1)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert expected is not None
    assert np.array_equal(decode_image(content), expected)


@pytest.mark.parametrize(
    ("kind", "options", "scans", "buffer_bytes"),
    [
        ("JPEG", {}, 1, 0),
        ("JPEG", {"progressive": True, "subsampling": 0}, 10, 6 * 512 * 300),
        ("JPEG", {"progressive": True, "subsampling": 2}, 10, 3 * 512 * 300),
        ("PNG", {}, 1, 0),
        ("WEBP", {}, 1, 4 * 512 * 300),
        ("WEBP", {"lossless": True}, 1, 4 * 512 * 300),
        ("WEBP", {"exif": Image.Exif().tobytes()}, 1, 4 * 512 * 300),
        ("TIFF", {"compression": "tiff_lzw"}, 1, 7 * 512 * 300),
    ],
)
def test_header_tells_size_scans_and_memory(image, kind, options, scans, buffer_bytes):
    header = read_header(encode(image, kind, **options))
    assert (header.width, header.height) == (512, 300)
    assert (header.scans, header.buffer_bytes) == (scans, buffer_bytes)


def test_thumbnail_inside_a_jpeg_is_no_scan(image):
    thumbnail = encode(image[:60, :60], "JPEG")
    content = encode(image, "JPEG", exif=b"Exif\0\0" + thumbnail)
    assert thumbnail in content
    header = read_header(content)
    assert (header.width, header.height, header.scans) == (512, 300, 1)


def test_animation_needs_memory_for_its_frames(image):
    frames = {"save_all": True, "append_images": [Image.fromarray(image[..., ::-1]).rotate(90)]}
    assert read_header(encode(image, "PNG", **frames)).buffer_bytes == 9 * 512 * 300
    assert read_header(encode(image, "WEBP", **frames)).buffer_bytes == 12 * 512 * 300


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png_header(40_000, 40_000), "the PNG image has 40000 x 40000 pixels; the limit for this kind is 50 million"),
        (png_header(0, 100), "0 x 100 pixels"),
        (png_header(100, 100), "the PNG image is damaged: it cannot be decoded"),
        (png_header(80, 48)[:33] + b"\x40\0\x20\0IDAT" + bytes(500), "incomplete"),  # OpenCV allocates the 1 GB
        (jpeg_in_scans(8900, 3), "8900 x 8900 pixels; the limit for this kind is 33.3 million"),
        (jpeg_in_scans(2000, 61), "in 61 scans; a photo has about 10"),
        (jpeg_in_scans(4000, 16), "in 16 scans"),
        (tiff_header(100, 100, compression=34712), "a TIFF image of compression 34712"),
        (tiff_header(30_000, 30_000), "the TIFF image has 30000 x 30000 pixels"),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, 30_000, -30_000), "30000 x 30000 pixels"),
        (b"P6 # comment\n 30000\n30000 255\n", "30000 x 30000 pixels"),
        (b"RIFF....WEBPVP8X" + bytes(8) + b"\xff" * 6, "16777216 x 16777216 pixels"),
        (b"GIF89a" + struct.pack("<HH", 60_000, 60_000), "the GIF image has 60000 x 60000 pixels"),
        (avif_header(30_000, 20_000), "the AVIF image has 30000 x 20000 pixels"),
        (b"\0\0\0\x20ftypavif" + bytes(100), "the AVIF image is damaged"),
        (b"\0\0\0\x18ftypavis\0\0\0\0avismif1", "animated AVIF images are not read; convert it to JPEG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC images are not read; convert it to JPEG"),
        (b"\xff\x0a" + bytes(50), "JPEG XL images are not read"),
        (b"", "not a JPEG, PNG, WebP, TIFF, BMP, PNM, GIF or AVIF image"),
        (b"\xff\xd8\xff", "incomplete"),
        (b"\xff\xd8" + bytes(100), "damaged"),
        (b"\xff\xd8\xff\xe0\0\1", "damaged"),
        (b"\xff\xd8\xff\xc9\0\x0b\x08\0\x10\0\x10\1\1\x11\0", "arithmetic-coded"),
        (b"\xff\xd8\xff\xc1\0\x0b\x0c\0\x10\0\x10\1\1\x11\0", "12 bits"),
    ],
)
def test_costly_or_unknown_image_is_refused_before_decoding(monkeypatch, content, words):
    if "cannot be decoded" not in words:
        monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageError) as raised:
        decode_image(content)
    assert words in str(raised.value)


def test_limits_are_the_callers(image):
    content = encode(image, "PNG")
    with pytest.raises(ImageError, match=r"limit for this kind is 0.1 million"):
        decode_image(content, 100_000)
    with pytest.raises(ImageError, match=r"limit for this kind is 0.0833 million"):
        decode_image(content, max_bytes=500_000)
    with pytest.raises(ImageError, match=r"^not a JPEG or WebP image"):
        decode_image(content, formats=("JPEG", "WebP"))


def test_image_is_downscaled_to_the_longest_side(image):
    large = cv2.resize(image, (2048, 1200))
    for suffix in (".jpg", ".png"):
        content = cv2.imencode(suffix, large)[1].tobytes()
        assert decode_image(content, max_side=300).shape == (176, 300, 3)
        assert decode_image(content, max_side=4000).shape == (1200, 2048, 3)


def test_downscaling_jpeg_needs_memory_for_the_small_image_only(image):
    content = encode(cv2.resize(image, (2048, 1200)), "JPEG")
    assert decode_image(content, max_side=256, max_bytes=150_000).shape == (150, 256, 3)
    with pytest.raises(ImageError, match="limit for this kind"):
        decode_image(content, max_bytes=150_000)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "AVIF"])
def test_orientation_turns_the_image_upright(image, kind, orientation):
    if kind != "JPEG" and opencv_lacks("AVIF"):
        pytest.skip("OpenCV 4.11 reads the EXIF orientation of JPEG only, and no AVIF")
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(image[:60, :90], kind, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))[..., ::-1]
    decoded = decode_image(content)
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).mean() < 2


def test_avif_stream_that_is_larger_than_stated_is_refused():
    content = bytearray(encode(np.zeros((4000, 6000, 3), np.uint8), "AVIF", speed=10))
    at = content.index(b"ispe") + 8
    content[at : at + 8] = struct.pack(">II", 64, 64)
    with pytest.raises(
        ImageError, match="the AVIF image has 6000 x 4000 pixels; the limit for this kind is 20 million"
    ):
        decode_image(bytes(content))


def test_avif_whose_stream_states_no_single_size_is_refused(image):
    content = bytearray(encode(image, "AVIF", speed=10))
    at = content.index(b"mdat\x12\0\x0a") + 8  # the header of the sequence, after a delimiter
    content[at] &= ~8  # no reduced_still_picture_header
    with pytest.raises(ImageError, match="in a way that is not read; convert it to JPEG"):
        decode_image(bytes(content))


def test_gif_is_its_first_image(image):
    if opencv_lacks("GIF"):
        pytest.skip("OpenCV 4.11 reads no GIF")
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - image)]}
    decoded = decode_image(encode(image, "GIF", **frames))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < 10


@pytest.mark.parametrize("kind", ["GIF", "AVIF"])
def test_format_that_opencv_was_built_without_is_named(image, kind, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    AVIF:     NO\n    GIF:     NO\n")
    with pytest.raises(ImageError, match=rf"OpenCV 4\.\S+ reads no {kind} images; convert it to JPEG"):
        decode_image(encode(image, kind))


def test_decoder_prints_nothing(image, capfd):
    damaged = bytearray(encode(image, "PNG"))
    damaged[-40:-20] = bytes(20)
    for content in (bytes(damaged), encode(image, "JPEG")[:5000], encode(image, "TIFF")[:5000]):
        try:
            decode_image(content)
        except ImageError as error:
            assert "damaged" in str(error) or "incomplete" in str(error)  # noqa: PT017 (some decode in part)
    assert capfd.readouterr() == ("", "")


def test_photo_of_usual_programs_is_within_the_limits():
    for pixels, scans in ((16_000_000, 10), (3_000_000, 60)):
        assert scans <= image_decoding.MAX_SCANS
        assert pixels * scans <= image_decoding.MAX_SCANNED_PIXELS
