"""Detection in tiles: each face once."""

import pytest

from edge.detection.haar import HaarDetector
from edge.detection.search import detect_tiles, non_max_suppression
from edge.detection.tile_scheduler import Tile
from edge.types import Box, Detection
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
