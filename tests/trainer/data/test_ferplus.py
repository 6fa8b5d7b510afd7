"""FER+ gives each row of FER2013's CSV its ten votes, by row order."""

import numpy as np
import pytest

from tests.support import faces
from tests.trainer.data.formats import FORMATS, TINY
from trainer.data.dataset import PRIVATE_TEST
from trainer.data.loader import load_dataset


@pytest.fixture
def table(tmp_path):
    return faces.write_csv(tmp_path / "fer2013.csv", TINY)


@pytest.fixture
def write_votes(tmp_path):
    """Return a function that writes fer2013new.csv with line `number` replaced, or removed where `line` is None."""

    def write(number=None, line=None):
        lines = faces.ferplus_lines(TINY)
        if number is not None:
            lines[number - 1 : number] = [] if line is None else [line]
        return faces.write_lines(tmp_path / "fer2013new.csv", lines)

    return write


def votes_of(dataset):
    assert dataset.ferplus_votes is not None
    return dataset.ferplus_votes.tolist()


def expected_votes(rows):
    expected = np.zeros((len(rows), 10), np.uint8)
    for index, row in enumerate(rows):
        expected[index, row % 10], expected[index, (row + 1) % 10] = 8, 2
    return expected.tolist()


def test_each_row_gets_its_ten_votes(table, write_votes):
    assert votes_of(load_dataset(table, ferplus=write_votes())) == expected_votes(range(len(TINY)))


def test_votes_stay_with_their_row_after_a_skipped_row(tmp_path, write_votes):
    lines = faces.csv_lines(TINY)
    lines[3] = "2,1 2 3,Training"
    table = faces.write_lines(tmp_path / "fer2013.csv", lines)
    found = load_dataset(table, ferplus=write_votes(), skip_invalid=True)
    assert votes_of(found) == expected_votes([n for n in range(len(TINY)) if n != 2])


def test_votes_stay_with_their_row_in_a_split(table, write_votes):
    found = load_dataset(table, ferplus=write_votes()).split(PRIVATE_TEST)
    assert votes_of(found) == expected_votes(range(35, 42))


def test_votes_are_added_to_a_csv_in_an_archive(tmp_path, write_votes):
    found = load_dataset(FORMATS["zip"](tmp_path), ferplus=write_votes())
    assert votes_of(found) == expected_votes(range(len(TINY)))


# Name -> line number, line, where the message places it, and what it says.
INVALID_VOTES = {
    "missing-row": (5, None, ":", "41 rows, but the data set has 42"),
    "other-split": (5, "PublicTest,a.png,10,0,0,0,0,0,0,0,0,0", " line 5:", "usage 'PublicTest'"),
    "eleven-votes": (5, "Training,a.png,11,0,0,0,0,0,0,0,0,0", " line 5:", "votes ['11', '0'"),
    "negative": (5, "Training,a.png,-1,0,0,0,0,0,0,0,0,0", " line 5:", "votes ['-1', '0'"),
    "truncated": (43, "Training,a.png,10,0", " line 43:", "4 columns, expected 12"),
}


@pytest.mark.parametrize("name", INVALID_VOTES)
def test_invalid_votes_are_named_with_file_and_line(name, table, write_votes, load_error):
    number, line, where, reason = INVALID_VOTES[name]
    path = write_votes(number, line)
    message = load_error(table, ferplus=path)
    assert message.startswith(f"{path}{where} ")
    assert reason in message


def test_other_csv_names_the_missing_columns(table, load_error):
    assert "line 1: no column neutral, happiness, surprise" in load_error(table, ferplus=table)


def test_empty_file_names_the_missing_columns(table, load_error, tmp_path):
    path = faces.write_lines(tmp_path / "empty.csv", [])
    assert load_error(table, ferplus=path).startswith(f"{path} line 1: no column usage, neutral")


def test_missing_file_is_an_error(table, load_error, tmp_path):
    path = tmp_path / "no.csv"
    assert load_error(table, ferplus=path).startswith(f"{path}: cannot be read")
