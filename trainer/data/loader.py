"""Loads a data set from a file, an archive or a folder. How to add a format: see trainer.data.formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trainer.data.archive import TAR_SUFFIXES, read_tar, read_zip
from trainer.data.dataset import DEFAULT_MAX_SIZE, Dataset, ReadOptions
from trainer.data.fer2013_csv import CsvRows, find_csv, read_csv
from trainer.data.ferplus import add_votes
from trainer.data.formats import AUTO, EXPECTED, may_be_fer2013, read_files
from trainer.data.image_folder import list_folder
from trainer.errors import DataError


def load_dataset(
    path: Path,
    *,
    data_format: str = AUTO,
    ferplus: Path | None = None,
    max_size: int = DEFAULT_MAX_SIZE,
    skip_invalid: bool = False,
    color: bool = False,
) -> Dataset:
    """Return the data set at `path`; shows a progress bar on a terminal.

    Args:
        path: FER2013's CSV, an archive (.zip, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz) or a folder.
        data_format: one of trainer.data.formats.NAMES.
        ferplus: FER+'s fer2013new.csv; only with FER2013's CSV, whose row order it shares.
        max_size: largest side of faces from image files, in pixels; see image_folder.read_images.
        skip_invalid: leave invalid rows and images out and count them, instead of raising at the first.
        color: faces in red, green and blue; those of FER2013's CSV, which are gray, get three equal channels.

    Raises DataError with file, row and reason.
    """
    if not path.exists():
        raise DataError(f"{path}: not found; name fer2013.csv, an archive with it, or a folder with one folder a class")
    try:
        dataset, csv_rows = _read(path, ReadOptions(data_format, max_size, skip_invalid, color))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if color and dataset.channels == 1:
        note = "its faces are gray: red, green and blue are equal"
        dataset = replace(dataset, faces=np.repeat(dataset.faces[..., np.newaxis], 3, -1), notes=(*dataset.notes, note))
    if ferplus is None:
        return dataset
    if csv_rows is None:
        raise DataError(f"{ferplus}: FER+ votes go by the row order of fer2013.csv, and {path} holds images")
    return add_votes(dataset, ferplus, csv_rows)


def _read(path: Path, options: ReadOptions) -> tuple[Dataset, CsvRows | None]:
    """Return the data set and, where it is FER2013's CSV, its rows."""
    name = path.name.lower()
    if path.is_dir():
        return _read_folder(path, options)
    if not path.is_file():
        raise DataError(f"{path}: not a regular file; name fer2013.csv, an archive or a folder")
    if name.endswith(".csv"):
        if not may_be_fer2013(options):
            expected = EXPECTED[options.format]
            raise DataError(f"{path}: not in the format {options.format}; looked for {expected} in a folder or archive")
        with path.open("rb") as file:
            return read_csv(file, path.stat().st_size, str(path), options.skip_invalid)
    if name.endswith(".zip"):
        return read_zip(path, options)
    if name.endswith(TAR_SUFFIXES):
        return read_tar(path, options)
    raise DataError(
        f"{path}: unknown file type; expected .csv, .zip, {', '.join(TAR_SUFFIXES)} or a folder with one folder a class"
    )


def _read_folder(folder: Path, options: ReadOptions) -> tuple[Dataset, CsvRows | None]:
    """Return the data set in `folder`: FER2013's CSV or its only archive, anywhere in it, or images."""
    empty: list[Path] = []
    files = list_folder(folder, empty)
    found = find_csv([file.name for file in files]) if may_be_fer2013(options) else None
    if not found and not any(file.is_image for file in files):
        archives = [file.name for file in files if file.name.lower().endswith((".zip", *TAR_SUFFIXES))]
        found = archives[0] if len(archives) == 1 else None
    if not found:
        return read_files(folder, files, options, empty), None
    dataset, csv_rows = _read(folder / found, options)
    return replace(dataset, notes=(f"the data set is {found}", *dataset.notes)), csv_rows
