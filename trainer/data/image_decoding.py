"""Decodes images of a data set: as the device does, and with Pillow the formats that it lacks."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edge.config.image_formats import READ_IMAGE_SUFFIXES
from edge.errors import ImageError
from edge.system.image_decoding import MAX_IMAGE_PIXELS, decode_image
from trainer.errors import DataError

# Of images whose suffix says what they are. Others are recognized by their first bytes.
READ_SUFFIXES = READ_IMAGE_SUFFIXES
MAX_IMAGE_BYTES = 64 << 20

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
SIGNATURE_BYTES = 12


@dataclass(frozen=True)
class ImageFile:
    """An image, or any other file, in a folder or an archive."""

    name: str  # path below the top of the data set, with /
    open: Callable[[], IO[bytes]]

    @property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.name).parts

    @property
    def folders(self) -> tuple[str, ...]:
        return self.parts[:-1]

    @property
    def suffix(self) -> str:
        """The suffix in lower case, such as .png; empty without one."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def is_image(self) -> bool:
        """Whether it has the suffix of an image that can be read, or begins as one."""
        if self.suffix in READ_SUFFIXES:
            return True
        try:
            with self.open() as file:
                return begins_as_image(file.read(SIGNATURE_BYTES))
        except OSError:
            return False

    def read(self) -> bytes:
        """Return the content. Raises DataError when it cannot be read, or is larger than MAX_IMAGE_BYTES."""
        try:
            with self.open() as file:
                content = file.read(MAX_IMAGE_BYTES + 1)
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror or error})") from error
        if len(content) > MAX_IMAGE_BYTES:
            raise DataError(f"has more than {MAX_IMAGE_BYTES >> 20} MB; scale the image down")
        return content


def begins_as_image(head: bytes) -> bool:
    """Return whether a file whose first SIGNATURE_BYTES are `head` is an image."""
    return head.startswith(_SIGNATURES) or head[8:] == b"WEBP" or head[4:] == b"ftypavif" or _is_heif(head)


def decode_gray(content: bytes) -> NDArray[np.uint8]:
    """Return the image in `content` as (height, width) gray levels; see `decode_color`."""
    return cv2.cvtColor(decode_color(content), cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)


def decode_rgb(content: bytes) -> NDArray[np.uint8]:
    """Return the image in `content` as (height, width, 3) red, green and blue; see `decode_color`."""
    return np.ascontiguousarray(decode_color(content)[..., ::-1])


def decode_color(content: bytes) -> NDArray[np.uint8]:
    """Return the image in `content` as (height, width, 3) BGR, upright as its EXIF says; of a GIF its first frame.

    Raises DataError with the reason: damaged, no image, too many pixels, or a format that needs a package.
    """
    try:
        if content.startswith(b"GIF8") or content[4:8] == b"ftyp":
            return _decode_with_pillow(content)
        return decode_image(content)
    except ImageError as error:
        raise DataError(f"cannot be decoded ({error}); replace or remove it") from error


def _decode_with_pillow(content: bytes) -> NDArray[np.uint8]:
    """Return (height, width, 3) BGR of a GIF, AVIF or HEIC image. Raises DataError or ImageError."""
    try:
        import pillow_heif
    except ImportError:
        if _is_heif(content):
            raise DataError(
                "is HEIC, which needs the package pillow-heif: pip install pillow-heif; or convert it to .jpg"
            ) from None
    else:
        pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:  # of odd metadata
            width, height = image.size
            if width * height > MAX_IMAGE_PIXELS:
                raise ImageError(f"{width} x {height} pixels; the limit is {MAX_IMAGE_PIXELS / 1e6:.3g} million")
            return np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[..., ::-1])
    except (ImageError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise ImageError("not the image that its first bytes announce") from None
    except Exception as error:  # of a damaged file Pillow's readers raise whatever their parsers meet
        raise ImageError(" ".join(str(error).split())[:100] or type(error).__name__) from error


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS
