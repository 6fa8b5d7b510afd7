"""Loads a data set, whatever its format. To add a format, write its reader and add a line to `_read`."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path

from trainer.data.archive import TAR_SUFFIXES, read_tar, read_zip
from trainer.data.dataset import Dataset
from trainer.data.fer2013_csv import FILE_NAMES, CsvRows, read_csv
from trainer.data.ferplus import add_votes
from trainer.data.image_folder import list_folder, read_images
from trainer.errors import DataError

_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
)


def load_dataset(
    path: Path, *, ferplus: Path | None = None, max_size: int = 224, skip_invalid: bool = False
) -> Dataset:
    """Return the data set at `path`; shows a progress bar on a terminal.

    Args:
        path: FER2013's CSV, an archive (.zip, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz) or a folder.
        ferplus: FER+'s fer2013new.csv; only with FER2013's CSV, whose row order it shares.
        max_size: largest side of faces from image files, in pixels; see image_folder.read_images.
        skip_invalid: leave invalid rows and images out and count them, instead of raising at the first.

    Raises DataError with file, row and reason.
    """
    if not path.exists():
        raise DataError(f"{path}: not found; name fer2013.csv, an archive with it, or a folder with one folder a class")
    try:
        dataset, csv_rows = _read(path, max_size, skip_invalid)
    except _ARCHIVE_ERRORS as error:
        reason = str(error).partition("\n")[0].rstrip(":")  # tarfile adds a line for each compression that it tried
        raise DataError(f"{path}: the archive is damaged, cut short or encrypted ({reason}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if ferplus is None:
        return dataset
    if csv_rows is None:
        raise DataError(f"{ferplus}: FER+ votes go by the row order of fer2013.csv, and {path} holds images")
    return add_votes(dataset, ferplus, csv_rows)


def _read(path: Path, max_size: int, skip_invalid: bool) -> tuple[Dataset, CsvRows | None]:
    """Return the data set and, where it is FER2013's CSV, its rows."""
    name = path.name.lower()
    if path.is_dir():
        for table in (path / name for name in FILE_NAMES):
            if table.is_file():
                return _read(table, max_size, skip_invalid)
        return read_images(path, list_folder(path), max_size, skip_invalid), None
    if name.endswith(".csv"):
        with path.open("rb") as file:
            return read_csv(file, path.stat().st_size, str(path), skip_invalid)
    if name.endswith(".zip"):
        return read_zip(path, max_size, skip_invalid)
    if name.endswith(TAR_SUFFIXES):
        return read_tar(path, max_size, skip_invalid)
    raise DataError(
        f"{path}: unknown file type; expected .csv, .zip, {', '.join(TAR_SUFFIXES)} or a folder with one folder a class"
    )
