"""Downscaling: size, position of the content, and noise that is averaged away."""

import numpy as np
import pytest

from edge.detection.downscale import downscale


def noise(width, height, level=128, deviation=20):
    values = np.random.default_rng(0).normal(level, deviation, (height, width))
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("factor", "size"), [(1.25, (512, 384)), (3.6, (178, 133)), (7.2, (89, 67)), (0.5, (1280, 960))]
)
def test_result_has_the_size_of_the_factor(factor, size):
    small = downscale(noise(640, 480), factor)
    assert small.shape == size[::-1]
    assert small.dtype == np.uint8


def test_image_that_keeps_its_size_is_not_copied():
    gray = noise(64, 48)
    assert downscale(gray, 1.0) is gray
    assert downscale(gray, 1.004) is gray


@pytest.mark.parametrize("factor", [1.5, 2.5, 6.4, 18.0])
def test_content_keeps_its_position(factor):
    gray = np.zeros((720, 1280), np.uint8)
    gray[360:540, 320:640] = 255
    small = downscale(gray, factor).astype(float)
    center = [np.average((np.arange(n) + 0.5) / n, weights=small.sum(axis)) for axis, n in enumerate(small.shape[::-1])]
    assert np.multiply(center, (1280, 720)) == pytest.approx((480, 450), abs=0.15 * factor)


@pytest.mark.parametrize("factor", [2.5, 4.0, 9.0, 18.0])
def test_enough_pixels_are_averaged_to_halve_the_noise(factor):
    gray = noise(1920, 1080)
    small = downscale(gray, factor)
    assert small.mean() == pytest.approx(128, abs=1)
    assert small.std() < 1.1 * gray.std() / 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (3, 50)])
@pytest.mark.parametrize("factor", [0.3, 1.0, 7.0, 400.0])
def test_result_of_any_shape_has_at_least_one_pixel(shape, factor):
    small = downscale(np.full(shape, 77, np.uint8), factor)
    assert min(small.shape) >= 1
    assert (small == 77).all()


def test_view_gives_the_same_result_as_a_copy():
    view = noise(640, 480)[40:400, 100:500]
    assert (downscale(view, 5.0) == downscale(view.copy(), 5.0)).all()
