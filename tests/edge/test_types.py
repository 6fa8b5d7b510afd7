"""The values that flow through: boxes overlap as rectangles do, and nothing changes once it is made."""

from dataclasses import FrozenInstanceError, replace
from time import monotonic

import numpy as np
import pytest

from edge.types import Box, Detection, Face, Track
from tests.support.fakes import face_result, frame, frame_result

BOX = Box(10, 10, 20, 20)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (BOX, 1.0),
        (Box(20, 10, 20, 20), 1 / 3),  # half of each is shared
        (Box(15, 15, 10, 10), 1 / 4),  # wholly inside
        (Box(30, 10, 20, 20), 0.0),  # touching
        (Box(90, 90, 5, 5), 0.0),
        (Box(40, 40, 20, 20), 0.0),  # apart in both directions, which must not multiply to something positive
    ],
)
def test_overlap_is_intersection_over_union_whichever_box_is_asked(other, expected):
    assert BOX.iou(other) == pytest.approx(expected)
    assert other.iou(BOX) == pytest.approx(expected)


def test_boxes_without_area_overlap_nothing():
    assert Box(5, 5, 0, 0).iou(Box(5, 5, 0, 0)) == 0


def test_a_box_is_in_the_same_place_of_a_image_of_another_size():
    assert Box(10, 21, 40, 35).scaled(2) == Box(20, 42, 80, 70)
    assert Box(-10, 21, 40, 35).scaled(1.5) == Box(-15, 32, 60, 52)


def test_a_frame_arrives_when_it_is_made_unless_its_camera_knows_better():
    begin = monotonic()
    made = frame()
    assert begin <= made.arrived <= monotonic()
    assert made.convert == 0
    assert replace(made, captured_at=3.5, convert_seconds=0.25).arrived == 3.5


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (BOX, "x"),
        (Detection(BOX, 5), "support"),
        (Track(1, BOX), "id"),
        (Face(BOX, np.ones(1, np.float32), 1, 0, 2.5), "since"),
        (frame(), "index"),
        (face_result(), "label"),
        (frame_result(), "readings"),
    ],
)
def test_no_value_can_be_changed_on_its_way(value, field):
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, 1)
