"""Results are drawn on a copy of the image, wherever the face is and however small the image."""

from dataclasses import replace

import numpy as np
import pytest

from edge.sinks.annotate import CERTAIN_COLOR, UNCERTAIN_COLOR, annotate
from edge.types import Box
from tests.support.fakes import face_result, frame_result

SIZE = (640, 480)


def changed_pixels(result):
    """Return (height, width) bool: where the annotated image differs from the frame's."""
    return (annotate(result) != result.frame.color()).any(axis=2)


def test_an_image_without_faces_is_unchanged():
    assert not changed_pixels(frame_result(size=SIZE)).any()


def test_the_frame_s_own_image_is_unchanged():
    image = np.full((480, 640, 3), 100, np.uint8)
    result = frame_result(face_result())
    annotated = annotate(replace(result, frame=replace(result.frame, color=lambda: image)))
    assert (image == 100).all()
    assert (annotated != 100).any()


@pytest.mark.parametrize(("label", "color"), [("calm", CERTAIN_COLOR), (None, UNCERTAIN_COLOR)])
def test_the_box_is_drawn_in_the_color_of_its_certainty(label, color):
    annotated = annotate(frame_result(face_result(label, box=Box(200, 200, 100, 100)), size=SIZE))
    assert tuple(annotated[300, 250]) == color  # the lower edge: title and bars are elsewhere
    assert tuple(annotated[250, 200]) == color
    assert tuple(annotated[250, 250]) == (100, 100, 100)  # the face itself stays visible


def test_each_face_is_drawn():
    left, right = Box(50, 200, 80, 80), Box(450, 200, 80, 80)
    changed = changed_pixels(frame_result(face_result(box=left), face_result(track_id=2, box=right), size=SIZE))
    assert changed[280, 60:120].all()
    assert changed[280, 460:520].all()


def test_the_title_stays_inside_the_image():
    annotated = annotate(frame_result(face_result(box=Box(300, 0, 100, 100)), size=SIZE))
    assert (annotated[4:12, 302:312] == CERTAIN_COLOR).all()  # its background, moved down onto the face


@pytest.mark.parametrize(("x", "bars"), [(100, slice(210, 290)), (530, slice(440, 520))])
def test_the_bars_are_drawn_on_the_side_with_room(x, bars):
    changed = changed_pixels(frame_result(face_result(box=Box(x, 200, 100, 100)), size=SIZE))
    assert changed[201:225, bars].mean() > 0.95
    assert changed[250:290].sum() <= 40 * 6  # below the bars there are only the sides of the box


def test_without_room_no_bars_are_drawn():
    changed = changed_pixels(frame_result(face_result(probability=1.0, box=Box(20, 100, 600, 300)), size=SIZE))
    assert not changed[:, :18].any()
    assert not changed[:, 623:].any()


def test_the_length_of_a_bar_is_its_probability():
    def colored_pixels(probability: float) -> int:
        face = face_result(probability=probability, box=Box(100, 200, 100, 100))
        annotated = annotate(frame_result(face, size=SIZE))
        return int((annotated[201:230, 205:300] == CERTAIN_COLOR).all(axis=2).sum())

    assert colored_pixels(0.9) > colored_pixels(0.6) > colored_pixels(0.55) > 0


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (60, 40), (16, 16)])
@pytest.mark.parametrize(
    "box", [Box(0, 0, 16, 16), Box(-20, -20, 60, 60), Box(600, 440, 100, 100), Box(0, 0, 640, 480), Box(5, 5, 1, 1)]
)
def test_any_box_on_any_image_is_drawn_without_an_error(size, box):
    annotated = annotate(frame_result(face_result(box=box), size=size))
    assert annotated.shape == (size[1], size[0], 3)
    assert annotated.dtype == np.uint8
