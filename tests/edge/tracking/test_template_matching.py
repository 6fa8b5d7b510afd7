"""A face is followed by its likeness to within a few hundredths of its side, and given up when it is gone."""

from itertools import product

import cv2
import numpy as np
import pytest

from edge.tracking.template_matching import REACH, SIDE, follow, memorize
from edge.types import Box
from tests.support.images import draw_faces


def moved(box: Box, dx: int, dy: int) -> Box:
    return Box(box.x + dx, box.y + dy, box.width, box.height)


def off(box: Box | None, expected: Box) -> float:
    """Return how far `box` is from where it should be, in sides of it."""
    assert box is not None
    assert (box.width, box.height) == (expected.width, expected.height)
    return float(np.hypot(box.x - expected.x, box.y - expected.y)) / box.width


@pytest.mark.parametrize("side", [16, 30, 47, 71, 110, 203])
def test_a_face_is_found_where_it_went_up_to_a_third_of_its_side(side):
    box = Box(220, 130, side, side)
    face = memorize(draw_faces(("happy", box)), box)
    assert max(face.shape) == SIDE
    far = int(side * REACH * 0.85)
    for dx, dy in product((-far, -far // 3, 0, far // 2, far), repeat=2):
        there = moved(box, dx, dy)
        assert off(follow(draw_faces(("happy", there)), box, face), there) <= 0.04 + 1 / side, (dx, dy)


def test_a_large_face_is_followed_by_less_than_a_pixel_of_what_is_compared():
    box = Box(180, 120, 200, 200)
    face = memorize(draw_faces(("sad", box)), box)
    for shift in range(-6, 7):  # ten pixels are one
        there = moved(box, shift, -shift)
        found = follow(draw_faces(("sad", there)), box, face)
        assert found is not None
        assert abs(found.x - there.x) <= 2
        assert abs(found.y - there.y) <= 2


@pytest.mark.parametrize("side", [30, 47, 110])
def test_a_face_that_stays_is_not_wandered_away_from(side):
    box = Box(301, 177, side, side)
    image = draw_faces(("neutral", box))
    face, there = memorize(image, box), box
    for _ in range(60):
        there = follow(image, there, face) or Box(0, 0, 1, 1)
    assert off(there, box) <= 0.04


def test_a_face_that_turns_blurs_or_is_lit_is_still_followed():
    box = Box(250, 150, 120, 120)
    image = draw_faces(("happy", box))
    face = memorize(image, box)
    noise = np.random.default_rng(0).normal(0, 15, image.shape)
    turn = cv2.getRotationMatrix2D((310, 210), 25, 1)
    for changed in (
        cv2.GaussianBlur(image, (0, 0), 8),
        cv2.warpAffine(image, turn, (640, 480)),
        np.clip(image * 0.4 + 60, 0, 255),
        np.clip(image + noise, 0, 255),
    ):
        assert off(follow(changed.astype(np.uint8), box, face), box) < 0.1


def test_a_face_that_is_gone_is_nowhere():
    box = Box(250, 150, 120, 120)
    face = memorize(draw_faces(("happy", box)), box)
    assert follow(draw_faces(), box, face) is None
    assert follow(draw_faces(("happy", moved(box, 0, 250))), box, face) is None  # too far for one frame
    noise = np.random.default_rng(0).integers(0, 256, (480, 640)).astype(np.uint8)
    assert follow(noise, box, face) is None


def test_the_shading_of_the_wall_behind_is_no_face():
    rng = np.random.default_rng(0)
    for name in ("angry", "disgust", "happy", "neutral"):
        for _ in range(20):
            side = int(rng.integers(40, 200))
            box = Box(int(rng.integers(0, 640 - side)), int(rng.integers(0, 480 - side)), side, side)
            assert follow(draw_faces(), box, memorize(draw_faces((name, box)), box)) is None, (name, box)


@pytest.mark.parametrize("level", [0, 90, 255])
def test_in_an_even_image_nothing_is_like_a_face(level):
    box = Box(50, 40, 60, 60)
    even = np.full((160, 200), level, np.uint8)
    assert follow(even, box, memorize(draw_faces(("happy", box), size=(200, 160)), box)) is None
    assert follow(even, box, memorize(even, box)) is None  # and nothing to know an even face by


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_a_likeness_that_is_no_number_is_none(monkeypatch, nothing):
    box = Box(250, 150, 120, 120)
    image = draw_faces(("happy", box))
    face = memorize(image, box)
    real = cv2.matchTemplate

    def partly(*arguments):
        likeness = real(*arguments)
        likeness[0, :] = nothing  # as of an even part of the image
        return likeness

    monkeypatch.setattr(cv2, "matchTemplate", partly)
    assert off(follow(image, box, face), box) < 0.02
    monkeypatch.setattr(cv2, "matchTemplate", lambda *_: np.full((7, 7), nothing, np.float32))
    assert follow(image, box, face) is None


@pytest.mark.parametrize(("dx", "dy"), [(-9, 0), (9, 0), (0, -9), (0, 9), (7, 7)])
def test_of_a_face_that_leaves_the_image_the_box_stays_inside_until_it_is_given_up(dx, dy):
    box = there = Box(270, 190, 100, 100)
    face = memorize(draw_faces(("happy", box)), box)
    for step in range(1, 100):
        out = moved(box, step * dx, step * dy)
        found = follow(draw_faces(("happy", out)), there, face)
        if found is None:
            break
        there = found
        assert -2 <= there.x <= 640 - 100 + 2
        assert -2 <= there.y <= 480 - 100 + 2
    assert found is None
    assert off(there, out) < 0.8


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (1, 90), (90, 1), (3, 50), (25, 25), (200, 17)])
def test_no_box_and_no_image_raises(shape):
    rng = np.random.default_rng(shape[0])
    images = [rng.integers(0, 256, shape).astype(np.uint8), np.full(shape, 90, np.uint8)]
    for _ in range(300):
        side = int(rng.choice([1, 2, 16, 30, 100, 500, 3000]))
        x, y = (int(rng.integers(-2 * side - 5, length + 2 * side + 5)) for length in (shape[1], shape[0]))
        before, after = images[int(rng.integers(2))], images[int(rng.integers(2))]
        face = memorize(before, Box(x, y, side, side))
        assert min(face.shape) >= 1
        found = follow(after, Box(x, y, side, side), face)
        assert found is None or (found.width, found.height) == (side, side)


def test_a_image_that_shrinks_between_two_frames_holds_no_face():
    box = Box(400, 300, 100, 100)
    image = draw_faces(("happy", box))
    face = memorize(image, box)
    for shape in ((240, 320), (20, 640), (1, 1)):
        assert follow(np.ascontiguousarray(image[: shape[0], : shape[1]]), box, face) is None
