"""FER2013's CSV: an invalid row is an error with file, line and reason, or is skipped and counted."""

import numpy as np
import pytest

from tests.support import faces
from tests.trainer.data.formats import CSV, TINY
from trainer.data.dataset import PUBLIC_TEST
from trainer.data.loader import load_dataset
from trainer.errors import DataError

PIXELS = " ".join(map(str, TINY.faces[2].ravel()))
ALL_BUT_ONE = PIXELS.rpartition(" ")[0]
# Name -> row and what the message says.
INVALID_ROWS = {
    "too-few-pixels": (f"2,{ALL_BUT_ONE},Training", "2303 pixels, expected 2304"),
    "too-many-pixels": (f"2,{PIXELS} 7,Training", "2305 pixels, expected 2304"),
    "no-pixels": ("2,,Training", "0 pixels, expected 2304"),
    "above-255": (f"2,{ALL_BUT_ONE} 256,Training", "pixel 256"),
    "below-0": (f"2,{ALL_BUT_ONE} -1,Training", "pixel -1"),
    "beyond-64-bits": (f"2,{ALL_BUT_ONE} {'9' * 20},Training", f"pixel '{'9' * 20}'"),
    "text": (f"2,{ALL_BUT_ONE} 12a,Training", "pixel '12a'"),
    "fraction": (f"2,{ALL_BUT_ONE} 1.5,Training", "pixel '1.5'"),
    "label-7": (f"7,{PIXELS},Training", "label '7', expected 0 to 6"),
    "label-name": (f"fear,{PIXELS},Training", "label 'fear', expected 0 to 6"),
    "usage": (f"2,{PIXELS},Test", "usage 'Test', expected one of Training, PublicTest, PrivateTest"),
    "truncated": (f"2,{PIXELS}", "2 columns, expected 3"),
}


def write_with_invalid_row(path, name):
    lines = faces.csv_lines(TINY)
    lines[3] = INVALID_ROWS[name][0]
    return faces.write_lines(path, lines)


def test_byte_order_mark_blank_lines_and_crlf_are_accepted(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CSV["fer2013.csv"].replace(b"\n", b"\r\n\r\n"))
    assert faces.content(load_dataset(path)) == faces.content(TINY)


@pytest.mark.parametrize("name", INVALID_ROWS)
def test_invalid_row_is_named_with_file_and_line(name, load_error, tmp_path):
    path = write_with_invalid_row(tmp_path / "fer2013.csv", name)
    message = load_error(path)
    assert message.startswith(f"{path} line 4: ")
    assert INVALID_ROWS[name][1] in message


@pytest.mark.parametrize("name", INVALID_ROWS)
def test_invalid_row_is_skipped_and_counted(name, tmp_path):
    found = load_dataset(write_with_invalid_row(tmp_path / "fer2013.csv", name), skip_invalid=True)
    assert found.skipped == 1
    assert np.array_equal(found.faces, np.delete(TINY.faces, 2, axis=0))


def test_invalid_row_in_an_archive_is_named(load_error, tmp_path):
    table = write_with_invalid_row(tmp_path / "fer2013.csv", "label-7").read_bytes()
    path = faces.write_zip(tmp_path / "a.zip", {"fer2013.csv": table})
    assert load_error(path).startswith(f"{path}/fer2013.csv line 4: ")


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9, 0.999])
def test_truncated_csv_names_its_last_row(fraction, load_error, tmp_path):
    content = CSV["fer2013.csv"][: int(len(CSV["fer2013.csv"]) * fraction)]
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    assert load_error(path).startswith(f"{path} line {len(content.splitlines())}: ")


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("emotion,Usage", "pixels"),
        ("pixels", "emotion"),
        ("label,image,split", "emotion, pixels"),
        ("", "emotion, pixels"),
    ],
)
def test_missing_column_is_named(header, missing, load_error, tmp_path):
    path = faces.write_lines(tmp_path / "fer2013.csv", [header] if header else [])
    assert load_error(path).startswith(f"{path} line 1: no column {missing};")


def test_without_usage_every_tenth_row_of_a_class_is_held_out(tmp_path):
    data = faces.tiny(training=20, public=0, private=0)
    lines = [line.rpartition(",")[0] for line in faces.csv_lines(data)]
    found = load_dataset(faces.write_lines(tmp_path / "train.csv", lines))
    assert np.array_equal(found.faces, data.faces)
    assert set(found.split(PUBLIC_TEST).counts().values()) == {2}
    assert "every tenth face of a class is held out" in found.notes[0]


def test_line_without_an_end_is_refused_without_reading_it(load_error, tmp_path):
    path = tmp_path / "fer2013.csv"
    with path.open("wb") as file:
        file.write(b"emotion,pixels,Usage\n")
        file.truncate(2 << 30)  # a sparse file: 2 GB of zeros in one line
    assert "line longer than 65536 bytes" in load_error(path)


def test_open_quote_is_an_error(load_error, tmp_path):
    lines = faces.csv_lines(faces.tiny(training=5, public=0, private=0))
    lines[2] = lines[2].replace(",", ',"', 1)
    path = faces.write_lines(tmp_path / "fer2013.csv", lines)
    assert "not CSV (field larger than field limit" in load_error(path)


@pytest.mark.parametrize(("rows", "count"), [([], 0), (["9,1 2 3,Training", "0,1 2 3,Training"], 2)])
def test_csv_without_valid_rows_is_an_error(rows, count, load_error, tmp_path):
    path = faces.write_lines(tmp_path / "fer2013.csv", ["emotion,pixels,Usage", *rows])
    message = load_error(path, skip_invalid=True)
    assert message.startswith(f"{path}: no valid rows")
    assert f"{count} invalid" in message


def test_missing_split_is_named_with_existing_ones(tmp_path):
    path = faces.write_csv(tmp_path / "fer2013.csv", faces.tiny(training=2, public=0, private=1))
    with pytest.raises(DataError) as caught:
        load_dataset(path).split(PUBLIC_TEST)
    message = str(caught.value)
    assert message.startswith(f"{path}: no rows of split PublicTest")
    assert message.endswith("Training (14), PrivateTest (7)")
