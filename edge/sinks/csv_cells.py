"""Reads lines of CSV as the sinks write them, and as a program for spreadsheets saves them again.

Such a program may put a byte order mark before the first line, write `;` in place of `,` between cells, a comma in
place of the point in numbers, and CR before LF: some of them with the settings of many countries.
"""

from __future__ import annotations

import csv
from contextlib import suppress

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DELIMITERS = (",", ";")


def split_cells(line: str, count: int) -> list[str]:
    """Return the `count` cells of `line`. Raises ValueError if it has another number with each of DELIMITERS.

    Not with both: a line with `;` has a comma in some of its numbers, not between all of its cells.
    """
    for delimiter in DELIMITERS:
        with suppress(csv.Error):
            (cells,) = csv.reader([line], delimiter=delimiter, strict=True)
            if len(cells) == count:
                return cells
    raise ValueError(f"expected {count} cells")


def to_float(cell: str) -> float:
    """Return the number in `cell`. Raises ValueError."""
    return float(cell.replace(",", "."))
