"""What the model sees: the right square of the image, no finer than the training faces, at the model's size."""

import cv2
import numpy as np
import pytest

from edge.inference.preprocess import cut, model_input, resample
from edge.types import Box

# Each pixel is told from its neighbors: 3 a column and 5 a row.
RAMP = (np.arange(60)[np.newaxis, :] * 3 + np.arange(40)[:, np.newaxis] * 5 % 70).astype(np.uint8)


def test_a_square_inside_the_image_is_cut_pixel_for_pixel():
    assert np.array_equal(cut(RAMP, Box(7, 4, 20, 20), margin=0), RAMP[4:24, 7:27])


@pytest.mark.parametrize(("margin", "side"), [(0.25, 24), (-0.25, 8), (0.0, 16)])
def test_the_margin_widens_each_side_by_its_share(margin, side):
    assert np.array_equal(
        cut(RAMP, Box(20, 12, 16, 16), margin),
        RAMP[20 - side // 2 : 20 + side // 2, 28 - side // 2 : 28 + side // 2],
    )


def test_a_box_that_is_no_square_keeps_its_center_and_its_longer_side():
    assert np.array_equal(cut(RAMP, Box(20, 15, 20, 10), margin=0), RAMP[10:30, 20:40])


def test_beyond_the_border_the_border_pixels_are_repeated_and_the_face_keeps_its_place():
    square = cut(RAMP, Box(-5, 30, 20, 20), margin=0)
    assert square.shape == (20, 20)
    assert np.array_equal(square[:10, 5:], RAMP[30:40, :15])
    assert (square[:10, :5] == RAMP[30:40, :1]).all()
    assert (square[10:] == square[9]).all()


@pytest.mark.parametrize("box", [Box(60, 0, 10, 10), Box(-10, 0, 10, 10), Box(0, 40, 10, 10), Box(0, -30, 10, 10)])
def test_a_box_outside_the_image_is_an_error_that_says_so(box):
    with pytest.raises(ValueError, match="outside an image of 60 x 40"):
        cut(RAMP, box, margin=0)


def test_a_large_face_holds_no_finer_detail_than_the_training_faces():
    stripes = np.tile(np.array([0, 255], np.uint8), (96, 48))  # one pixel wide: FER2013's 48 pixels cannot hold them
    assert np.ptp(resample(stripes, detail=48, size=96)) <= 1
    assert np.ptp(resample(stripes, detail=96, size=96)) == 255


def test_a_small_face_is_enlarged_at_once():
    face = RAMP[:20, :20]
    assert np.array_equal(resample(face, detail=48, size=96), cv2.resize(face, (96, 96)))


@pytest.mark.parametrize("side", [1, 30, 48, 96, 150])
@pytest.mark.parametrize(("detail", "size"), [(48, 96), (48, 48), (96, 64)])
def test_the_result_has_the_models_size_and_keeps_its_level(side, detail, size):
    result = resample(np.full((side, side), 77, np.uint8), detail=detail, size=size)
    assert result.shape == (size, size)
    assert result.dtype == np.uint8
    assert (result == 77).all()


def test_the_models_input_is_the_cut_square_resampled():
    expected = resample(cut(RAMP, Box(10, 5, 20, 20), 0.1), detail=12, size=32)
    assert np.array_equal(model_input(RAMP, Box(10, 5, 20, 20), margin=0.1, detail=12, size=32), expected)
