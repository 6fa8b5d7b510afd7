"""Reader of FER2013's CSV: `fer2013.csv` of the Kaggle challenge, also published as `icml_face_data.csv`.

A row has an emotion (0 to 6), 2,304 pixels separated by blanks, and a usage, which is the split. Without the column
Usage every tenth row of a class is held out, as of images.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import (
    FER2013_FACE_PIXELS,
    FER2013_LABELS,
    SPLITS,
    TRAINING,
    Dataset,
    DatasetBuilder,
    progress_bar,
)
from trainer.errors import DataError

FILE_NAMES = ("fer2013.csv", "icml_face_data.csv")
MAX_LINE_BYTES = 65_536  # a row has at most 9,300
_PIXEL_COUNT = FER2013_FACE_PIXELS**2


@dataclass(frozen=True)
class CsvRows:
    """Which rows of the CSV a data set has: FER+ goes by row order."""

    row_numbers: list[int]  # of each valid row, from 0
    total: int  # the invalid rows included
    has_usage: bool  # whether the splits come from the CSV


def is_fer2013_csv(name: str) -> bool:
    """Return whether the file `name`, in a folder or an archive, is FER2013's CSV."""
    return PurePosixPath(name).name in FILE_NAMES


def find_csv(names: Iterable[str]) -> str | None:
    """Return the one of `names`, paths with /, that is FER2013's CSV, the outermost of several; None without one."""
    tables = [name for name in names if is_fer2013_csv(name) and "__MACOSX" not in name]
    return min(tables, key=lambda name: (name.count("/"), FILE_NAMES.index(PurePosixPath(name).name)), default=None)


def read_csv(file: IO[bytes], size: int, source: str, skip_invalid: bool) -> tuple[Dataset, CsvRows]:
    """Read FER2013's CSV from a binary `file` of `size` bytes. Raises DataError with `source`, line and reason."""
    builder = DatasetBuilder(skip_invalid)
    with progress_bar(f"reading {PurePosixPath(source).name}", size) as progress:
        rows = read_rows(progress(file), source)
        header = [cell.strip().lower() for cell in next(rows, (1, []))[1]]
        names = ("emotion", "pixels", *(("usage",) if "usage" in header else ()))
        columns = find_columns(header, names, source)
        for number, row in rows:
            line = f"{source} line {number}"
            builder.add(lambda row=row, line=line: _parse_row(row, columns, line))  # type: ignore[misc]
    if "usage" not in header:
        builder.hold_out_if_all_training()
    csv_rows = CsvRows(builder.row_numbers, builder.total, "usage" in header)
    return builder.build(FER2013_LABELS, source), csv_rows


def read_rows(file: IO[bytes], source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each row of the CSV in a binary `file`, without blank lines.

    Raises DataError with `source` and line for text that is not CSV, or a line longer than MAX_LINE_BYTES.
    """

    def lines() -> Iterator[str]:
        while line := file.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise csv.Error(f"line longer than {MAX_LINE_BYTES} bytes")
            yield line.decode("utf-8-sig", errors="replace")

    reader = csv.reader(lines())
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:  # also: a quote that does not end makes one cell of all that follows
        raise DataError(f"{source} line {reader.line_num}: not CSV ({error}); fetch the file again") from error


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
    emotion, text, usage = [row[column].strip() for column in columns] + [TRAINING] * (3 - len(columns))
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
