"""What the networks share: the roll of a head, its box, and the search of an image in tiles."""

import numpy as np
import pytest

from edge.detection.network import TileSearch, head_roll, read_network, square_box
from edge.detection.tile_scheduler import Tile
from edge.errors import ModelError
from edge.types import Box
from tests.support.fakes import FakeDetector

LEFT, RIGHT = Box(40, 40, 70, 70), Box(300, 60, 80, 80)


@pytest.mark.parametrize(
    ("left_eye", "roll"),
    [((30, 10), 0), ((30, 30), 45), ((30, -10), -45), ((10, 30), 90), ((0, 11), 90), ((9, -9), -90)],
)
def test_head_that_tilts_to_the_right_has_a_positive_roll(left_eye, roll):
    assert head_roll(np.array((10.0, 10.0)), np.array(left_eye, float)) == pytest.approx(roll)


@pytest.mark.parametrize(("roll", "center"), [(0, (100, 80)), (90, (110, 90)), (-90, (90, 90)), (180, (100, 100))])
def test_box_rises_along_the_head(roll, center):
    box = square_box(np.array((100.0, 90.0)), 50, 0.2, roll)
    assert (box.x + box.width // 2, box.y + box.height // 2, box.width) == (*center, 50)


def test_image_is_searched_tile_by_tile_for_each_face_once():
    detector = FakeDetector((LEFT, 0.7), (RIGHT, 0.9))
    sizes = []

    def make_tiles(width, height, min_face_size):
        sizes.append((width, height, min_face_size))
        return [Tile(Box(x, 0, 400, 400), min_face_size, 300) for x in (0, 20)]

    faces = TileSearch(detector, make_tiles).detect(np.zeros((400, 1280), np.uint8), 30)
    assert ([face.box for face in faces], sizes) == ([RIGHT, LEFT], [(1280, 400, 60)])


def test_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ModelError, match=f"{tmp_path.name}: cannot be read"):
        read_network(tmp_path)
