"""Each corruption changes the faces in the way and by the amount that its name says, the same every time."""

import cv2
import numpy as np
import pytest

from tests.support import faces
from trainer.evaluation import corruptions
from trainer.evaluation.corruptions import CORRUPTIONS, apply_corruption

DATA = faces.tiny()
FACES = DATA.faces


def detail(images):
    return np.mean([cv2.Laplacian(face, cv2.CV_64F).std() for face in images])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_deterministic_and_keeps_the_shape(name):
    corrupted, before = CORRUPTIONS[name](FACES), FACES.copy()
    assert (corrupted.shape, corrupted.dtype.name) == (FACES.shape, "uint8")
    assert np.array_equal(corrupted, CORRUPTIONS[name](FACES))
    assert np.array_equal(FACES, before)
    assert not np.array_equal(corrupted, FACES)


def test_a_corruption_changes_faces_but_not_labels():
    corrupted = apply_corruption(DATA, corruptions.darken)
    assert np.array_equal(corrupted.faces, corruptions.darken(FACES))
    assert np.array_equal(corrupted.labels, DATA.labels)


def test_darken_keeps_a_quarter_of_the_light():
    assert np.abs(corruptions.darken(FACES) - FACES / 4).max() <= 0.5


def test_noise_has_a_sigma_of_15_gray_levels():
    noisy = corruptions.add_noise(np.full((20, 48, 48), 128, np.uint8))
    assert noisy.std() == pytest.approx(15, abs=0.3)
    assert noisy.mean() == pytest.approx(128, abs=0.3)


def test_blur_spreads_a_point_by_one_and_a_half_pixels():
    point = np.zeros((1, 48, 48), np.uint8)
    point[0, 24, 24] = 255
    blurred = corruptions.blur(point)[0].astype(float)
    offsets = np.arange(48) - 24
    assert np.sqrt((blurred.sum(axis=0) * offsets**2).sum() / blurred.sum()) == pytest.approx(1.5, abs=0.15)


def test_low_resolution_keeps_the_detail_of_20_pixels():
    small = cv2.resize(FACES[0], (20, 20), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(small, (48, 48), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(corruptions.reduce_resolution(FACES, 20)[0], enlarged)


def test_rotate_goes_left_and_right_by_15_degrees():
    bar = np.zeros((2, 96, 96), np.uint8)
    bar[:, 46:50, 8:88] = 255
    angles = []
    for rotated in corruptions.rotate(bar):
        moments = cv2.moments(rotated)
        angles.append(np.rad2deg(np.arctan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"]) / 2))
    assert angles == pytest.approx([-15, 15], abs=0.5)


def test_jitter_moves_a_point_by_at_most_a_tenth_of_the_side():
    point = np.zeros((200, 48, 48), np.uint8)
    point[:, 23:25, 23:25] = 255
    offsets = np.array([np.mean(np.nonzero(moved), axis=1) - 23.5 for moved in corruptions.jitter(point)])
    assert np.abs(offsets).max() < 0.1 * 48 * 1.12  # at the smallest scale the point is farthest
    assert np.abs(offsets).max(axis=0).min() > 3.5  # in both directions
    assert np.abs(offsets.mean(axis=0)).max() < 0.7


def test_blur_and_low_resolution_remove_detail():
    assert detail(corruptions.blur(FACES)) < 0.5 * detail(FACES)
    assert detail(corruptions.reduce_resolution(FACES, 20)) < 0.5 * detail(FACES)
