"""Images of every format that a trainer meets are read, or refused in one line that says what to do."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, features

from tests.support import faces
from tests.trainer.data.formats import TINY
from trainer.data.image_decoding import decode_gray
from trainer.data.loader import load_dataset
from trainer.errors import DataError

GRAY = np.kron(TINY.faces[0], np.ones((2, 2), np.uint8))  # (96, 96)


def encode(kind, image=None, **options):
    """Return `image`, else GRAY, as Pillow writes it in the format `kind`."""
    file = io.BytesIO()
    (image or Image.fromarray(GRAY)).save(file, kind, **options)
    return file.getvalue()


def png_header(width, height):
    """Return a PNG of this size without pixels."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM", "GIF", "AVIF"])
def test_formats_are_decoded(kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow is built without AVIF")
    found = decode_gray(encode(kind))
    assert (found.shape, found.dtype.name) == ((96, 96), "uint8")
    assert np.abs(found.astype(int) - GRAY).mean() < 8  # some formats are lossy


def test_of_an_animated_gif_the_first_frame_is_read():
    black = Image.new("L", GRAY.shape)
    content = encode("GIF", save_all=True, append_images=[black, black])
    assert np.array_equal(decode_gray(content), decode_gray(encode("GIF")))


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_image_is_turned_upright_as_its_exif_says(kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    lying = Image.fromarray(GRAY).transpose(Image.Transpose.ROTATE_90)
    found = decode_gray(encode(kind, lying, exif=exif.tobytes()))
    assert np.abs(found.astype(int) - GRAY).mean() < 8


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", "", ".image", ".JPG_large"])
@pytest.mark.parametrize("in_archive", [None, "zip", "tar"])
def test_images_are_known_by_suffix_or_content(suffix, in_archive, tmp_path):
    files = {f"happy/1{suffix}": encode("JPEG"), "sad/1.gif": encode("GIF"), "sad/2": encode("GIF")}
    writers = {None: faces.write_folder, "zip": faces.write_zip, "tar": faces.write_tar}
    found = load_dataset(writers[in_archive](tmp_path / f"data.{in_archive}", files))
    assert found.counts() == {"happy": 1, "sad": 2}


def gif_header(width, height):
    """Return a GIF that says it has this size."""
    content = encode("GIF")
    return content[:6] + struct.pack("<HH", width, height) + content[10:]


@pytest.mark.parametrize(("write", "side"), [(png_header, 40_000), (png_header, 2**31 - 1), (gif_header, 65_535)])
def test_too_many_pixels_are_refused_before_decoding(write, side):
    with pytest.raises(DataError, match=f"{side} x {side} pixels; the limit .* million|exceeds limit|dimensions"):
        decode_gray(write(side, side))


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_heic_without_its_package_names_it(monkeypatch, load_error, tmp_path):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    folder = faces.write_folder(tmp_path, {"happy/1.png": encode("PNG"), "sad/1.heic": HEIC})
    message = load_error(folder)
    assert message.startswith(f"{folder}/sad/1.heic: is HEIC")
    assert "pip install pillow-heif" in message


def test_heic_is_read_with_its_package():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    assert np.abs(decode_gray(encode("HEIF")).astype(int) - GRAY).mean() < 8


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff\xe0", HEIC[:20], b"II*\0" + b"\xff" * 40])
def test_damaged_image_is_a_data_error(content):
    with pytest.raises(DataError, match=r"^[^\n]+$"):
        decode_gray(content)
