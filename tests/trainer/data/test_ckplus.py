"""CK+: peak frames get the label of their sequence, the first one is neutral, persons stay apart."""

import pytest

from tests.support import faces
from tests.trainer.data.published import ckplus
from trainer.data.dataset import PUBLIC_TEST
from trainer.data.loader import load_dataset

LABEL = "Emotion/S005/001/S005_001_00000004_emotion.txt"


def test_peak_frames_and_first_frame_are_read(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, ckplus()))
    assert found.counts() == {"angry": 6, "happy": 6, "neutral": 4}
    assert "left out, sequences without an emotion: 2" in found.notes


def test_short_sequence_has_no_neutral_frame(tmp_path):
    files = ckplus(frames=3)
    assert load_dataset(faces.write_folder(tmp_path, files)).counts() == {"angry": 6, "happy": 6}


def test_persons_of_the_splits_are_disjoint(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, ckplus()))
    assert found.split(PUBLIC_TEST).counts() == {"angry": 3, "happy": 3, "neutral": 2}  # all of S010
    assert "every tenth person or photograph, 1 of 2, is held out" in found.notes[-1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "expected one number, 0 to 7"),
        ("1 2", "expected one number, 0 to 7"),
        ("1\n2", "expected one number, 0 to 7"),
        ("   8.0000000e+00", "unknown label '8', expected 0, 1, 2"),
        ("   1.5000000e+00", "unknown label '1.5000000e+00', expected"),
        ("nan", "unknown label 'nan'"),
    ],
)
def test_malformed_label_file_is_an_error_that_names_it(content, reason, tmp_path, load_error):
    message = load_error(faces.write_folder(tmp_path, ckplus() | {LABEL: content.encode()}))
    assert LABEL in message
    assert reason in message


def test_label_without_images_is_an_error(tmp_path, load_error):
    files = {name: content for name, content in ckplus().items() if "images/S005/003" not in name}
    assert "the images S005_003_* are missing" in load_error(faces.write_folder(tmp_path, files))
