"""Scores and labels are steadied by seconds and not by looks: noise changes no label, a real change shows soon."""

import math

import numpy as np
import pytest

from edge.inference.smoothing import DOUBT, ENOUGH, EVERY, FAINT, LEAD, MEMORY, SLACK, TemporalSmoother
from edge.types import Box, Track

HERE, THERE = Box(100, 100, 80, 80), Box(120, 100, 80, 80)


def classify(*values: float):
    return np.array(values, np.float32)


CALM, CROSS, SLY = scores(1, 0, 0), scores(0, 1, 0), scores(0, 0, 1)


def look(steadier, fresh, now, track_id=1):
    """Return the face of which one more look gave the scores `fresh`."""
    (face,) = steadier.update([Track(track_id, HERE)], {track_id: fresh}, now)
    return face


def labels(steadier, looks, start=0.0, every=EVERY):
    """Return the label after each of `looks`, one every so many seconds."""
    return [look(steadier, fresh, start + number * every).label for number, fresh in enumerate(looks)]


# --- when to look ---------------------------------------------------------------------------------------------------


def test_a_new_face_is_looked_at_and_then_every_so_often():
    steadier = TemporalSmoother(every=0.1)
    assert steadier.due(1, 5.0)
    look(steadier, CALM, 5.0)
    assert not steadier.due(1, 5.0)
    assert not steadier.due(1, 5.09)
    assert steadier.due(1, 5.099)  # the times of a camera's frames are rounded
    assert steadier.due(2, 5.01)


@pytest.mark.parametrize(("fps", "looks"), [(30, 15), (60, 15), (10, 10), (2, 2)])
def test_a_fast_camera_is_looked_at_no_more_often_than_it_takes(fps, looks):
    steadier, count = TemporalSmoother(), 0
    for number in range(4 * fps):
        if steadier.due(1, round(number / fps, 3)):  # whole milliseconds
            look(steadier, CALM, round(number / fps, 3))
            count += 1
    assert count == pytest.approx(4 * looks, abs=1)


def test_a_source_that_starts_over_is_looked_at_at_once():
    steadier = TemporalSmoother()
    look(steadier, CALM, 100.0)
    assert steadier.due(1, 0.0)
    look(steadier, CALM, 0.0)
    assert not steadier.due(1, 0.01)


def test_a_face_that_was_not_looked_at_keeps_its_scores_and_has_its_new_box():
    steadier = TemporalSmoother()
    look(steadier, scores(0.7, 0.2, 0.1), 0.0)
    (face,) = steadier.update([Track(1, THERE)], {}, 0.03)
    assert (face.id, face.box, face.label) == (1, THERE, 0)
    assert face.probabilities == pytest.approx([0.7, 0.2, 0.1])


# --- scores ---------------------------------------------------------------------------------------------------------


def test_an_old_score_counts_half_after_its_half_life():
    steadier = TemporalSmoother(half_life=0.4)
    look(steadier, CALM, 0)
    face = look(steadier, CROSS, 0.4)
    assert face.probabilities == pytest.approx([0.5, 0.5, 0])
    assert face.probabilities.dtype == np.float32


@pytest.mark.parametrize("looks", [1, 7, 60])
def test_few_looks_give_the_same_scores_as_many(looks):
    steadier = TemporalSmoother(half_life=0.3)
    look(steadier, scores(0.9, 0.1), 0)
    for number in range(1, looks + 1):
        face = look(steadier, scores(0.5, 0.5), 0.6 * number / looks)
    assert face.probabilities == pytest.approx([0.6, 0.4], abs=1e-5)


def test_a_half_life_of_zero_takes_each_look_as_it_is():
    steadier = TemporalSmoother(half_life=0)
    looks = [CALM, CROSS, scores(0.3, 0.3, 0.4), CALM]
    for number, fresh in enumerate(looks):
        assert look(steadier, fresh, number / 100).probabilities.tolist() == fresh.tolist()


def test_scores_remain_shares_that_sum_to_one():
    rng = np.random.default_rng(0)
    steadier = TemporalSmoother()
    for number in range(200):
        face = look(steadier, rng.dirichlet([0.3] * 7).astype(np.float32), number * EVERY)
        assert face.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert (face.probabilities >= 0).all()


def test_what_was_told_does_not_change_afterwards():
    steadier = TemporalSmoother()
    first = look(steadier, CALM, 0)
    look(steadier, CROSS, 0.1)
    assert first.probabilities.tolist() == CALM.tolist() == [1, 0, 0]


def test_people_are_not_mixed_up():
    steadier = TemporalSmoother(half_life=1)
    both = [Track(3, HERE), Track(8, THERE)]
    for number in range(10):
        faces = steadier.update(both, {3: CALM, 8: CROSS}, number * EVERY)
    assert [(face.id, face.box, face.label) for face in faces] == [(3, HERE, 0), (8, THERE, 1)]
    assert [face.probabilities.tolist() for face in faces] == [CALM.tolist(), CROSS.tolist()]


@pytest.mark.parametrize(("away", "share"), [(MEMORY - 0.1, 1.0), (MEMORY + 0.1, 0.0)])
def test_the_scores_of_somebody_out_of_sight_are_kept_for_a_while(away, share):
    steadier = TemporalSmoother(half_life=60)
    look(steadier, CALM, 0)
    for seconds in (0.1, away):
        assert steadier.update([], {}, seconds) == ()
    assert look(steadier, CROSS, away).probabilities[0] == pytest.approx(share, abs=0.03)


def test_a_source_that_starts_over_and_over_leaves_nothing_behind():
    steadier = TemporalSmoother()
    for track_id in range(1, 20):
        look(steadier, CALM, 60.0, track_id)
        steadier.update([], {}, 0.0)
    assert not steadier._moods


def test_somebody_who_stays_is_not_forgotten_though_never_looked_at_again():
    steadier = TemporalSmoother()
    look(steadier, CALM, 0)
    for seconds in range(1, 9):
        (face,) = steadier.update([Track(1, HERE)], {}, seconds)
    assert face.label == 0


# --- labels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lead", "label"), [(LEAD - 0.02, 0), (LEAD + 0.02, 1)])
def test_another_label_takes_over_only_with_a_clear_lead(lead, label):
    steadier = TemporalSmoother(half_life=0)
    look(steadier, scores(0.6, 0.4), 0)
    assert look(steadier, scores(0.5 - lead / 2, 0.5 + lead / 2), 0.1).label == label


@pytest.mark.parametrize(("share", "label"), [(0.59, None), (0.61, 0)])
def test_a_new_face_below_the_limit_gets_no_label(share, label):
    assert look(TemporalSmoother(unsure=0.6), scores(share, 1 - share), 0).label == label


@pytest.mark.parametrize(("below", "label"), [(SLACK - 0.02, 0), (SLACK + 0.02, None)])
def test_a_label_that_was_given_stays_a_little_below_the_limit(below, label):
    steadier = TemporalSmoother(unsure=0.6, half_life=0)
    look(steadier, scores(0.7, 0.3), 0)
    assert look(steadier, scores(0.6 - below, 0.4 + below), 0.1).label == label


def test_an_unsure_face_gets_a_label_once_one_is_strong_enough():
    steadier = TemporalSmoother(unsure=0.6, half_life=0)
    assert labels(steadier, [scores(0.5, 0.5), scores(0.35, 0.65)]) == [None, 1]


def spoken(share: float, before: float):
    """Return scores in which CALM has `before` and CROSS has `share`."""
    return scores(before, share, 1 - share - before)


@pytest.mark.parametrize(("share", "before"), [(0.98, 0.01), (0.8, 0.1), (0.6, 0.3), (0.5, 0.4)])
def test_a_change_shows_when_enough_looks_speak_for_it_sooner_the_clearer_they_are(share, before):
    steadier = TemporalSmoother(half_life=60)
    told = labels(steadier, [CALM] * 30 + [spoken(share, before)] * 30)
    needed = math.ceil(ENOUGH / math.log(share / max(before, FAINT)))
    assert told.index(1) == 30 + needed - 1
    assert set(told[30 + needed :]) == {1}
    assert needed > 1  # however clear: no look on its own


def test_what_speaks_for_the_label_that_there_is_outweighs_what_spoke_against_it():
    steadier = TemporalSmoother(half_life=60)
    noise = [spoken(0.8, 0.1), spoken(0.1, 0.8)] * 20
    assert set(labels(steadier, [CALM] * 30 + noise)) == {0}


def test_a_look_that_speaks_against_a_change_delays_it_and_does_not_forbid_it():
    steadier = TemporalSmoother(half_life=60)
    clear, other = spoken(0.7, 0.2), spoken(0.3, 0.6)
    assert labels(steadier, [CALM] * 10 + [clear] * 4)[10:] == [0, 0, 0, 1]
    assert labels(TemporalSmoother(half_life=60), [CALM] * 10 + [clear, clear, other, clear, clear])[10:] == [
        0,
        0,
        0,
        0,
        1,
    ]


def test_after_a_change_only_what_was_seen_since_it_began_is_told():
    steadier = TemporalSmoother(half_life=60)
    looks = [CALM] * 10 + [spoken(0.8, 0.15), spoken(0.7, 0.25), spoken(0.8, 0.15)]
    faces = [look(steadier, fresh, number * EVERY) for number, fresh in enumerate(looks)]
    assert [face.label for face in faces[-2:]] == [0, 1]
    assert faces[-1].probabilities == pytest.approx(np.mean(looks[10:], axis=0), abs=1e-6)


def test_the_label_that_enough_speaks_for_is_the_strongest_of_the_scores_told():
    steadier = TemporalSmoother(half_life=60)
    told = [look(steadier, scores(1, 0, 0, 0), number * EVERY) for number in range(10)]
    for number, fresh in enumerate((scores(0, 0.4, 0.6, 0), scores(0, 0.4, 0.24, 0.36)), start=10):
        told.append(look(steadier, fresh, number * EVERY))
    assert [face.label for face in told[-2:]] == [0, 0]  # the sum says the second label, the mean the third


def test_a_change_that_shows_keeps_the_moment_since_when():
    steadier = TemporalSmoother(half_life=60)
    looks = [CALM] * 10 + [CROSS] * 20
    faces = [look(steadier, fresh, number * EVERY) for number, fresh in enumerate(looks)]
    assert {face.since for face in faces if face.label == 1} == {11 * EVERY}


def test_a_first_label_is_given_when_enough_looks_are_above_what_it_needs():
    steadier = TemporalSmoother(unsure=0.6, half_life=6000)
    told = labels(steadier, [scores(0.5, 0.5)] + [scores(0.1, 0.9)] * 15)
    needed = math.ceil(ENOUGH / math.log(0.9 / 0.6))
    assert told == [None] * needed + [1] * (16 - needed)


def test_without_averaging_nothing_is_summed_up_either():
    assert set(labels(TemporalSmoother(half_life=0), [CALM] + [scores(0.47, 0.53, 0)] * 200)) == {0}


def test_a_slow_board_needs_several_looks_for_a_change_too():
    steadier = TemporalSmoother(half_life=60)
    assert labels(steadier, [CALM] * 10 + [CROSS] * 3, every=0.5) == [0] * 11 + [1] * 2


@pytest.mark.parametrize(("below", "label"), [(SLACK - 0.02, 1), (SLACK + 0.02, 0)])
def test_looks_that_speak_for_it_give_a_label_a_little_below_the_limit_and_no_further(below, label):
    steadier = TemporalSmoother(unsure=0.6, half_life=60)
    weak = scores(0.1, 0.6 - below, 0.3 + below)
    assert labels(steadier, [CALM] * 10 + [weak] * 10)[-1] == label


# --- second looks ---------------------------------------------------------------------------------------------------


def test_every_second_look_at_each_face_is_another_one():
    steadier, told = TemporalSmoother(), []
    for number in range(4):
        told.append((steadier.again(1), steadier.again(2)))
        seen = [Track(1, HERE), Track(2, THERE)]
        steadier.update(seen, {1: CALM} if number % 2 else {1: CALM, 2: CALM}, number * EVERY)
    assert told == [(False, False), (True, True), (False, True), (True, False)]


def test_a_face_that_seems_to_change_is_looked_at_twice_as_often_until_that_is_settled():
    steadier = TemporalSmoother(every=0.1)
    look(steadier, CALM, 5.0)
    assert not steadier.due(1, 5.05)
    look(steadier, CROSS, 5.1)
    assert not steadier.due(1, 5.14)
    assert steadier.due(1, 5.149)
    look(steadier, CALM, 5.15)
    assert not steadier.due(1, 5.20)


def test_a_face_without_a_label_is_looked_at_no_more_often():
    steadier = TemporalSmoother(unsure=0.9, every=0.1)
    for now in (5.0, 5.1):
        look(steadier, scores(0.4, 0.6), now)
    assert not steadier.due(1, 5.15)


@pytest.mark.parametrize(("doubt", "label"), [(DOUBT - 0.2, 0), (DOUBT + 0.2, None)])
def test_only_lasting_doubt_takes_the_label_away(doubt, label):
    steadier = TemporalSmoother(unsure=0.6, half_life=0.001)
    look(steadier, CALM, 0)
    low = [scores(0.4, 0.3, 0.3)] * (round(doubt / EVERY) + 1)
    assert labels(steadier, low, start=EVERY)[-1] == label


def test_doubt_that_passes_is_forgotten():
    steadier = TemporalSmoother(unsure=0.6, half_life=0.001)
    look(steadier, CALM, 0)
    spell = [scores(0.4, 0.3, 0.3)] * round(0.7 * DOUBT / EVERY)
    assert set(labels(steadier, [*spell, CALM, *spell, CALM, *spell], start=EVERY)) == {0}


def test_a_label_says_since_when_it_has_been_given():
    steadier = TemporalSmoother(unsure=0.5, half_life=0)
    told = [(CALM, 10.0), (CALM, 11.0), (CROSS, 12.0), (CROSS, 13.0), (scores(0.4, 0.3, 0.3), 14.0), (CROSS, 15.0)]
    faces = [look(steadier, fresh, now) for fresh, now in told]
    assert [face.label for face in faces] == [0, 0, 1, 1, None, 1]
    assert [face.since for face in faces] == [10, 10, 12, 12, 14, 15]
    assert steadier.update([Track(1, HERE)], {}, 15.5)[0].since == 15
