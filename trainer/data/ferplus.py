"""Reader of FER+ (Barsoum et al., ICMI 2016): ten votes on each row of FER2013's CSV, in its row order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trainer.data.dataset import Dataset
from trainer.data.fer2013_csv import CsvRows, find_columns, read_rows
from trainer.errors import DataError

FERPLUS_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
FERPLUS_COLUMNS = (*FERPLUS_LABELS, "unknown", "NF")  # of fer2013new.csv; NF: no face


def add_votes(dataset: Dataset, path: Path, csv_rows: CsvRows) -> Dataset:
    """Return `dataset`, which has `csv_rows` of FER2013's CSV, with the votes in the file `path` (fer2013new.csv).

    Raises DataError when the file is not FER+'s, has another number of rows, or disagrees about a row's split.
    """
    try:
        with path.open("rb") as file:
            header, *table = [row for _, row in read_rows(file, str(path))] or [[]]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    header = [cell.strip().lower() for cell in header]
    usage, *columns = find_columns(header, ("usage", *(name.lower() for name in FERPLUS_COLUMNS)), str(path))
    if len(table) != csv_rows.total:
        raise DataError(f"{path}: {len(table)} rows, but the data set has {csv_rows.total}; FER+ goes by row order")
    votes = np.zeros((len(dataset), len(columns)), np.uint8)
    for index, row_number in enumerate(csv_rows.row_numbers):
        row, line = table[row_number], f"{path} line {row_number + 2}"
        if len(row) != len(header):
            raise DataError(f"{line}: {len(row)} columns, expected {len(header)}; is the file cut short?")
        if csv_rows.has_usage and row[usage] != dataset.splits[index]:
            raise DataError(f"{line}: usage {row[usage][:20]!r}, but the data set's row is {dataset.splits[index]}")
        cells = [row[column].strip() for column in columns]
        if not all(cell.isdecimal() and len(cell) <= 2 and int(cell) <= 10 for cell in cells):
            raise DataError(f"{line}: votes {[cell[:20] for cell in cells]}, expected integers, 0 to 10")
        votes[index] = [int(cell) for cell in cells]
    return replace(dataset, ferplus_votes=votes)
