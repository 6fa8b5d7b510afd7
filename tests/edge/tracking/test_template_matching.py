"""Template matching: a face is located to a few hundredths of its side, and lost when it is gone."""

from itertools import product
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from edge.tracking.template_matching import (
    HIGH_CORRELATION,
    MATCH_RADIUS,
    TEMPLATE_PIXELS,
    Match,
    extract_template,
    match_template,
)
from edge.types import Box
from tests.support.images import draw_faces


def moved(box: Box, dx: int, dy: int) -> Box:
    return Box(box.x + dx, box.y + dy, box.width, box.height)


def distance(match: Match | None, expected: Box) -> float:
    """Return the distance of `match` from where it should be, in sides of the face."""
    assert match is not None
    box = match.box
    assert (box.width, box.height) == (expected.width, expected.height)
    return float(np.hypot(box.x - expected.x, box.y - expected.y)) / box.width


@pytest.mark.parametrize("side", [16, 30, 47, 71, 110, 203])
def test_face_is_matched_within_the_radius(side):
    box = Box(220, 130, side, side)
    template = extract_template(draw_faces(("happy", box)), box)
    assert max(template.shape) == TEMPLATE_PIXELS
    far = int(side * MATCH_RADIUS * 0.85)
    for dx, dy in product((-far, -far // 3, 0, far // 2, far), repeat=2):
        there = moved(box, dx, dy)
        assert distance(match_template(draw_faces(("happy", there)), box, template), there) <= 0.04 + 1 / side, (dx, dy)


def test_large_face_is_matched_to_a_fraction_of_a_template_pixel():
    box = Box(180, 120, 200, 200)
    template = extract_template(draw_faces(("sad", box)), box)
    errors = []
    for shift in range(-25, 26):  # ten pixels are one of the template
        there = moved(box, shift, -shift)
        match = match_template(draw_faces(("sad", there)), box, template)
        assert match is not None
        errors.append((match.box.x - there.x, match.box.y - there.y))
    assert np.abs(errors).max() <= 2
    assert np.abs(np.mean(errors, axis=0)) == pytest.approx(0, abs=0.4)  # a face that moves is not shifted to one side


@pytest.mark.parametrize("side", [30, 47, 110])
def test_match_of_a_static_face_does_not_drift(side):
    box = Box(301, 177, side, side)
    image = draw_faces(("neutral", box))
    template, there = extract_template(image, box), box
    for _ in range(60):
        match = match_template(image, there, template)
        assert match is not None
        there = match.box
    assert distance(match, box) <= 0.04


def test_face_that_turns_blurs_or_is_lit_is_matched():
    box = Box(250, 150, 120, 120)
    image = draw_faces(("happy", box))
    template = extract_template(image, box)
    noise = np.random.default_rng(0).normal(0, 15, image.shape)
    rotation = cv2.getRotationMatrix2D((310, 210), 25, 1)
    for changed in (
        cv2.GaussianBlur(image, (0, 0), 8),
        cv2.warpAffine(image, rotation, (640, 480)),
        np.clip(image * 0.4 + 60, 0, 255),
        np.clip(image + noise, 0, 255),
    ):
        assert distance(match_template(changed.astype(np.uint8), box, template), box) < 0.1


def test_correlation_tells_the_same_face_from_a_changed_one():
    box = Box(220, 130, 200, 200)
    template = extract_template(draw_faces(("neutral", box)), box)
    same, other = (match_template(draw_faces((label, box)), box, template) for label in ("neutral", "surprise"))
    assert same is not None
    assert other is not None
    assert same.correlation > 0.99 > other.correlation


def test_a_poor_near_match_extends_the_search_radius(monkeypatch):
    box, search = Box(220, 130, 100, 100), Mock(side_effect=cv2.matchTemplate)
    template = extract_template(draw_faces(("happy", box)), box)
    monkeypatch.setattr(cv2, "matchTemplate", search)
    for shift, searches in ((4, 1), (-30, 2)):
        search.reset_mock()
        there = moved(box, shift, 0)
        match = match_template(draw_faces(("happy", there)), box, template)
        assert distance(match, there) < 0.05
        assert match is not None
        assert match.correlation >= HIGH_CORRELATION
        assert search.call_count == searches


@pytest.mark.parametrize(("dx", "dy"), [(24, 0), (-24, 0), (0, 24), (0, -24)])
def test_blurred_face_beyond_the_first_search_is_found(dx, dy):
    def blurred(box):
        return cv2.GaussianBlur(draw_faces(("happy", box)), (0, 0), 10)

    box = Box(250, 150, 120, 120)
    there = moved(box, dx, dy)
    # At the edge of the first search its correlation is high enough: so little changes from pixel to pixel.
    assert distance(match_template(blurred(there), box, extract_template(blurred(box), box)), there) < 0.02


def test_face_that_is_gone_has_no_match():
    box = Box(250, 150, 120, 120)
    template = extract_template(draw_faces(("happy", box)), box)
    assert match_template(draw_faces(), box, template) is None
    assert match_template(draw_faces(("happy", moved(box, 0, 250))), box, template) is None  # too far for one frame
    noise = np.random.default_rng(0).integers(0, 256, (480, 640)).astype(np.uint8)
    assert match_template(noise, box, template) is None


def test_shading_of_the_wall_is_no_match():
    rng = np.random.default_rng(0)
    for label in ("angry", "disgust", "happy", "neutral"):
        for _ in range(20):
            side = int(rng.integers(40, 200))
            box = Box(int(rng.integers(0, 640 - side)), int(rng.integers(0, 480 - side)), side, side)
            template = extract_template(draw_faces((label, box)), box)
            assert match_template(draw_faces(), box, template) is None, (label, box)


def test_wall_beside_something_bright_is_no_match():
    box = Box(250, 150, 120, 120)
    image = draw_faces(("happy", box))
    wall = np.rint(120 + 0.1 * (image.astype(float) - 120)).astype(np.uint8)  # its shading is that of the face
    wall[:, 232:244] = 255
    assert match_template(wall, box, extract_template(image, box)) is None


@pytest.mark.parametrize("level", [0, 90, 255])
def test_uniform_image_or_template_has_no_match(level):
    box = Box(50, 40, 60, 60)
    uniform = np.full((160, 200), level, np.uint8)
    template = extract_template(draw_faces(("happy", box), size=(200, 160)), box)
    assert match_template(uniform, box, template) is None
    assert match_template(uniform, box, extract_template(uniform, box)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_correlation_that_is_not_finite_is_ignored(monkeypatch, value):
    box = Box(250, 150, 120, 120)
    image = draw_faces(("happy", box))
    template = extract_template(image, box)
    real = cv2.matchTemplate

    def partly(*arguments):
        correlation = real(*arguments)
        correlation[0, :] = value  # as over a uniform part of the image
        return correlation

    monkeypatch.setattr(cv2, "matchTemplate", partly)
    assert distance(match_template(image, box, template), box) < 0.02
    monkeypatch.setattr(cv2, "matchTemplate", lambda *_: np.full((7, 7), value, np.float32))
    assert match_template(image, box, template) is None


@pytest.mark.parametrize(("dx", "dy"), [(-9, 0), (9, 0), (0, -9), (0, 9), (7, 7)])
def test_leaving_face_is_followed_until_its_center_has_left(dx, dy):
    box = there = Box(270, 190, 100, 100)
    template = extract_template(draw_faces(("happy", box)), box)
    for step in range(1, 100):
        out = moved(box, step * dx, step * dy)
        match = match_template(draw_faces(("happy", out)), there, template)
        if match is None:
            break
        there = match.box
        assert distance(match, out) < 0.3
        assert 0 <= there.x + 50 < 640
        assert 0 <= there.y + 50 < 480
    assert match is None
    assert not (0 <= out.x + 50 < 640 and 0 <= out.y + 50 < 480)


@pytest.mark.parametrize(
    ("part", "found"),
    [
        (Box(310, 0, 330, 480), True),
        (Box(311, 0, 329, 480), False),
        (Box(0, 0, 311, 480), True),
        (Box(0, 0, 310, 480), False),
        (Box(0, 210, 640, 270), True),
        (Box(0, 211, 640, 269), False),
        (Box(0, 0, 640, 211), True),
        (Box(0, 0, 640, 210), False),
    ],
)
def test_face_is_matched_while_its_center_is_in_the_image(part, found):
    image = np.ascontiguousarray(draw_faces(("happy", Box(300, 200, 20, 20)))[part.slices])
    box = Box(300 - part.x, 200 - part.y, 20, 20)  # one pixel is one of the template
    match = match_template(image, box, extract_template(image, box))
    assert (match.box if match else None) == (box if found else None)


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (1, 90), (90, 1), (3, 50), (25, 25), (200, 17)])
def test_any_box_and_image_give_a_box_or_none(shape):
    rng = np.random.default_rng(shape[0])
    images = [rng.integers(0, 256, shape).astype(np.uint8), np.full(shape, 90, np.uint8)]
    for _ in range(300):
        side = int(rng.choice([1, 2, 16, 30, 100, 500, 3000]))
        x, y = (int(rng.integers(-2 * side - 5, length + 2 * side + 5)) for length in (shape[1], shape[0]))
        before, after = images[int(rng.integers(2))], images[int(rng.integers(2))]
        template = extract_template(before, Box(x, y, side, side))
        assert min(template.shape) >= 1
        match = match_template(after, Box(x, y, side, side), template)
        assert match is None or (match.box.width, match.box.height) == (side, side)


def test_image_that_becomes_smaller_has_no_match():
    box = Box(400, 300, 100, 100)
    image = draw_faces(("happy", box))
    template = extract_template(image, box)
    for shape in ((240, 320), (20, 640), (1, 1)):
        assert match_template(np.ascontiguousarray(image[: shape[0], : shape[1]]), box, template) is None
