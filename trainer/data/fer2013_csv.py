"""Reader of FER2013's CSV: `fer2013.csv` of the Kaggle challenge, also published as `icml_face_data.csv`.

A row has an emotion (0 to 6), 2,304 pixels separated by blanks, and a usage, which is the split.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import (
    FER2013_FACE_PIXELS,
    FER2013_LABELS,
    SPLITS,
    Dataset,
    DatasetBuilder,
    progress_bar,
)
from trainer.errors import DataError

FILE_NAMES = ("fer2013.csv", "icml_face_data.csv")
_PIXEL_COUNT = FER2013_FACE_PIXELS**2


@dataclass(frozen=True)
class CsvRows:
    """Which rows of the CSV a data set has: FER+ goes by row order."""

    row_numbers: list[int]  # of each valid row, from 0
    total: int  # the invalid rows included


def is_fer2013_csv(name: str) -> bool:
    """Return whether the archive member `name` is FER2013's CSV."""
    return PurePosixPath(name).name in FILE_NAMES


def read_csv(file: IO[bytes], size: int, source: str, skip_invalid: bool) -> tuple[Dataset, CsvRows]:
    """Read FER2013's CSV from a binary `file` of `size` bytes. Raises DataError with `source`, line and reason."""
    builder = DatasetBuilder(skip_invalid)
    with progress_bar(f"reading {PurePosixPath(source).name}", size) as progress:
        text = io.TextIOWrapper(progress(file), encoding="utf-8-sig", errors="replace", newline="")
        reader = csv.reader(text)
        try:
            header = [cell.strip().lower() for cell in next(reader, [])]
            columns = find_columns(header, ("emotion", "pixels", "usage"), source)
            for row in reader:
                if row:
                    line = f"{source} line {reader.line_num}"
                    builder.add(lambda row=row, line=line: _parse_row(row, columns, line))  # type: ignore[misc]
        except csv.Error as error:  # a quote that does not end makes one cell of all that follows
            raise DataError(f"{source} line {reader.line_num}: not CSV ({error}); fetch the file again") from error
    return builder.build(FER2013_LABELS, source), CsvRows(builder.row_numbers, builder.total)


def find_columns(header: Sequence[str], wanted: Sequence[str], source: str) -> list[int]:
    """Return the position of each of the `wanted` columns in `header`. Raises DataError naming the missing ones."""
    missing = [name for name in wanted if name not in header]
    if missing:
        found = ", ".join(header)[:80] or "nothing"
        raise DataError(f"{source} line 1: no column {', '.join(missing)}; the header has {found}")
    return [header.index(name) for name in wanted]


def _parse_row(row: list[str], columns: list[int], line: str) -> tuple[NDArray[np.uint8], int, str]:
    """Return face, label and split of one CSV row. Raises DataError with `line` and the reason."""
    if len(row) <= max(columns):
        raise DataError(f"{line}: {len(row)} columns, expected {max(columns) + 1}; is the file cut short?")
    emotion, text, usage = (row[column].strip() for column in columns)
    if emotion not in map(str, range(len(FER2013_LABELS))):
        raise DataError(f"{line}: unknown label {emotion[:20]!r}, expected 0 to {len(FER2013_LABELS) - 1}")
    if usage not in SPLITS:
        raise DataError(f"{line}: unknown usage {usage[:20]!r}, expected one of {', '.join(SPLITS)}")
    # NumPy converts a row in 0.1 ms; only a row that it cannot convert is searched for the wrong word.
    words, side = text.split(), FER2013_FACE_PIXELS
    try:
        pixels = np.array(words, dtype=np.int64) if len(words) == _PIXEL_COUNT else np.empty(0, np.int64)
    except (ValueError, OverflowError):
        wrong_word = next((word for word in words if not word.isdecimal()), max(words, key=len))
        raise DataError(f"{line}: pixel {wrong_word[:20]!r} is not an integer, 0 to 255") from None
    if len(words) != _PIXEL_COUNT:
        raise DataError(f"{line}: {len(words)} pixels, expected {_PIXEL_COUNT} ({side} x {side})")
    if pixels.min() < 0 or pixels.max() > 255:
        raise DataError(f"{line}: pixel {pixels[(pixels < 0) | (pixels > 255)][0]} is outside 0 to 255")
    return pixels.astype(np.uint8).reshape(side, side), int(emotion), usage
