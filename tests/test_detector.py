"""The detector finds upright faces of any picture size, and says what is wrong with a cascade."""

import cv2
import numpy as np
import pytest

from edge.detector import Detector
from edge.errors import EmotionEdgeError, SettingsError
from edge.values import Box
from tests.conftest import FACE


@pytest.fixture(scope="module")
def grey(portrait):
    return cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)


def scaled(box: Box, factor: float) -> Box:
    return Box(*(round(value * factor) for value in (box.x, box.y, box.width, box.height)))


@pytest.mark.parametrize("factor", [1, 2.5])  # the second is wider than what is searched
def test_a_face_is_found_where_it_is_in_pixels_of_its_own_picture(grey, factor):
    picture = cv2.resize(grey, None, fx=factor, fy=factor)
    (box,) = Detector().find(picture)
    assert box.overlap(scaled(FACE, factor)) > 0.7


def test_several_faces_come_largest_first(grey):
    half = np.pad(cv2.resize(grey, (300, 300)), ((0, 212), (0, 0)))
    boxes = Detector(min_face=30).find(np.hstack([half, grey]))
    assert len(boxes) == 2
    assert boxes[0].width > boxes[1].width


def test_faces_below_the_smallest_size_are_left_out(grey):
    assert Detector(min_face=96).find(grey)
    assert not Detector(min_face=130).find(grey)


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (30, 30), (3, 2000), (2000, 3)])
def test_an_empty_picture_of_any_shape_has_no_face(shape):
    assert Detector().find(np.full(shape, 90, np.uint8)) == []


def test_a_picture_that_is_a_view_is_searched_like_a_copy(grey):
    padded = np.pad(grey, ((0, 0), (0, 64)))[:, :512]  # a camera's rows may be longer than its picture
    assert Detector().find(padded) == Detector().find(grey)


def test_a_cascade_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"eyes\.xml: no such cascade"):
        Detector(cascade=tmp_path / "eyes.xml")


@pytest.mark.parametrize("content", ["", "no cascade", "<?xml version='1.0'?><opencv_storage></opencv_storage>"])
def test_a_file_that_is_no_cascade_is_named(tmp_path, content):
    (tmp_path / "text.xml").write_text(content)
    with pytest.raises(SettingsError, match=r"text\.xml: not a cascade"):
        Detector(cascade=tmp_path / "text.xml")


def test_an_opencv_without_cascades_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(EmotionEdgeError, match="opencv-python-headless<5"):
        Detector()
