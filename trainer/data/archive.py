"""Readers of zip and tar archives that hold FER2013's CSV or class folders with images."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from trainer.data.dataset import Dataset
from trainer.data.fer2013_csv import CsvRows, is_fer2013_csv, read_csv
from trainer.data.image_folder import ImageFile, is_image, read_images

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def read_zip(path: Path, max_size: int, skip_invalid: bool) -> tuple[Dataset, CsvRows | None]:
    """Return the data set in a zip archive and, where it is FER2013's CSV, its rows."""
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            if is_fer2013_csv(member.filename):
                with archive.open(member) as file:
                    return read_csv(file, member.file_size, f"{path}/{member.filename}", skip_invalid)
        files = [
            ImageFile(member.filename, lambda member=member: archive.read(member))  # type: ignore[misc]
            for member in sorted(members, key=lambda member: member.filename)
        ]
        return read_images(path, files, max_size, skip_invalid), None


def read_tar(path: Path, max_size: int, skip_invalid: bool) -> tuple[Dataset, CsvRows | None]:
    """Return the data set in a tar archive, compressed or not, and, where it is FER2013's CSV, its rows.

    Raises tarfile.TarError when the archive is damaged or cut short.
    """
    files = []
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None:
                continue
            if is_fer2013_csv(member.name):
                return read_csv(file, member.size, f"{path}/{member.name}", skip_invalid)
            if is_image(member.name):
                # A compressed tar cannot be read out of order, so the (small) encoded images are kept in memory.
                content = file.read()
                files.append(ImageFile(member.name, lambda content=content: content))  # type: ignore[misc]
        # tarfile takes a header that is damaged or cut short for the end, which is a block of zeros.
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("no end mark")
    return read_images(path, sorted(files, key=lambda file: file.name), max_size, skip_invalid), None
