"""Detection in tiles and in single images: each face once, weak detections left out."""

import numpy as np
import pytest

from edge.config.defaults import MIN_FACE_SIZE, SEARCH_WIDTH_PIXELS
from edge.detection.haar import HaarDetector
from edge.detection.search import IMAGE_SCORE, detect_image, detect_tiles, non_max_suppression
from edge.detection.tile_scheduler import Tile
from edge.types import Box, Detection
from tests.support.fakes import FakeDetector
from tests.support.images import draw_faces

LEFT, RIGHT = Box(60, 250, 100, 100), Box(300, 60, 160, 160)


def shifted(box, pixels):
    return Box(box.x + pixels, box.y, box.width, box.height)


@pytest.fixture(scope="module")
def detector():
    return HaarDetector()


def test_best_of_overlapping_detections_is_kept():
    detections = [
        Detection(shifted(RIGHT, 5), 3),
        Detection(RIGHT, 20),
        Detection(shifted(RIGHT, -9), 7),
        Detection(LEFT, 2),
    ]
    assert non_max_suppression(detections) == [Detection(RIGHT, 20), Detection(LEFT, 2)]
    assert non_max_suppression([]) == []


def test_face_in_two_tiles_is_detected_once(detector):
    image = draw_faces(("happy", RIGHT))
    areas = [Box(200, 0, 440, 400), Box(150, 0, 400, 300)]
    each = [detect_tiles(detector, image, [Tile(area, 60, 300)]) for area in areas]
    assert [len(detections) for detections in each] == [1, 1]
    (both,) = detect_tiles(detector, image, [Tile(area, 60, 300) for area in areas])
    assert both.score == max(detections[0].score for detections in each)


def test_single_image_gives_the_largest_face_first(detector):
    widths = [detection.box.width for detection in detect_image(detector, draw_faces(("sad", LEFT), ("happy", RIGHT)))]
    assert len(widths) == 2
    assert widths == sorted(widths, reverse=True)


def test_single_image_needs_a_high_score_and_a_dense_search():
    detector = FakeDetector((RIGHT, IMAGE_SCORE), (LEFT, IMAGE_SCORE - 1))
    detections = detect_image(detector, draw_faces())  # type: ignore[arg-type]
    assert [detection.box for detection in detections] == [RIGHT]
    assert set(detector.windows) == {detector.dense_window}


@pytest.mark.parametrize("width", [320, SEARCH_WIDTH_PIXELS, 2 * SEARCH_WIDTH_PIXELS, 3 * SEARCH_WIDTH_PIXELS])
def test_smallest_face_of_a_wider_image_is_larger(detector, width):
    factor = max(1, width / SEARCH_WIDTH_PIXELS)
    side = round(1.3 * MIN_FACE_SIZE * factor)
    image = draw_faces(("neutral", Box(width // 3, width // 3, side, side)), size=(width, width * 3 // 4))
    assert len(detect_image(detector, image, MIN_FACE_SIZE)) == 1
    assert len(detect_image(detector, image, 2 * MIN_FACE_SIZE)) == 0


def test_image_smaller_than_the_smallest_face_has_no_faces(detector):
    assert detect_image(detector, np.full((29, 200), 90, np.uint8), 30) == []
