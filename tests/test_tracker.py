"""A face keeps its identity and its label while it should, by seconds and not by frames."""

import numpy as np
import pytest

from edge.tracker import LEAD, SLACK, Tracker
from edge.values import Box

HERE, NEAR, FAR = Box(100, 100, 80, 80), Box(120, 100, 80, 80), Box(400, 100, 80, 80)


def scores(*values: float):
    return np.array(values, np.float32)


CALM, CROSS = scores(1, 0), scores(0, 1)


def ids(faces) -> list[int]:
    return [face.id for face in faces]


def test_a_face_that_moves_keeps_its_identity():
    tracker = Tracker()
    moved = [tracker.update([(Box(100 + 20 * step, 100, 80, 80), CALM)], step / 30) for step in range(20)]
    assert [ids(faces) for faces in moved] == [[1]] * 20


def test_people_keep_their_identities_in_whatever_order_they_are_found():
    tracker = Tracker()
    assert ids(tracker.update([(HERE, CALM), (FAR, CROSS)], 0)) == [1, 2]
    faces = tracker.update([(FAR, CROSS), (NEAR, CALM)], 0.1)
    assert ids(faces) == [2, 1]
    assert [face.box for face in faces] == [FAR, NEAR]


def test_a_face_elsewhere_is_somebody_else():
    tracker = Tracker()
    tracker.update([(HERE, CALM)], 0)
    assert ids(tracker.update([(FAR, CALM)], 0.1)) == [2]


def test_two_finds_are_never_one_person():
    tracker = Tracker()
    tracker.update([(HERE, CALM)], 0)
    assert ids(tracker.update([(HERE, CALM), (NEAR, CALM)], 0.1)) == [1, 2]


def test_the_find_takes_the_identity_that_it_overlaps_most():
    tracker = Tracker()
    tracker.update([(HERE, CALM), (NEAR, CALM)], 0)
    assert ids(tracker.update([(Box(118, 100, 80, 80), CALM)], 0.1)) == [2]


@pytest.mark.parametrize(("away", "expected"), [(0.6, 1), (0.8, 2)])
def test_a_face_is_remembered_for_as_long_as_was_asked(away, expected):
    tracker = Tracker(memory=0.7)
    tracker.update([(HERE, CALM)], 0)
    tracker.update([], 0.1)
    assert ids(tracker.update([(HERE, CALM)], away)) == [expected]


def test_an_identity_is_never_given_again():
    tracker = Tracker(memory=0.5)
    assert [ids(tracker.update([(HERE, CALM)], seconds)) for seconds in range(4)] == [[1], [2], [3], [4]]


def test_an_old_score_counts_half_after_its_half_life():
    tracker = Tracker(half_life=0.4)
    tracker.update([(HERE, CALM)], 0)
    (face,) = tracker.update([(HERE, CROSS)], 0.4)
    assert face.scores == pytest.approx([0.5, 0.5])
    assert face.scores.dtype == np.float32


@pytest.mark.parametrize("frames", [1, 7, 60])
def test_a_slow_camera_gives_the_same_scores_as_a_fast_one(frames):
    tracker = Tracker(half_life=0.3)
    tracker.update([(HERE, CALM)], 0)
    for number in range(1, frames + 1):
        (face,) = tracker.update([(HERE, CROSS)], 0.6 * number / frames)
    assert face.scores == pytest.approx([0.25, 0.75], abs=1e-5)


def test_a_half_life_of_zero_takes_each_frame_as_it_is():
    tracker = Tracker(half_life=0)
    tracker.update([(HERE, CALM)], 0)
    (face,) = tracker.update([(HERE, CROSS)], 0.001)
    assert face.scores.tolist() == [0, 1]


def test_a_new_face_owes_nothing_to_the_one_before():
    tracker = Tracker(memory=0.5)
    tracker.update([(HERE, CALM)], 0)
    (face,) = tracker.update([(HERE, CROSS)], 1)
    assert face.scores.tolist() == [0, 1]


@pytest.mark.parametrize(("lead", "label"), [(LEAD - 0.02, 0), (LEAD + 0.02, 1)])
def test_another_label_takes_over_only_with_a_clear_lead(lead, label):
    tracker = Tracker(half_life=0)
    tracker.update([(HERE, scores(0.6, 0.4))], 0)
    (face,) = tracker.update([(HERE, scores(0.5 - lead / 2, 0.5 + lead / 2))], 0.1)
    assert face.label == label


@pytest.mark.parametrize(("share", "label"), [(0.59, None), (0.61, 0)])
def test_a_new_face_below_the_limit_gets_no_label(share, label):
    (face,) = Tracker(unsure=0.6).update([(HERE, scores(share, 1 - share))], 0)
    assert face.label == label


@pytest.mark.parametrize(("below", "label"), [(SLACK - 0.02, 0), (SLACK + 0.02, None)])
def test_a_label_that_was_given_stays_a_little_below_the_limit(below, label):
    tracker = Tracker(unsure=0.6, half_life=0)
    tracker.update([(HERE, scores(0.7, 0.3))], 0)
    (face,) = tracker.update([(HERE, scores(0.6 - below, 0.4 + below))], 0.1)
    assert face.label == label


def test_an_unsure_face_gets_a_label_once_one_is_strong_enough():
    tracker = Tracker(unsure=0.6, half_life=0)
    tracker.update([(HERE, scores(0.5, 0.5))], 0)
    (face,) = tracker.update([(HERE, scores(0.35, 0.65))], 0.1)
    assert face.label == 1
