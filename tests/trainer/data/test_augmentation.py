"""Augmentation stays within its ranges; without it a face is what the device gives to the model."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edge.inference.preprocess import resample
from tests.support import faces
from trainer.data.augmentation import (
    NO_AUGMENTATION,
    Augmentation,
    adjust_lighting,
    affine_matrix,
    augment,
    corrupt,
    erase_rectangle,
)

FACE = faces.tiny(training=1).faces[3]
DEFAULT = Augmentation()


class ConstantGenerator:
    """A random generator each of whose draws lies at the same fraction of its range."""

    def __init__(self, fraction: float) -> None:
        self.fraction = fraction

    def uniform(self, low, high, size=None):
        value = low + self.fraction * (high - low)
        return value if size is None else np.full(size, value)

    def random(self):
        return self.fraction


def constant(fraction) -> Any:
    return ConstantGenerator(fraction)


def rng(seed=0):
    return np.random.default_rng(seed)


def device_input(size):
    return resample(FACE, effective_resolution=48, size=size).astype(int)


def source_of(point, ranges, fraction):
    """Return which point (x, y) of a face 48 wide comes to `point` of a result 48 wide."""
    return affine_matrix(48, 48, ranges, constant(fraction)) @ (*point, 1)


@pytest.mark.parametrize("size", [20, 32, 48, 96, 192])
def test_without_augmentation_a_face_is_the_devices_input(size):
    assert np.abs(augment(FACE, size, NO_AUGMENTATION, rng()) - device_input(size)).max() <= 1


def test_other_sizes_differ_little_from_the_devices_input():
    # The affine map rounds to 1/32 px.
    assert np.abs(augment(FACE, 100, NO_AUGMENTATION, rng()) - device_input(100)).mean() < 0.5


# --- affine map -----------------------------------------------------------------------------------------------------


def test_flip_mirrors_half_of_the_faces_and_changes_nothing_else():
    ranges, expected = replace(NO_AUGMENTATION, flip=True), device_input(96)
    results = [augment(FACE, 96, ranges, rng(seed)).astype(int) for seed in range(40)]
    mirrored = [np.abs(result - expected[:, ::-1]).max() <= 1 for result in results]
    unchanged = [np.abs(result - expected).max() <= 1 for result in results]
    assert all(one != other for one, other in zip(mirrored, unchanged, strict=True))
    assert 8 < sum(mirrored) < 32


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_rotation_around_the_center_is_within_its_degrees(fraction):
    ranges = replace(NO_AUGMENTATION, rotate=12)
    matrix = affine_matrix(48, 48, ranges, constant(fraction))
    assert np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0])) == pytest.approx(-12 + 24 * fraction)
    assert source_of((23.5, 23.5), ranges, fraction) == pytest.approx([23.5, 23.5])


@pytest.mark.parametrize(("fraction", "tangent"), [(0.0, -0.176327), (0.5, 0), (1.0, 0.176327)])
def test_shear_leans_vertical_lines_within_its_angle(fraction, tangent):
    ranges = replace(NO_AUGMENTATION, shear=10)
    assert source_of((23.5, 23.5), ranges, fraction) == pytest.approx([23.5, 23.5])
    assert source_of((40, 23.5), ranges, fraction) == pytest.approx([40, 23.5])  # a horizontal line stays
    assert source_of((23.5, 33.5), ranges, fraction) == pytest.approx([23.5 + 10 * tangent, 33.5])


def test_sheared_face_is_turned_and_shifted_as_without_shear():
    ranges = replace(NO_AUGMENTATION, rotate=12, shift=0.1, zoom=0.15)
    expected = affine_matrix(48, 48, ranges, constant(0.9))
    sheared = affine_matrix(48, 48, replace(ranges, shear=10), constant(0.9))
    assert sheared[:, 0] == pytest.approx(expected[:, 0])
    assert sheared @ (23.5, 23.5, 1) == pytest.approx(expected @ (23.5, 23.5, 1))
    assert np.linalg.det(sheared[:, :2]) == pytest.approx(np.linalg.det(expected[:, :2]))  # the area stays


def test_augmentation_without_shear_draws_no_number_for_it():
    used, expected = rng(), rng()
    affine_matrix(48, 48, replace(DEFAULT, shear=0), used)
    expected.random(5)  # rotation, zoom, flip, and a shift in x and y
    assert used.random() == expected.random()


@pytest.mark.parametrize(("fraction", "pixels"), [(0.0, -4.8), (0.5, 0), (1.0, 4.8)])
def test_shift_is_within_its_fraction_of_the_side(fraction, pixels):
    ranges = replace(NO_AUGMENTATION, shift=0.1)
    for point in ((0, 0), (23.5, 23.5), (47, 10)):
        assert source_of(point, ranges, fraction) - point == pytest.approx([pixels, pixels])


@pytest.mark.parametrize(("fraction", "scale"), [(0.0, 0.85), (0.5, 1), (1.0, 1.15)])
def test_zoom_around_the_center_is_within_its_fraction(fraction, scale):
    ranges = replace(NO_AUGMENTATION, zoom=0.15)
    assert source_of((23.5, 23.5), ranges, fraction) == pytest.approx([23.5, 23.5])
    assert source_of((47, 47), ranges, fraction) - 23.5 == pytest.approx([23.5 * scale] * 2)


def test_border_pixels_are_repeated_outside_of_the_face():
    white = np.full((48, 48), 255, np.uint8)
    ranges = replace(NO_AUGMENTATION, shift=0.5, zoom=0.5, rotate=45)
    assert all(augment(white, 48, ranges, rng(seed)).min() == 255 for seed in range(10))


# --- lighting and erasing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fraction", "levels"), [(0.0, -30), (0.5, 0), (1.0, 30)])
def test_brightness_is_within_its_levels_and_clipped(fraction, levels):
    result = adjust_lighting(FACE, replace(NO_AUGMENTATION, brightness=30), constant(fraction))
    assert np.array_equal(result, np.clip(FACE.astype(int) + levels, 0, 255))


@pytest.mark.parametrize(("fraction", "gain"), [(0.0, 0.75), (0.5, 1), (1.0, 1.25)])
def test_contrast_scales_around_the_mean(fraction, gain):
    result = adjust_lighting(FACE, replace(NO_AUGMENTATION, contrast=0.25), constant(fraction))
    expected = np.clip((FACE - FACE.mean()) * gain + FACE.mean(), 0, 255)
    assert np.abs(result - expected).max() <= 0.51


def test_erased_rectangle_has_one_gray_and_4_to_16_percent():
    for seed in range(30):
        result = erase_rectangle(FACE.copy(), replace(NO_AUGMENTATION, erase=1), rng(seed))
        changed = (result != FACE).astype(np.uint8)
        _, _, width, height = cv2.boundingRect(changed)
        assert len(np.unique(result[changed > 0])) == 1
        assert 0.025 * 48**2 < width * height <= 0.16 * 48**2 + 1


def test_erasing_has_its_probability():
    ranges = replace(NO_AUGMENTATION, erase=0.25)
    changed = [not np.array_equal(erase_rectangle(FACE.copy(), ranges, rng(n)), FACE) for n in range(400)]
    assert 70 < sum(changed) < 130


# --- camera degradations --------------------------------------------------------------------------------------------


def corrupted(**probabilities):
    ranges = replace(NO_AUGMENTATION, **probabilities)
    return [corrupt(FACE, ranges, rng(seed)) for seed in range(400)]


@pytest.mark.parametrize("name", ["blur", "darken", "noise"])
def test_corruption_has_its_probability(name):
    assert 70 < sum(not np.array_equal(result, FACE) for result in corrupted(**{name: 0.25})) < 130


def test_blurred_face_has_less_detail_and_the_same_brightness():
    detail = cv2.Laplacian(FACE, cv2.CV_64F).std()
    for result in corrupted(blur=1):
        assert cv2.Laplacian(result, cv2.CV_64F).std() < 0.9 * detail
        assert result.mean() == pytest.approx(FACE.mean(), abs=2)


def test_darkened_face_keeps_15_to_80_percent_of_the_light():
    light = [result.mean() / FACE.mean() for result in corrupted(darken=1)]
    assert (min(light), max(light)) == (pytest.approx(0.15, abs=0.02), pytest.approx(0.8, abs=0.02))


def test_noise_has_a_sigma_of_3_to_20_gray_levels():
    gray = np.full((48, 48), 128, np.uint8)
    ranges = replace(NO_AUGMENTATION, noise=1)
    results = [corrupt(gray, ranges, rng(seed)).astype(float) for seed in range(200)]
    sigmas = [result.std() for result in results]
    assert (min(sigmas), max(sigmas)) == (pytest.approx(3, abs=0.5), pytest.approx(20, abs=1))
    assert np.mean(results) == pytest.approx(128, abs=0.5)


# --- all together ---------------------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_image():
    assert np.array_equal(augment(FACE, 96, DEFAULT, rng(1)), augment(FACE, 96, DEFAULT, rng(1)))
    assert not np.array_equal(augment(FACE, 96, DEFAULT, rng(1)), augment(FACE, 96, DEFAULT, rng(2)))


def test_result_is_uint8_and_the_face_is_not_changed():
    before = FACE.copy()
    for seed in range(50):
        result = augment(FACE, 64, DEFAULT, rng(seed))
        assert (result.shape, result.dtype.name) == ((64, 64), "uint8")
    assert np.array_equal(FACE, before)


def test_augmented_faces_resemble_the_face():
    # Their mean resembles the face (mirrored in half of the cases), not noise.
    mean = np.mean([augment(FACE, 48, DEFAULT, rng(seed)) for seed in range(300)], axis=0)
    expected = (FACE.astype(float) + FACE[:, ::-1]) / 2
    assert np.corrcoef(mean.ravel(), expected.ravel())[0, 1] > 0.9
