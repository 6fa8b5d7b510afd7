"""The detector finds upright faces in any part of an image of any size, and says what is wrong with a cascade."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.detection.haar import MIN_FACE, SUPPORT, WINDOW, HaarDetector
from edge.errors import EmotionEdgeError, SettingsError
from edge.types import Box
from tests.support.images import PORTRAIT_FACE, draw_faces


@pytest.fixture(scope="module")
def gray(portrait):
    return cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)


@pytest.fixture(scope="module")
def detector():
    return HaarDetector()


def scaled(box: Box, factor: float) -> Box:
    return Box(*(round(value * factor) for value in (box.x, box.y, box.width, box.height)))


@pytest.mark.parametrize("factor", [0.5, 1, 2.5])
def test_a_face_is_found_where_it_is_in_pixels_of_its_own_image(detector, gray, factor):
    (find,) = detector.find(cv2.resize(gray, None, fx=factor, fy=factor))
    assert find.box.iou(scaled(PORTRAIT_FACE, factor)) > 0.7
    assert find.score >= SUPPORT


def test_the_find_that_most_hits_agree_on_comes_first(detector):
    image = draw_faces(
        ("neutral", Box(40, 60, 110, 110)), ("angry", Box(400, 60, 110, 110)), ("disgust", Box(220, 250, 150, 150))
    )
    finds = detector.find(image)
    assert len(finds) == 3
    assert [find.score for find in finds] == sorted((find.score for find in finds), reverse=True)


@pytest.mark.parametrize(
    ("smallest", "largest", "count"), [(60, 150, 1), (130, 400, 0), (30, 70, 0), (MIN_FACE, None, 1), (90, None, 1)]
)
def test_only_faces_of_the_sizes_asked_for_are_found(detector, gray, smallest, largest, count):
    assert len(detector.find(gray, None, smallest, largest)) == count


@pytest.mark.parametrize(
    ("within", "count"),
    [
        (Box(150, 40, 160, 160), 1),
        (Box(300, 40, 200, 160), 0),  # beside it
        (Box(150, 40, 80, 160), 0),  # half of it
        (Box(-100, -200, 420, 420), 1),  # what lies outside the image is left out
        (Box(150, 40, 5000, 5000), 1),
    ],
)
@pytest.mark.parametrize("smallest", [20, 60])  # as it is, and shrunk
def test_in_a_part_of_the_image_only_what_lies_wholly_in_it_is_found(detector, gray, within, count, smallest):
    finds = detector.find(gray, within, smallest, 150)
    assert [find.box.iou(PORTRAIT_FACE) > 0.7 for find in finds] == [True] * count


@pytest.mark.parametrize("smallest", [20, 60])
@pytest.mark.parametrize(
    "within",
    [Box(-300, 0, 200, 512), Box(0, -300, 512, 200), Box(900, 10, 99, 99), Box(9, 900, 99, 99), Box(5, 5, 0, 0)],
)
def test_a_part_wholly_outside_the_image_or_without_pixels_holds_no_face(detector, gray, within, smallest):
    assert detector.find(gray, within, smallest) == []


@pytest.mark.parametrize("side", [WINDOW, 60, 240])
def test_the_smallest_face_is_shrunk_to_one_size_so_that_a_large_image_costs_no_more(side):
    searched = []

    class Listening:
        def detectMultiScale2(self, part, *_, minSize, maxSize):  # noqa: N802, N803 (OpenCV's names)
            searched.append((part.shape, minSize, maxSize))
            return (), ()

    detector = HaarDetector()
    detector._cascade = Listening()  # type: ignore[assignment]
    factor = side / WINDOW
    detector.find(np.zeros((round(200 * factor), round(300 * factor)), np.uint8), None, side, 2 * side)
    assert searched == [((200, 300), (WINDOW, WINDOW), (2 * WINDOW, 2 * WINDOW))]


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (30, 30), (3, 2000), (2000, 3)])
@pytest.mark.parametrize("smallest", [16, MIN_FACE, 300])
def test_an_empty_image_of_any_shape_has_no_face(detector, shape, smallest):
    assert detector.find(np.full(shape, 90, np.uint8), None, smallest) == []


def test_a_image_that_is_a_view_is_searched_like_a_copy(detector, gray):
    padded = np.pad(gray, ((0, 0), (0, 64)))[:, :512]  # a camera's rows may be longer than its image
    assert detector.find(padded) == detector.find(gray)


def test_another_cascade_of_opencvs_may_be_named(gray):
    path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"  # type: ignore[attr-defined]
    own, usual = (HaarDetector(cascade).find(gray) for cascade in (path, None))
    assert max(find.box.iou(PORTRAIT_FACE) for find in own) > 0.7
    assert own != usual


def test_a_cascade_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"eyes\.xml: no such cascade"):
        HaarDetector(cascade=tmp_path / "eyes.xml")


@pytest.mark.parametrize("content", ["", "no cascade", "<?xml version='1.0'?><opencv_storage></opencv_storage>"])
def test_a_file_that_is_no_cascade_is_named(tmp_path, content):
    (tmp_path / "text.xml").write_text(content)
    with pytest.raises(SettingsError, match=r"text\.xml: not a cascade"):
        HaarDetector(cascade=tmp_path / "text.xml")


def test_an_opencv_without_cascades_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(EmotionEdgeError, match="opencv-python-headless<5"):
        HaarDetector()
