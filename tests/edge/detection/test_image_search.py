"""Single images: cut, tilted and half turned faces, each once, and few chance hits."""

from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

from edge.config.defaults import MIN_FACE_SIZE, SEARCH_WIDTH_PIXELS
from edge.detection.haar import HaarDetector
from edge.detection.image_search import CERTAIN_SCORE, SECOND_SCORE, UPRIGHT_SCORE, ImageSearch, make_image_detector
from edge.types import Box, Detection
from tests.support.images import draw_faces

LEFT, RIGHT = Box(60, 250, 100, 100), Box(300, 60, 160, 160)


class ScriptedDetector:
    """Returns chosen hits: `upright` in a search without roll, `turned` in one with a roll, or `profiles`.

    Only those whose centers lie inside the area and whose sides are in its range of sizes.
    """

    dense_window = sparse_window = 24.0

    def __init__(self, upright=(), turned=(), profiles=()):
        self._upright, self._turned, self._profiles = upright, turned, profiles
        self.profile_areas = []

    def detect(self, _gray, area, min_size, max_size, _window, roll=0.0):
        return self._inside(self._turned if roll else self._upright, area, min_size, max_size, roll)

    def detect_profiles(self, _gray, area, min_size, max_size, _window):
        self.profile_areas.append(area)
        return self._inside(self._profiles, area, min_size, max_size, 0.0)

    def _inside(self, boxes, area, min_size, max_size, roll):
        return [
            Detection(box, score, roll)
            for box, score in boxes
            if min_size <= box.width <= max_size
            and 0 <= box.x + box.width / 2 - area.x < area.width
            and 0 <= box.y + box.height / 2 - area.y < area.height
        ]


@pytest.fixture(scope="module")
def search():
    return ImageSearch(HaarDetector())


def scripted_search(detector: Any) -> ImageSearch:
    return ImageSearch(detector)


def tilted(image, roll):
    """Return `image` with its content turned clockwise by `roll` degrees, and the matrix that turns its points."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -roll, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), matrix


def center(box):
    return box.x + box.width / 2, box.y + box.height / 2


def test_largest_face_comes_first(search):
    faces = search.detect(draw_faces(("sad", LEFT), ("happy", RIGHT)))
    assert [face.box.iou(box) > 0.7 for face, box in zip(faces, (RIGHT, LEFT), strict=True)] == [True, True]


@pytest.mark.parametrize("roll", [-30, -20, -10, 0, 10, 20, 30])
def test_tilted_head_is_detected_with_its_roll(search, roll):
    image, matrix = tilted(draw_faces(("happy", RIGHT)), roll)
    (face,) = search.detect(image)
    assert center(face.box) == pytest.approx(matrix @ (*center(RIGHT), 1), abs=0.12 * RIGHT.width)
    assert face.box.width == pytest.approx(RIGHT.width, rel=0.2)
    assert abs(face.roll - roll) <= 20


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(slice(None), slice(340, None)), (slice(None), slice(None, 400)), (slice(110, None), slice(None))],
)
def test_face_that_the_border_cuts_is_detected(search, rows, columns):
    image = draw_faces(("happy", RIGHT))[rows, columns]
    (face,) = search.detect(image)
    x, y = RIGHT.x - (columns.start or 0), RIGHT.y - (rows.start or 0)
    assert face.box.iou(Box(x, y, RIGHT.width, RIGHT.height)) > 0.5


def test_upright_hit_needs_its_score():
    hits = ScriptedDetector([(RIGHT, UPRIGHT_SCORE), (LEFT, UPRIGHT_SCORE - 1)])
    faces = scripted_search(hits).detect(draw_faces())
    assert [face.box for face in faces] == [RIGHT]


@pytest.mark.parametrize("score", [SECOND_SCORE - 1, SECOND_SCORE])
def test_weak_hit_beside_a_face_needs_a_second_opinion(score):
    hits = ScriptedDetector([(RIGHT, UPRIGHT_SCORE), (LEFT, UPRIGHT_SCORE - 1)], [(LEFT, score)])
    faces = scripted_search(hits).detect(draw_faces())
    assert [face.box for face in faces] == [RIGHT, LEFT][: 1 + (score == SECOND_SCORE)]


@pytest.mark.parametrize("roll", [-30, -25, 25, 30])
def test_tilted_head_beside_an_upright_one_is_detected(search, roll):
    tilted_one, _ = tilted(draw_faces(("happy", Box(400, 160, 120, 120))), roll)
    image = np.hstack([draw_faces(("sad", Box(100, 160, 140, 140)))[:, :320], tilted_one[:, 320:]])
    upright, turned = sorted((face.roll for face in search.detect(image)), key=abs)
    assert upright == 0
    assert turned == pytest.approx(roll, abs=10)


def test_head_of_another_size_beside_a_face_is_not_looked_for():
    tiny = Box(500, 400, 40, 40)
    hits = ScriptedDetector([(RIGHT, CERTAIN_SCORE)], [(tiny, 99)])
    assert [face.box for face in scripted_search(hits).detect(draw_faces())] == [RIGHT]


def test_profiles_beside_a_face_are_looked_for_at_weak_hits_only():
    detector = ScriptedDetector(
        [(RIGHT, CERTAIN_SCORE), (LEFT, UPRIGHT_SCORE - 1)], profiles=[(LEFT, 3), (Box(500, 350, 99, 99), 3)]
    )
    assert {face.box for face in scripted_search(detector).detect(draw_faces())} == {RIGHT, LEFT}
    assert all(area.width <= 3 * LEFT.width for area in detector.profile_areas)


def test_profile_is_detected_where_nothing_else_is():
    faces = scripted_search(ScriptedDetector(profiles=[(RIGHT, 3)])).detect(draw_faces())
    assert [face.box for face in faces] == [RIGHT]


def test_box_inside_the_box_of_a_face_is_no_second_face():
    inner = Box(RIGHT.x + 50, RIGHT.y + 50, 50, 50)
    hits = ScriptedDetector([(RIGHT, 20), (inner, 10), (LEFT, 9)])
    assert [face.box for face in scripted_search(hits).detect(draw_faces())] == [RIGHT, LEFT]


@pytest.mark.parametrize("name", ["chelsea", "gravel", "page"])
def test_image_without_a_face_has_none(search, name):
    image = getattr(skimage.data, name)()
    assert search.detect(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) == []


@pytest.mark.parametrize("width", [320, SEARCH_WIDTH_PIXELS, 2 * SEARCH_WIDTH_PIXELS])
def test_smallest_face_of_a_wider_image_is_larger(search, width):
    factor = max(1, width / SEARCH_WIDTH_PIXELS)
    side = round(1.3 * MIN_FACE_SIZE * factor)
    image = draw_faces(("neutral", Box(width // 3, width // 3, side, side)), size=(width, width * 3 // 4))
    assert len(search.detect(image, MIN_FACE_SIZE)) == 1
    assert len(search.detect(image, 2 * MIN_FACE_SIZE)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (29, 200), (200, 29), (31, 31)])
def test_tiny_image_has_no_faces(search, shape):
    assert search.detect(np.full(shape, 90, np.uint8), 30) == []


def test_threads_are_those_that_the_user_names():
    image = np.full((120, 120), 90, np.uint8)
    before = cv2.getNumThreads()
    try:
        make_image_detector(None, 2).detect(image)  # without a face all cascades are loaded
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
