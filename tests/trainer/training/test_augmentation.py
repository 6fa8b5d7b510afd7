"""Training images are changed as far as is said and no further; with everything off they are what the device sees."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edge.inference.preprocess import resample
from tests.support import faces
from trainer.training.augmentation import OFF, Augmentation, affine, augment, erase, relight, spoil

FACE = faces.tiny(training=1).faces[3]
ALL = Augmentation()


class Always:
    """Stands in for a generator: each draw is the same share of the way through its range."""

    def __init__(self, share: float) -> None:
        self.share = share

    def uniform(self, low, high, size=None):
        value = low + self.share * (high - low)
        return value if size is None else np.full(size, value)

    def random(self):
        return self.share


def always(share) -> Any:
    return Always(share)


def rng(seed=0):
    return np.random.default_rng(seed)


def moved(center, how, share):
    """Return where the point (x, y) of the result comes from, in pixels of a face 48 wide, result 48 wide."""
    return affine(48, 48, how, always(share)) @ (*center, 1)


@pytest.mark.parametrize("size", [48, 96, 192])
def test_with_everything_off_a_face_is_what_the_device_sees(size):
    made, seen = augment(FACE, size, OFF, rng()), resample(FACE, detail=48, size=size)
    assert np.abs(made.astype(int) - seen).max() <= 1


@pytest.mark.parametrize(("size", "levels"), [(32, 5), (100, 0.5)])
def test_at_sizes_that_are_no_multiple_a_face_is_nearly_what_the_device_sees(size, levels):
    # When shrinking the device averages over areas, this does not; else it is the rounding to 1/32 px.
    made, seen = augment(FACE, size, OFF, rng()), resample(FACE, detail=48, size=size)
    assert np.abs(made.astype(int) - seen).mean() < levels


def test_flip_alone_mirrors_every_other_face_and_changes_nothing_else():
    how, seen = replace(OFF, flip=True), resample(FACE, detail=48, size=96).astype(int)
    makings = [augment(FACE, 96, how, rng(seed)).astype(int) for seed in range(40)]
    mirrored = [np.abs(made - seen[:, ::-1]).max() <= 1 for made in makings]
    plain = [np.abs(made - seen).max() <= 1 for made in makings]
    assert all(one != other for one, other in zip(mirrored, plain, strict=True))
    assert 8 < sum(mirrored) < 32


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_rotate_turns_around_the_middle_by_at_most_its_degrees(share):
    how = replace(OFF, rotate=12)
    matrix = affine(48, 48, how, always(share))
    assert np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0])) == pytest.approx(-12 + 24 * share)
    assert moved((23.5, 23.5), how, share) == pytest.approx([23.5, 23.5])


@pytest.mark.parametrize(("share", "pixels"), [(0.0, -4.8), (0.5, 0), (1.0, 4.8)])
def test_shift_moves_by_at_most_its_share_of_the_side(share, pixels):
    how = replace(OFF, shift=0.1)
    for point in ((0, 0), (23.5, 23.5), (47, 10)):
        assert moved(point, how, share) - point == pytest.approx([pixels, pixels])


@pytest.mark.parametrize(("share", "scale"), [(0.0, 0.85), (0.5, 1), (1.0, 1.15)])
def test_zoom_scales_around_the_middle_by_at_most_its_share(share, scale):
    how = replace(OFF, zoom=0.15)
    assert moved((23.5, 23.5), how, share) == pytest.approx([23.5, 23.5])
    assert moved((47, 47), how, share) - 23.5 == pytest.approx([23.5 * scale] * 2)


def test_what_lies_outside_the_face_repeats_its_border():
    white = np.full((48, 48), 255, np.uint8)
    how = replace(OFF, shift=0.5, zoom=0.5, rotate=45)
    assert all(augment(white, 48, how, rng(seed)).min() == 255 for seed in range(10))


@pytest.mark.parametrize(("share", "levels"), [(0.0, -30), (0.5, 0), (1.0, 30)])
def test_brightness_adds_at_most_its_levels_and_stops_at_black_and_white(share, levels):
    lit = relight(FACE, replace(OFF, brightness=30), always(share))
    assert np.array_equal(lit, np.clip(FACE.astype(int) + levels, 0, 255))


@pytest.mark.parametrize(("share", "gain"), [(0.0, 0.75), (0.5, 1), (1.0, 1.25)])
def test_contrast_spreads_around_the_images_own_mean(share, gain):
    lit = relight(FACE, replace(OFF, contrast=0.25), always(share))
    expected = np.clip((FACE - FACE.mean()) * gain + FACE.mean(), 0, 255)
    assert np.abs(lit - expected).max() <= 0.51


def test_erase_covers_one_rectangle_of_4_to_16_percent_with_one_gray():
    for seed in range(30):
        made = erase(FACE.copy(), replace(OFF, erase=1), rng(seed))
        changed = (made != FACE).astype(np.uint8)
        _, _, wide, high = cv2.boundingRect(changed)
        assert len(np.unique(made[changed > 0])) == 1
        assert 0.025 * 48**2 < wide * high <= 0.16 * 48**2 + 1


def test_erase_happens_at_its_chance():
    happened = [not np.array_equal(erase(FACE.copy(), replace(OFF, erase=0.25), rng(n)), FACE) for n in range(400)]
    assert 70 < sum(happened) < 130


def corrupted(**how):
    return [spoil(FACE, replace(OFF, **how), rng(seed)) for seed in range(400)]


@pytest.mark.parametrize("what", ["soften", "dim", "noise"])
def test_spoiling_happens_at_its_chance(what):
    assert 70 < sum(not np.array_equal(made, FACE) for made in corrupted(**{what: 0.25})) < 130


def test_a_softened_face_has_less_detail_and_the_same_light():
    detail = cv2.Laplacian(FACE, cv2.CV_64F).std()
    for made in corrupted(soften=1):
        assert cv2.Laplacian(made, cv2.CV_64F).std() < 0.9 * detail
        assert made.mean() == pytest.approx(FACE.mean(), abs=2)


def test_a_dimmed_face_keeps_15_to_80_percent_of_the_light():
    shares = [made.mean() / FACE.mean() for made in corrupted(dim=1)]
    assert (min(shares), max(shares)) == (pytest.approx(0.15, abs=0.02), pytest.approx(0.8, abs=0.02))


def test_noise_is_of_at_most_20_gray_levels_and_changes_no_light():
    gray = np.full((48, 48), 128, np.uint8)
    makings = [spoil(gray, replace(OFF, noise=1), rng(seed)).astype(float) for seed in range(200)]
    sigmas = [made.std() for made in makings]
    assert (min(sigmas), max(sigmas)) == (pytest.approx(3, abs=0.5), pytest.approx(20, abs=1))
    assert np.mean(makings) == pytest.approx(128, abs=0.5)


def test_the_same_generator_gives_the_same_image_and_another_one_another():
    assert np.array_equal(augment(FACE, 96, ALL, rng(1)), augment(FACE, 96, ALL, rng(1)))
    assert not np.array_equal(augment(FACE, 96, ALL, rng(1)), augment(FACE, 96, ALL, rng(2)))


def test_a_made_image_is_gray_bytes_of_the_asked_size_and_the_stored_face_stays_as_it_was():
    before = FACE.copy()
    for seed in range(50):
        made = augment(FACE, 64, ALL, rng(seed))
        assert (made.shape, made.dtype.name) == ((64, 64), "uint8")
    assert np.array_equal(FACE, before)


def test_a_changed_face_is_still_that_face():
    # The mean over many makings looks like the face (mirrored as often as not), not like noise.
    mean = np.mean([augment(FACE, 48, ALL, rng(seed)) for seed in range(300)], axis=0)
    own = (FACE.astype(float) + FACE[:, ::-1]) / 2
    assert np.corrcoef(mean.ravel(), own.ravel())[0, 1] > 0.9
