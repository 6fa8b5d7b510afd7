"""Each condition spoils the faces in the way and as far as its name says, the same each time."""

import cv2
import numpy as np
import pytest

from tests.support import faces
from trainer.evaluation import corruptions as robustness

DATA = faces.tiny()
FACES = DATA.faces
CONDITIONS = robustness.conditions()


def detail(images):
    return np.mean([cv2.Laplacian(face, cv2.CV_64F).std() for face in images])


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_keeps_shape_and_kind_and_is_the_same_each_time(name):
    made, before = CONDITIONS[name](FACES), FACES.copy()
    assert (made.shape, made.dtype.name) == (FACES.shape, "uint8")
    assert np.array_equal(made, CONDITIONS[name](FACES))
    assert np.array_equal(FACES, before)
    assert np.array_equal(made, FACES) == (name == "as it is")


def test_faces_are_changed_and_their_labels_stay():
    corrupted = robustness.under(DATA, robustness.dim)
    assert np.array_equal(corrupted.faces, robustness.dim(FACES))
    assert np.array_equal(corrupted.labels, DATA.labels)


def test_dim_leaves_a_quarter_of_the_light():
    assert np.abs(robustness.dim(FACES) - FACES / 4).max() <= 0.5


def test_noise_has_a_sigma_of_15_gray_levels():
    gray = np.full((20, 48, 48), 128, np.uint8)
    assert robustness.noise(gray).std() == pytest.approx(15, abs=0.3)
    assert robustness.noise(gray).mean() == pytest.approx(128, abs=0.3)


def test_blur_spreads_a_point_by_one_and_a_half_pixels():
    point = np.zeros((1, 48, 48), np.uint8)
    point[0, 24, 24] = 255
    spread = robustness.blur(point)[0].astype(float)
    across = np.arange(48) - 24
    assert np.sqrt((spread.sum(axis=0) * across**2).sum() / spread.sum()) == pytest.approx(1.5, abs=0.15)


def test_a_shrunk_face_is_what_so_few_pixels_give():
    few = cv2.resize(FACES[0], (20, 20), interpolation=cv2.INTER_AREA)
    again = cv2.resize(few, (48, 48), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(robustness.shrink(FACES, 20)[0], again)


def test_turn_goes_to_the_left_and_to_the_right_by_15_degrees():
    bar = np.zeros((2, 96, 96), np.uint8)
    bar[:, 46:50, 8:88] = 255
    angles = []
    for made in robustness.turn(bar):
        moments = cv2.moments(made)
        angles.append(np.rad2deg(np.arctan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"]) / 2))
    assert angles == pytest.approx([-15, 15], abs=0.5)


def test_jitter_moves_a_point_by_at_most_a_tenth_of_the_side_in_both_directions():
    point = np.zeros((200, 48, 48), np.uint8)
    point[:, 23:25, 23:25] = 255
    places = np.array([np.mean(np.nonzero(made), axis=1) - 23.5 for made in robustness.jitter(point)])
    assert np.abs(places).max() < 0.1 * 48 * 1.12  # at the smallest scale the point is farthest
    assert np.abs(places).max(axis=0).min() > 3.5
    assert np.abs(places.mean(axis=0)).max() < 0.7


def test_blurred_and_shrunk_faces_have_less_detail():
    assert detail(robustness.blur(FACES)) < 0.5 * detail(FACES)
    assert detail(robustness.shrink(FACES, 20)) < 0.5 * detail(FACES)
