"""AffectNet: its lists with face boxes and its annotation files; what is no emotion is left out and counted."""

import numpy as np
import pytest

from tests.support import faces
from tests.trainer.data.published import AFFECTNET_HEADER, affectnet_files, affectnet_lists, npy
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.data.loader import load_dataset

LIST = "Manually_Annotated_file_lists/training.csv"
ANNOTATION = "train_set/annotations/0_exp.npy"


@pytest.mark.parametrize(("make", "side"), [(affectnet_files, 100), (affectnet_lists, 224)])
def test_faces_are_read_and_no_emotions_left_out(make, side, tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, make(range(11))))
    assert (len(found.class_names), found.side) == (8, side)
    assert "contempt" in found.class_names
    assert found.split(TRAINING).counts() == found.split(PUBLIC_TEST).counts() == dict.fromkeys(found.class_names, 1)
    for reason in ("none of the emotions", "uncertain", "no face"):
        assert f"left out, {reason}: 2" in found.notes


@pytest.mark.parametrize("value", ["3", 3, 3.0, [3], b"3", np.uint8(3), ["3"]])
def test_annotation_may_be_text_or_a_number(value, tmp_path):
    files = affectnet_files((1, 2)) | {ANNOTATION: npy(value)}
    assert load_dataset(faces.write_folder(tmp_path, files)).counts()["surprise"] == 1


HUGE = b"\x93NUMPY\x01\x00\x46\x00" + b"{'descr': '<i8', 'fortran_order': False, 'shape': (999999999999,)}".ljust(70)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a .npy file with one number"),
        (b"3", "expected a .npy file with one number"),
        (npy([1, 2]), "expected a .npy file with one number"),
        (npy(np.array([{}], object)), "expected a .npy file with one number"),
        (npy("3")[:-1], "expected a .npy file with one number"),
        (HUGE, "expected a .npy file with one number"),
        (npy("3")[:-4] + b"\xff\xff\xff\x7f", "expected a .npy file with one number"),  # no character
        (npy("happy"), "unknown label 'happy', expected 0, 1, 2"),
        (npy(-1), "unknown label '-1', expected 0, 1, 2"),
        (npy(2.5), "unknown label '2.5', expected 0, 1, 2"),
    ],
)
def test_malformed_annotation_is_an_error_that_names_it(content, reason, tmp_path, load_error):
    message = load_error(faces.write_folder(tmp_path, affectnet_files() | {ANNOTATION: content}))
    assert ANNOTATION in message
    assert reason in message


def test_annotation_without_image_is_an_error(tmp_path, load_error):
    files = affectnet_files()
    del files["train_set/images/0.jpg"]
    assert "its image train_set/images/0.jpg is missing" in load_error(faces.write_folder(tmp_path, files))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1/a.jpg,1,2,3", "line 2: 4 columns, expected 9; is the file cut short?"),
        ("1/a.jpg,220,120,x,230,1;2,1,0,0", "line 2: 'x', expected a number"),
        ("1/a.jpg,220,120,0,230,1;2,1,0,0", "the face box is 0 x 230 pixels"),
        ("1/a.jpg,220,120,240,230,1;2,11,0,0", "unknown label '11', expected 0, 1, 2"),
        ("2/a.jpg,220,120,240,230,1;2,1,0,0", "line 2: the image '2/a.jpg' is missing; unpack the images"),
        ('"1/a.jpg,2', "1 columns, expected 9"),
    ],
)
def test_malformed_row_is_an_error_that_names_it(row, reason, tmp_path, load_error):
    lines = affectnet_lists()[LIST].decode().splitlines()
    content = "\n".join([AFFECTNET_HEADER, row, *lines[1:]]).encode()
    message = load_error(faces.write_folder(tmp_path, affectnet_lists() | {LIST: content}))
    assert f"{LIST} line " in message
    assert reason in message


def test_list_without_a_column_is_an_error(tmp_path, load_error):
    files = affectnet_lists() | {LIST: AFFECTNET_HEADER.replace("expression", "emotion").encode() + b"\n1"}
    assert f"{LIST} line 1: no column expression" in load_error(faces.write_folder(tmp_path, files))


def test_other_training_csv_is_not_affectnets(tmp_path):
    files = faces.class_files(faces.tiny()) | {"training.csv": b"name,label\n1,2\n"}
    assert len(load_dataset(faces.write_folder(tmp_path, files))) == 42
