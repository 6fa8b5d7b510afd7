"""Cells are those that the sinks wrote, whichever delimiter a program for spreadsheets put between them."""

import pytest

from edge.sinks.csv_cells import split_cells, to_float

CELLS = ["9.967", "a;b", "c,d", 'e"f', "", "0.5"]


@pytest.mark.parametrize(
    "line",
    [
        '9.967,a;b,"c,d","e""f",,0.5',
        '9.967;"a;b";c,d;"e""f";;0.5\r\n',
        '"9.967";"a;b";"c,d";"e""f";"";"0.5"',
    ],
)
def test_cells_are_the_same_with_each_delimiter(line):
    assert split_cells(line, 6) == CELLS


@pytest.mark.parametrize("line", ["", "1,2,3,4,5", "1;2;3;4;5;6;7", '1,2,3,4,5,"6', "1\t2\t3\t4\t5\t6"])
def test_another_number_of_cells_is_an_error(line):
    with pytest.raises(ValueError, match="expected 6 cells"):
        split_cells(line, 6)


def test_a_number_may_have_a_comma():
    assert (to_float("0,873"), to_float("12.48"), to_float("3")) == (0.873, 12.48, 3.0)
