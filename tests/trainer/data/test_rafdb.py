"""RAF-DB: the list decides label and split; malformed lines and missing images are errors that name the line."""

import pytest

from tests.support import faces
from tests.trainer.data.published import rafdb
from trainer.data.dataset import FER2013_LABELS, PUBLIC_TEST
from trainer.data.loader import load_dataset

LIST = "basic/EmoLabel/list_patition_label.txt"


def test_numbers_become_fer2013s_labels(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, rafdb((1, 1, 1, 4, 7))))
    assert (found.class_names, found.side) == (("happy", "surprise", "neutral"), 100)
    assert found.split(PUBLIC_TEST).counts() == {"happy": 1, "surprise": 3, "neutral": 1}
    assert set(load_dataset(faces.write_folder(tmp_path / "all", rafdb())).class_names) == set(FER2013_LABELS)


@pytest.mark.parametrize(("labels", "folder"), [((1, 9, 11), "RAF-DB/"), ((1, 2, 3), "compound/")])
def test_compound_set_has_its_own_labels(labels, folder, tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, rafdb(labels, 4, folder)))
    assert "happily surprised" in found.class_names
    assert "1 is happily surprised" in found.notes[0]


def test_both_sets_at_once_are_an_error(tmp_path, load_error):
    folder = faces.write_folder(tmp_path, rafdb() | rafdb(range(1, 12), 4, "compound/"))
    assert "name the folder of the basic or compound set" in load_error(folder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("train_00001.jpg", "line 1: 'train_00001.jpg', expected such as: train_00001.jpg 5"),
        ("train_00001.jpg 5 6", "expected such as: train_00001.jpg 5"),
        ("../train_00001.jpg 5", "expected such as: train_00001.jpg 5"),
        ("train_00001.jpg 0", "line 1: unknown label '0', expected 1, 2, 3, 4, 5, 6, 7"),
        ("train_00001.jpg \u0665", "unknown label"),
        ("train_00009.jpg 5", "line 1: train_00009_aligned.jpg is missing; unpack aligned.zip into the folder Image"),
        ("x" * 5000, "line 1: longer than 4096 bytes"),
        ("\0\x1b[2J 5", r"line 1: '\x00\x1b[2J 5', expected such as"),
    ],
)
def test_malformed_line_is_an_error_that_names_it(line, reason, tmp_path, load_error):
    files = rafdb()
    folder = faces.write_folder(tmp_path, files | {LIST: line.encode() + b"\n" + files[LIST]})
    assert reason in load_error(folder)


def test_skip_invalid_counts_malformed_lines(tmp_path):
    files = rafdb()
    folder = faces.write_folder(tmp_path, files | {LIST: b"train_00001.jpg 8x\n\n" + files[LIST]})
    found = load_dataset(folder, skip_invalid=True)
    assert (len(found), found.skipped) == (14, 1)
