"""What was read is drawn on a copy of the image, wherever the face is and however small the image."""

import numpy as np
import pytest

from edge.sinks.annotate import SURE, UNSURE, annotate
from edge.types import Box
from tests.support.fakes import face_result, frame_result

SIZE = (640, 480)


def changed(observation):
    """Return (height, width) bool: where the annotated image differs from the frame's."""
    return (annotate(observation) != observation.frame.color()).any(axis=2)


def test_a_image_without_faces_is_left_as_it_is():
    assert not changed(frame_result(size=SIZE)).any()


def test_the_frames_own_image_is_not_drawn_on():
    image = np.full((480, 640, 3), 100, np.uint8)
    observation = frame_result(face_result())
    object.__setattr__(observation.frame, "color", lambda: image)
    drawn = annotate(observation)
    assert (image == 100).all()
    assert (drawn != 100).any()


@pytest.mark.parametrize(("label", "color"), [("calm", SURE), (None, UNSURE)])
def test_the_box_is_drawn_at_the_face_in_the_color_of_its_certainty(label, color):
    drawn = annotate(frame_result(face_result(label, box=Box(200, 200, 100, 100)), size=SIZE))
    assert tuple(drawn[300, 250]) == color  # the lower edge: title and bars are elsewhere
    assert tuple(drawn[250, 200]) == color
    assert tuple(drawn[250, 250]) == (100, 100, 100)  # the face itself stays visible


def test_each_face_is_drawn():
    left, right = Box(50, 200, 80, 80), Box(450, 200, 80, 80)
    drawn = changed(frame_result(face_result(box=left), face_result(track_id=2, box=right), size=SIZE))
    assert drawn[280, 60:120].all()
    assert drawn[280, 460:520].all()


def test_the_title_stays_in_the_image_at_its_upper_border():
    drawn = annotate(frame_result(face_result(box=Box(300, 0, 100, 100)), size=SIZE))
    assert (drawn[4:12, 302:312] == SURE).all()  # its plate, moved down onto the face


@pytest.mark.parametrize(("x", "bars"), [(100, slice(210, 290)), (530, slice(440, 520))])
def test_the_bars_stand_where_there_is_room_for_them(x, bars):
    drawn = changed(frame_result(face_result(box=Box(x, 200, 100, 100)), size=SIZE))
    assert drawn[201:225, bars].mean() > 0.95
    assert drawn[250:290].sum() <= 40 * 6  # below the bars there are the sides of the box and nothing else


def test_where_there_is_no_room_for_bars_there_are_none():
    drawn = changed(frame_result(face_result(share=1.0, box=Box(20, 100, 600, 300)), size=SIZE))
    assert not drawn[:, :18].any()
    assert not drawn[:, 623:].any()


def test_a_longer_bar_stands_for_a_larger_share():
    def bright(share: float) -> int:
        drawn = annotate(frame_result(face_result(share=share, box=Box(100, 200, 100, 100)), size=SIZE))
        return int((drawn[201:230, 205:300] == SURE).all(axis=2).sum())

    assert bright(0.9) > bright(0.6) > bright(0.55) > 0


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (60, 40), (16, 16)])
@pytest.mark.parametrize(
    "box", [Box(0, 0, 16, 16), Box(-20, -20, 60, 60), Box(600, 440, 100, 100), Box(0, 0, 640, 480), Box(5, 5, 1, 1)]
)
def test_any_face_on_any_image_is_drawn_without_an_error(size, box):
    drawn = annotate(frame_result(face_result(box=box), size=size))
    assert drawn.shape == (size[1], size[0], 3)
    assert drawn.dtype == np.uint8
