"""What monitoring learns of the faces: labels, width, brightness."""

from dataclasses import replace

import numpy as np
import pytest

from edge.sinks.face_statistics import BRIGHTNESS_RATIO, FACE_WIDTH_PIXELS, FaceStatistics, Histogram
from edge.types import Box
from tests.support.fakes import FAKE_LABELS, face_result, frame_result


@pytest.fixture
def statistics():
    return FaceStatistics(FAKE_LABELS)


def test_each_face_of_each_frame_is_counted_by_its_label(statistics):
    statistics.add(frame_result(face_result("calm"), face_result(None, track_id=2)))
    statistics.add(frame_result(face_result("calm")))
    statistics.add(frame_result())
    assert (statistics.labeled, statistics.uncertain) == ({"calm": 2, "cross": 0}, 1)
    assert (statistics.width.count, statistics.brightness.count) == (3, 3)


def test_labels_that_the_model_does_not_have_make_no_counter(statistics):
    statistics.add(frame_result(replace(face_result(), label="joy")))
    assert list(statistics.labeled) == list(FAKE_LABELS)


def test_width_is_in_pixels_of_the_frame(statistics):
    statistics.add(frame_result(face_result(box=Box(0, 0, 40, 50))))
    assert statistics.width.sum == 40
    assert dict(statistics.width.buckets())["32"] == 0
    assert dict(statistics.width.buckets())["48"] == 1


@pytest.mark.parametrize("level", [0, 51, 255])
def test_brightness_is_from_black_to_white(statistics, level):
    statistics.add(frame_result(face_result(), level=level))
    assert statistics.brightness.sum == pytest.approx(level / 255)


def test_brightness_is_of_the_face_and_not_of_its_surroundings(statistics):
    result = frame_result(face_result(box=Box(300, 200, 100, 120)), size=(640, 480), level=0)
    gradient = np.linspace(100, 200, 100).astype(np.uint8)
    result.frame.gray[200:320, 300:400] = gradient
    statistics.add(result)
    assert statistics.brightness.sum == pytest.approx(gradient.mean() / 255, abs=0.02)


@pytest.mark.parametrize(("x", "count"), [(-10, 1), (90, 1), (-30, 0), (96, 0), (500, 0)])
def test_brightness_is_of_the_part_of_a_face_in_the_image(statistics, x, count):
    statistics.add(frame_result(face_result(box=Box(x, 10, 20, 24)), size=(96, 64), level=102))
    assert (statistics.width.count, statistics.brightness.count) == (1, count)
    assert statistics.brightness.sum == pytest.approx(0.4 * count)


def test_buckets_are_cumulative_and_end_with_all_values():
    histogram = Histogram((1.0, 2.5))
    for value in (0.5, 1.0, 2.0, 99.0):
        histogram.observe(value)
    assert histogram.buckets() == [("1", 2), ("2.5", 3), ("+Inf", 4)]
    assert (histogram.count, histogram.sum) == (4, 102.5)


@pytest.mark.parametrize("bounds", [FACE_WIDTH_PIXELS, BRIGHTNESS_RATIO])
def test_bounds_are_in_order(bounds):
    assert sorted(set(bounds)) == list(bounds)
