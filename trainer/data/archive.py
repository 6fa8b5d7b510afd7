"""Readers of zip and tar archives that hold FER2013's CSV or class folders with images.

An archive comes from outside: links that lead nowhere are invalid images, and what it may unpack to is bounded. Nothing
is written to a disk, so a member whose name is absolute or leads upwards is read as if it lay below the top.
"""

from __future__ import annotations

import errno
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from trainer.data.dataset import Dataset, ReadOptions
from trainer.data.fer2013_csv import CsvRows, find_csv, is_fer2013_csv, read_csv
from trainer.data.formats import LIST_SUFFIXES, may_be_fer2013, read_files
from trainer.data.image_decoding import MAX_IMAGE_BYTES, READ_SUFFIXES, SIGNATURE_BYTES, ImageFile, begins_as_image
from trainer.data.image_folder import is_system_file
from trainer.errors import DataError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_UNPACKED_BYTES = 16 << 30  # of a tar archive; FER2013 has 0.3 GB, half a million photos have about 10
MAX_IMAGE_BYTES_IN_TAR = 4 << 30  # of all images together, which are kept in memory

# What zipfile, tarfile and their decompressors raise for damaged, truncated or encrypted archives.
_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,  # encrypted; NotImplementedError: an unknown compression; RecursionError: links to each other
    ValueError,
    LookupError,
    OverflowError,
)


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn what a damaged archive raises into a DataError with `path`."""
    try:
        yield
    except DataError:
        raise
    except _ERRORS as error:
        # tarfile adds a line for each compression that it tried
        reason = (str(error).partition("\n")[0].rstrip(":") or type(error).__name__)[:200]
        raise DataError(f"{path}: the archive is damaged, cut short or encrypted ({reason}); fetch it again") from error


def read_zip(path: Path, options: ReadOptions) -> tuple[Dataset, CsvRows | None]:
    """Return the data set in a zip archive, or in the only tar archive in it, and, where it is FER2013's CSV, its rows.

    Raises DataError when the archive is damaged, encrypted, or holds no data set.
    """
    with _one_line(path), zipfile.ZipFile(path) as archive:
        members = {_path_below_top(member.filename): member for member in archive.infolist() if not member.is_dir()}
        for name, member in members.items():
            # The decompressors of the other methods give all that a block unpacks to at once.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{path / name}: not packed with deflate; unpack the archive into a folder")
        if may_be_fer2013(options) and (table := find_csv(members)):
            with archive.open(members[table]) as file:
                return read_csv(file, members[table].file_size, str(path / table), options.skip_invalid)
        files = [ImageFile(name, partial(archive.open, members[name])) for name in sorted(members)]
        tars = [name for name in members if name.lower().endswith(TAR_SUFFIXES) and not is_system_file(name)]
        if len(tars) == 1 and not any(file.is_image for file in files):
            with archive.open(members[tars[0]]) as file:
                return _read_tar(path / tars[0], file, options)
        return read_files(path, files, options), None


def read_tar(path: Path, options: ReadOptions) -> tuple[Dataset, CsvRows | None]:
    """Return the data set in a tar archive, compressed or not, and, where it is FER2013's CSV, its rows.

    Raises DataError when the archive is damaged, cut short, or holds no data set.
    """
    with _one_line(path), path.open("rb") as file:
        return _read_tar(path, file, options)


def _read_tar(path: Path, content: IO[bytes], options: ReadOptions) -> tuple[Dataset, CsvRows | None]:
    """Read the tar archive in `content`, whose name is `path`."""
    files, image_bytes = [], 0
    with tarfile.open(fileobj=content) as archive:
        for member in archive:
            if archive.offset > MAX_UNPACKED_BYTES or image_bytes > MAX_IMAGE_BYTES_IN_TAR:
                raise DataError(f"{path}: unpacks to more than is read from an archive; unpack it into a folder")
            name = _path_below_top(member.name)
            if member.isdir() or is_system_file(name):
                continue
            try:
                file = archive.extractfile(member)
            except (KeyError, RecursionError):  # a link to a member that is not there, or to itself
                files.append(_unreadable(name, errno.ENOENT, "the link leads nowhere"))
                continue
            if file is None:
                continue
            if may_be_fer2013(options) and is_fer2013_csv(name):
                return read_csv(file, member.size, str(path / name), options.skip_invalid)
            # A compressed tar cannot be read out of order, so the (small) encoded images and lists are kept in memory.
            if name.lower().endswith(LIST_SUFFIXES) and member.size > MAX_IMAGE_BYTES:
                reason = "too large to be read from a tar archive; unpack it into a folder"
                files.append(_unreadable(name, errno.EFBIG, reason))
                continue
            head = file.read(SIGNATURE_BYTES)
            if name.lower().endswith((*READ_SUFFIXES, *LIST_SUFFIXES)) or begins_as_image(head):
                head += file.read(MAX_IMAGE_BYTES)
                image_bytes += len(head)
            files.append(ImageFile(name, partial(io.BytesIO, head)))
        # tarfile takes a header that is damaged or cut short for the end, which is a block of zeros.
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("no end mark")
    return read_files(path, sorted(files, key=lambda file: file.name), options), None


def _path_below_top(name: str) -> str:
    """Return the path of the member `name` without what leads out of the archive: a slash before it, and `..`."""
    return "/".join(part for part in PurePosixPath(name).parts if part.strip("/") not in {"", ".."})


def _unreadable(name: str, code: int, reason: str) -> ImageFile:
    """Return a file that raises an OSError when it is opened."""

    def open_file() -> IO[bytes]:
        raise OSError(code, reason)

    return ImageFile(name, open_file)
