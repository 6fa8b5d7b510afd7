"""The model's input: the right square of the image, no finer than the training faces, at the model's size."""

import platform
import zlib

import cv2
import numpy as np
import pytest

from edge.inference.preprocess import (
    FLIP_PADDING,
    MAX_TRAINED_ROLL,
    as_rgb,
    center_square,
    crop,
    flip_crop,
    model_input,
    resample,
)
from edge.types import Box

# Each pixel differs from its neighbors: 3 gray levels a column and 5 a row.
RAMP = (np.arange(60)[np.newaxis, :] * 3 + np.arange(40)[:, np.newaxis] * 5 % 70).astype(np.uint8)


def test_square_inside_the_image_is_cropped_pixel_for_pixel():
    assert np.array_equal(crop(RAMP, Box(7, 4, 20, 20), padding=0), RAMP[4:24, 7:27])


@pytest.mark.parametrize(("padding", "side"), [(0.25, 24), (-0.25, 8), (0.0, 16)])
def test_padding_widens_each_side_by_its_fraction(padding, side):
    expected = RAMP[20 - side // 2 : 20 + side // 2, 28 - side // 2 : 28 + side // 2]
    assert np.array_equal(crop(RAMP, Box(20, 12, 16, 16), padding), expected)


def test_crop_of_a_rectangle_keeps_its_center_and_longer_side():
    assert np.array_equal(crop(RAMP, Box(20, 15, 20, 10), padding=0), RAMP[10:30, 20:40])


def test_border_pixels_are_repeated_outside_the_image():
    square = crop(RAMP, Box(-5, 30, 20, 20), padding=0)
    assert square.shape == (20, 20)
    assert np.array_equal(square[:10, 5:], RAMP[30:40, :15])
    assert (square[:10, :5] == RAMP[30:40, :1]).all()
    assert (square[10:] == square[9]).all()


@pytest.mark.parametrize("box", [Box(60, 0, 10, 10), Box(-10, 0, 10, 10), Box(0, 40, 10, 10), Box(0, -30, 10, 10)])
def test_box_outside_the_image_is_an_error(box):
    with pytest.raises(ValueError, match="60 x 40"):
        crop(RAMP, box, padding=0)


def test_large_face_has_no_finer_detail_than_the_training_faces():
    stripes = np.tile(np.array([0, 255], np.uint8), (96, 48))  # one pixel wide: 48 pixels cannot hold them
    assert np.ptp(resample(stripes, effective_resolution=48, size=96)) <= 1
    assert np.ptp(resample(stripes, effective_resolution=96, size=96)) == 255


@pytest.mark.parametrize("side", [1, 2, 3, 20, 31, 47, 48])
@pytest.mark.parametrize("size", [48, 96, 128, 224])
def test_small_face_is_enlarged_by_linear_interpolation(side, size):
    face = np.random.default_rng(side).integers(0, 256, (side, side), np.uint8)
    enlarged = resample(face, effective_resolution=48, size=size).astype(int)
    expected = cv2.resize(face, (size, size), interpolation=cv2.INTER_LINEAR)
    # OpenCV rounds otherwise on arm64, where the result must not: labels depend on it.
    assert np.abs(enlarged - expected).max() <= (0 if platform.machine() == "x86_64" else 1)


def test_enlarged_face_has_the_same_bits_on_every_processor():
    face = (np.arange(48 * 48).reshape(48, 48) * 37 % 251).astype(np.uint8)
    enlarged = resample(face, effective_resolution=48, size=128)
    assert zlib.crc32(enlarged.tobytes()) == 0x8D444C4A


@pytest.mark.parametrize("side", [1, 30, 48, 96, 150])
@pytest.mark.parametrize(("effective_resolution", "size"), [(48, 96), (48, 48), (96, 64)])
def test_result_has_the_models_size_and_the_same_level(side, effective_resolution, size):
    face = np.full((side, side), 77, np.uint8)
    result = resample(face, effective_resolution=effective_resolution, size=size)
    assert result.shape == (size, size)
    assert result.dtype == np.uint8
    assert (result == 77).all()


def test_flipped_crop_is_mirrored_and_tighter():
    face = np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8)
    pixels = round(-FLIP_PADDING * 100)
    flipped = flip_crop(face)
    assert np.array_equal(flipped, face[pixels:-pixels, pixels:-pixels][:, ::-1])
    assert flipped.flags.c_contiguous


@pytest.mark.parametrize("flip", [False, True])
def test_models_input_is_the_crop_resampled(flip):
    box = Box(10, 5, 20, 20)
    face = crop(RAMP, box, 0.1)
    expected = resample(flip_crop(face) if flip else face, effective_resolution=12, size=32)
    actual = model_input(RAMP, box, padding=0.1, effective_resolution=12, size=32, flip=flip)
    assert np.array_equal(actual, expected)


@pytest.mark.parametrize("roll", [-30, 20, 90])
def test_crop_of_a_tilted_head_is_upright(roll):
    upright = np.random.default_rng(1).integers(0, 255, (8, 8)).astype(np.uint8)
    upright = cv2.resize(upright, (80, 80), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    image = cv2.copyMakeBorder(upright, 40, 40, 60, 60, cv2.BORDER_REPLICATE).astype(np.uint8)
    tilt = cv2.getRotationMatrix2D((99.5, 79.5), -roll, 1.0)  # clockwise for a positive roll
    tilted = cv2.warpAffine(image, tilt, (200, 160), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)
    box = Box(60, 40, 80, 80)
    difference = cv2.absdiff(crop(tilted, box, 0.0, roll), crop(image, box, 0.0))
    assert difference[8:-8, 8:-8].mean() < 4 < cv2.absdiff(crop(tilted, box, 0.0), crop(image, box, 0.0)).mean()


@pytest.mark.parametrize(
    ("roll", "turned"), [(MAX_TRAINED_ROLL, False), (-MAX_TRAINED_ROLL, False), (25, True), (-40, True)]
)
def test_only_a_clear_tilt_is_turned_upright(roll, turned):
    upright, result = (
        model_input(RAMP, Box(10, 10, 20, 20), padding=0.0, effective_resolution=20, size=20, roll=angle)
        for angle in (0.0, roll)
    )
    assert np.array_equal(upright, result) != turned


def test_tilted_face_in_a_very_long_image_is_turned():
    image = np.zeros((40_000, 50), np.uint8)
    assert crop(image, Box(5, 39_000, 40, 40), padding=0.1, roll=20.0).shape == (48, 48)


@pytest.mark.parametrize(("padding", "flip", "roll", "size"), [(0.0, False, 0.0, 48), (0.4, True, 25.0, 96)])
def test_channels_of_a_color_image_are_processed_as_gray_ones(padding, flip, roll, size):
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    options = {"padding": padding, "effective_resolution": 32, "size": size, "flip": flip, "roll": roll}
    face = model_input(image, Box(50, 20, 45, 45), **options)
    channels = [model_input(np.ascontiguousarray(image[..., i]), Box(50, 20, 45, 45), **options) for i in range(3)]
    assert np.array_equal(face, np.stack(channels, axis=-1))
    assert center_square(image) == center_square(image[..., 0])


def test_color_is_turned_from_bgr_to_rgb_and_gray_repeated():
    face = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(as_rgb(face), face[..., [2, 1, 0]])
    assert np.array_equal(as_rgb(RAMP[:8, :8]), np.stack([RAMP[:8, :8]] * 3, axis=-1))
