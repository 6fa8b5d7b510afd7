"""Values: IoU and scaling of boxes, defaults of a frame, and immutability."""

from dataclasses import FrozenInstanceError, replace
from time import monotonic

import numpy as np
import pytest

from edge.types import Box, Detection, InferenceRequest, RunInfo, RunStats, Track
from tests.support.fakes import face_result, frame, frame_result

BOX = Box(10, 10, 20, 20)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (BOX, 1.0),
        (Box(20, 10, 20, 20), 1 / 3),  # half of each overlaps
        (Box(15, 15, 10, 10), 1 / 4),  # contained
        (Box(30, 10, 20, 20), 0.0),  # touching
        (Box(90, 90, 5, 5), 0.0),
        (Box(40, 40, 20, 20), 0.0),  # disjoint in both directions: two negative lengths have a positive product
    ],
)
def test_iou_is_symmetric_intersection_over_union(other, expected):
    assert BOX.iou(other) == pytest.approx(expected)
    assert other.iou(BOX) == pytest.approx(expected)


def test_iou_of_boxes_without_area_is_zero():
    assert Box(5, 5, 0, 0).iou(Box(5, 5, 0, 0)) == 0


def test_scaled_box_covers_the_same_part_of_the_image():
    assert Box(10, 21, 40, 35).scaled(2) == Box(20, 42, 80, 70)
    assert Box(-10, 21, 40, 35).scaled(1.5) == Box(-15, 32, 60, 52)


def test_a_padded_box_is_larger_on_each_side():
    assert Box(10, 21, 40, 35).padded(5) == Box(5, 16, 50, 45)
    assert Box(10, 21, 40, 35).padded(0) == Box(10, 21, 40, 35)


def test_slices_select_the_rows_and_columns_of_a_box():
    image = np.arange(12).reshape(3, 4)
    assert image[Box(1, 0, 3, 2).slices].tolist() == [[1, 2, 3], [5, 6, 7]]


def test_capture_time_of_a_frame_is_now_unless_given():
    before = monotonic()
    made = frame()
    assert before <= made.captured_at <= monotonic()
    assert made.convert_seconds == 0
    assert replace(made, captured_at=3.5, convert_seconds=0.25).captured_at == 3.5


def test_run_info_without_an_analyzer_finds_no_faces():
    assert RunInfo().analyze_image(b"a photo")["faces"] == []


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (BOX, "x"),
        (Detection(BOX, 5), "score"),
        (Track(1, BOX), "track_id"),
        (InferenceRequest(Track(1, BOX)), "flip"),
        (frame(), "index"),
        (face_result(), "label"),
        (frame_result(), "faces"),
        (RunStats(), "frames"),
        (RunInfo(), "live"),
    ],
)
def test_values_are_immutable(value, field):
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, 1)
