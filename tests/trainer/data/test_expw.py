"""ExpW: faces in boxes of photographs; the faces of one photograph stay in one split."""

import cv2
import numpy as np
import pytest

from edge.inference.preprocess import crop
from edge.types import Box
from tests.support import faces
from tests.trainer.data.published import SCENE, expw
from trainer.data.dataset import FER2013_LABELS, PUBLIC_TEST
from trainer.data.loader import load_dataset

LIST = "label/label.lst"


def test_faces_are_cut_at_their_boxes(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, expw()), max_size=240)
    gray = np.asarray(cv2.cvtColor(SCENE, cv2.COLOR_BGR2GRAY) if SCENE.ndim == 3 else SCENE, np.uint8)
    expected = crop(gray, Box(220, 120, 240, 230), 0)
    assert (found.class_names, found.side) == (FER2013_LABELS, 240)
    assert np.abs(found.faces[0].astype(int) - expected).mean() < 3  # the photograph is a JPEG


def test_faces_of_a_photograph_stay_in_one_split(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, expw(range(5))))
    assert found.split(PUBLIC_TEST).counts() == {"angry": 2, "disgust": 0, "fear": 0, "happy": 0, "sad": 0}
    assert "every tenth person or photograph, 1 of 10, is held out" in found.notes[-1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.jpg 0 1 2 3", "line 1: 5 words, expected 8: image, number, top, left, right, bottom, confidence, label"),
        ("angry_actor_00.jpg 0 x 220 460 350 1 0", "line 1: 'x', expected a number"),
        ("angry_actor_00.jpg 0 120 220 460 350 high 0", "line 1: 'high', expected a number"),
        ("angry_actor_00.jpg 0 120 220 220 350 1 0", "the face box is 0 x 230 pixels, expected at least 1 x 1"),
        ("angry_actor_00.jpg 0 inf 220 460 350 1 0", "line 1: 'inf', expected a number"),
        ("angry_actor_00.jpg 0 900 220 460 1900 1 0", "the face box lies outside the image of 640 x 480 pixels"),
        ("angry_actor_00.jpg 0 120 220 460 350 1 7", "unknown label '7', expected 0, 1, 2, 3, 4, 5, 6"),
        ("nobody.jpg 0 120 220 460 350 1 0", "line 1: 'nobody.jpg' is missing; unpack the photographs"),
    ],
)
def test_malformed_line_is_an_error_that_names_it(line, reason, tmp_path, load_error):
    files = expw()
    message = load_error(faces.write_folder(tmp_path, files | {LIST: f"{line}\n".encode() + files[LIST]}))
    assert f"{LIST} line 1: " in message
    assert reason in message


def test_box_is_limited_to_the_photograph(tmp_path):
    line = "angry_actor_00.jpg 0 -10 -999999999 999999999 460 1 0\n"
    files = expw()
    found = load_dataset(faces.write_folder(tmp_path, files | {LIST: line.encode() + files[LIST]}), max_size=1000)
    assert found.faces.shape == (29, 240, 240)
