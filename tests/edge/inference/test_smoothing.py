"""Temporal smoothing, in seconds: noise changes no label, a real change shows soon, inferences are planned."""

import math

import numpy as np
import pytest

from edge.config.defaults import HALF_LIFE_SECONDS
from edge.inference.schedule import INFERENCE_INTERVAL_SECONDS, MAX_AGE_SECONDS
from edge.inference.smoothing import (
    CUSUM_THRESHOLD,
    HYSTERESIS,
    MIN_PROBABILITY,
    STATE_BUFFER_SECONDS,
    SWITCH_MARGIN,
    UNCERTAIN_AFTER_SECONDS,
    TemporalSmoother,
    make_result,
    strongest_label,
)
from edge.types import Box, Track

RIGHT, LEFT = Box(100, 100, 80, 80), Box(20, 100, 80, 80)
LABELS = ("calm", "cross", "sly", "glad")
TRACK = Track(1, RIGHT)


def probable(*values: float):
    """Return probabilities, one for each of the first LABELS."""
    return np.array(values, np.float32)


CALM, CROSS = probable(1, 0, 0), probable(0, 1, 0)


def make_smoother(labels=3, min_confidence=0.0, **options):
    return TemporalSmoother(LABELS[:labels], min_confidence, **options)


def infer(smoother, probabilities, now, track_id=1):
    """Return the result of a face after an inference of it."""
    (face,) = smoother.update([Track(track_id, RIGHT)], {track_id: probabilities}, now)
    return face


def infer_all(smoother, inferences, start=0.0, interval=INFERENCE_INTERVAL_SECONDS):
    """Return the result after each of `inferences`, one every `interval` seconds."""
    return [infer(smoother, each, start + number * interval) for number, each in enumerate(inferences)]


def labels(smoother, inferences, **options):
    return [face.label for face in infer_all(smoother, inferences, **options)]


def values(face):
    return list(face.probabilities.values())


# --- planning -----------------------------------------------------------------------------------------------------

GRAY = np.zeros((240, 320), np.uint8)  # every face looks the same


def is_in_doubt(smoother, now, track_id=1):
    """Return whether a face that does not change is classified before MAX_AGE_SECONDS have passed."""
    return bool(smoother.plan(GRAY, [Track(track_id, RIGHT)], now))


def infer_planned(smoother, probabilities, now):
    """Plan and infer, as the pipeline does."""
    assert smoother.plan(GRAY, [TRACK], now)
    return infer(smoother, probabilities, now)


@pytest.mark.parametrize(
    ("inferences", "in_doubt"),
    [
        ([probable(0.9, 0.1, 0)], False),
        ([probable(0.5, 0.3, 0.2)], True),  # a weak label
        ([probable(0.39, 0.31, 0.3)], True),  # no label
        ([CALM, probable(0.1, 0.9, 0)], True),  # evidence for another one
        ([CALM, probable(0.5, 0.3, 0.2)], True),  # only the last inference is weak
        ([probable(0.42, 0.3, 0.28), probable(0.63, 0.2, 0.17)], True),  # only the average is weak
    ],
)
def test_face_in_doubt_is_due_sooner(inferences, in_doubt):
    smoother = make_smoother(min_confidence=0.4)
    for number, each in enumerate(inferences):
        infer_planned(smoother, each, MAX_AGE_SECONDS * number)
    assert is_in_doubt(smoother, MAX_AGE_SECONDS * (len(inferences) - 1) + 0.1) == in_doubt


def test_label_below_a_high_minimum_confidence_is_in_doubt():
    smoother = make_smoother(2, min_confidence=0.9, half_life=0)
    infer_planned(smoother, probable(0.95, 0.05), 0.0)
    infer_planned(smoother, probable(0.87, 0.13), MAX_AGE_SECONDS)
    assert is_in_doubt(smoother, MAX_AGE_SECONDS + 0.1)


def test_plan_keeps_to_the_limit():
    tracks = [TRACK, Track(2, LEFT)]
    assert len(make_smoother().plan(GRAY, tracks, 0.0, limit=1)) == 1


def test_face_without_an_inference_has_no_result():
    smoother, both = make_smoother(), [TRACK, Track(2, LEFT)]
    (face,) = smoother.update(both, {2: CALM}, 0.0)
    assert face.track_id == 2


def test_lost_face_is_due_at_once_when_it_was_forgotten():
    smoother = make_smoother()
    infer_planned(smoother, CALM, 0.0)
    smoother.update([], {}, 0.1)
    assert not smoother.plan(GRAY, [TRACK], 0.2)
    smoother.update([], {}, STATE_BUFFER_SECONDS + 0.1)
    assert smoother.plan(GRAY, [TRACK], STATE_BUFFER_SECONDS + 0.2)[0].waited == 0


# --- probabilities ------------------------------------------------------------------------------------------------


def test_face_without_an_inference_keeps_its_probabilities():
    smoother = make_smoother()
    infer(smoother, probable(0.7, 0.2, 0.1), 0.0)
    (face,) = smoother.update([Track(1, LEFT)], {}, 0.03)
    assert (face.track_id, face.box, face.label) == (1, LEFT, "calm")
    assert values(face) == pytest.approx([0.7, 0.2, 0.1])


def test_age_is_the_time_since_the_last_inference():
    smoother = make_smoother()
    assert infer(smoother, CALM, 2.0).age == 0
    assert [smoother.update([TRACK], {}, now)[0].age for now in (2.25, 2.5)] == [0.25, 0.5]
    assert infer(smoother, CALM, 3.0).age == 0
    assert smoother.update([TRACK], {}, 1.0)[0].age == 0  # the source restarted


def test_inference_counts_half_after_the_half_life():
    smoother = make_smoother(half_life=0.4)
    infer(smoother, CALM, 0)
    assert values(infer(smoother, CROSS, 0.4)) == pytest.approx([0.5, 0.5, 0])


@pytest.mark.parametrize("count", [1, 7, 60])
def test_average_is_independent_of_the_number_of_inferences(count):
    smoother = make_smoother(2, half_life=0.3)
    infer(smoother, probable(0.9, 0.1), 0)
    for number in range(1, count + 1):
        face = infer(smoother, probable(0.5, 0.5), 0.6 * number / count)
    assert values(face) == pytest.approx([0.6, 0.4], abs=1e-5)


def test_half_life_of_zero_takes_each_inference_as_it_is():
    inferences = [CALM, CROSS, probable(0.3, 0.3, 0.4), CALM]
    faces = infer_all(make_smoother(half_life=0), inferences, interval=0.01)
    assert [values(face) for face in faces] == [each.tolist() for each in inferences]


def test_probabilities_sum_to_one_always():
    rng = np.random.default_rng(0)
    inferences = [rng.dirichlet([0.3] * 4).astype(np.float32) for _ in range(200)]
    for face in infer_all(make_smoother(4), inferences):
        assert sum(values(face)) == pytest.approx(1, abs=1e-5)
        assert min(values(face)) >= 0


def test_result_does_not_change_afterwards():
    smoother = make_smoother()
    first = infer(smoother, CALM, 0)
    infer(smoother, CROSS, 0.1)
    assert values(first) == CALM.tolist() == [1, 0, 0]


def test_faces_are_independent_of_one_another():
    smoother = make_smoother(half_life=1)
    both = [Track(3, RIGHT), Track(8, LEFT)]
    for number in range(10):
        faces = smoother.update(both, {3: CALM, 8: CROSS}, number * INFERENCE_INTERVAL_SECONDS)
    assert [(face.track_id, face.box, face.label) for face in faces] == [(3, RIGHT, "calm"), (8, LEFT, "cross")]
    assert [values(face) for face in faces] == [CALM.tolist(), CROSS.tolist()]


@pytest.mark.parametrize(("away", "expected"), [(STATE_BUFFER_SECONDS - 0.1, 1.0), (STATE_BUFFER_SECONDS + 0.1, 0.0)])
def test_probabilities_of_a_lost_face_are_kept_for_a_while(away, expected):
    smoother, seen = make_smoother(half_life=60), 100.0
    infer(smoother, CALM, seen)
    for seconds in (0.1, away):
        assert smoother.update([], {}, seen + seconds) == ()
    assert values(infer(smoother, CROSS, seen + away))[0] == pytest.approx(expected, abs=0.03)


def test_source_that_restarts_forgets_all_faces():
    smoother = make_smoother(half_life=6000)
    for track_id in range(1, 20):
        infer(smoother, CALM, 60.0, track_id)
        smoother.update([], {}, 0.0)
    for track_id in range(1, 20):
        assert values(infer(smoother, CROSS, 60.0, track_id)) == CROSS.tolist()


def test_time_that_goes_back_gives_probabilities_nevertheless():
    smoother = make_smoother()
    infer(smoother, probable(0.7, 0.2, 0.1), 60.0)
    found = values(infer(smoother, probable(0.1, 0.2, 0.7), 0.0))
    assert sum(found) == pytest.approx(1)
    assert min(found) >= 0


def test_face_that_stays_is_kept_without_any_inference():
    smoother = make_smoother()
    infer(smoother, CALM, 0)
    for seconds in range(1, 9):
        (face,) = smoother.update([TRACK], {}, seconds)
    assert face.label == "calm"


# --- labels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lead", "label"), [(SWITCH_MARGIN - 0.02, "calm"), (SWITCH_MARGIN + 0.02, "cross")])
def test_another_label_needs_a_clear_lead(lead, label):
    smoother = make_smoother(2, half_life=0)
    infer(smoother, probable(0.6, 0.4), 0)
    assert infer(smoother, probable(0.5 - lead / 2, 0.5 + lead / 2), 0.1).label == label


@pytest.mark.parametrize(("probability", "label"), [(0.59, None), (0.61, "calm")])
def test_new_face_below_the_minimum_confidence_has_no_label(probability, label):
    smoother = make_smoother(2, min_confidence=0.6)
    assert infer(smoother, probable(probability, 1 - probability), 0).label == label


@pytest.mark.parametrize(("below", "label"), [(HYSTERESIS - 0.02, "calm"), (HYSTERESIS + 0.02, None)])
def test_label_stays_a_little_below_the_minimum_confidence(below, label):
    smoother = make_smoother(2, min_confidence=0.6, half_life=0)
    infer(smoother, probable(0.7, 0.3), 0)
    assert infer(smoother, probable(0.6 - below, 0.4 + below), 0.1).label == label


def test_uncertain_face_gets_a_label_once_one_is_high_enough():
    smoother = make_smoother(2, min_confidence=0.6, half_life=0)
    assert labels(smoother, [probable(0.5, 0.5), probable(0.35, 0.65)]) == [None, "cross"]


def test_label_has_the_time_since_when_it_holds():
    smoother = make_smoother(min_confidence=0.5, half_life=0)
    inferences = [CALM, CALM, CROSS, CROSS, probable(0.4, 0.3, 0.3), CROSS]
    faces = infer_all(smoother, inferences, start=10.0, interval=1.0)
    assert [face.label for face in faces] == ["calm", "calm", "cross", "cross", None, "cross"]
    assert [face.since for face in faces] == [10, 10, 12, 12, 14, 15]
    assert smoother.update([TRACK], {}, 15.5)[0].since == 15


@pytest.mark.parametrize(
    ("seconds", "label"), [(UNCERTAIN_AFTER_SECONDS - 0.2, "calm"), (UNCERTAIN_AFTER_SECONDS + 0.2, None)]
)
def test_only_lasting_uncertainty_removes_the_label(seconds, label):
    smoother = make_smoother(min_confidence=0.6, half_life=0.001)
    infer(smoother, CALM, 0)
    low = [probable(0.4, 0.3, 0.3)] * (round(seconds / INFERENCE_INTERVAL_SECONDS) + 1)
    assert labels(smoother, low, start=INFERENCE_INTERVAL_SECONDS)[-1] == label


def test_short_uncertainty_is_forgotten():
    smoother = make_smoother(min_confidence=0.6, half_life=0.001)
    infer(smoother, CALM, 0)
    low = [probable(0.4, 0.3, 0.3)] * round(0.7 * UNCERTAIN_AFTER_SECONDS / INFERENCE_INTERVAL_SECONDS)
    assert set(labels(smoother, [*low, CALM, *low, CALM, *low], start=INFERENCE_INTERVAL_SECONDS)) == {"calm"}


# --- changes by CUSUM ---------------------------------------------------------------------------------------------


def cross_with(cross: float, calm: float):
    """Return probabilities of cross, calm, and the rest for sly."""
    return probable(calm, cross, 1 - cross - calm)


@pytest.mark.parametrize(("cross", "calm"), [(0.98, 0.01), (0.8, 0.1), (0.6, 0.3), (0.5, 0.4)])
def test_change_shows_sooner_the_clearer_its_evidence(cross, calm):
    found = labels(make_smoother(half_life=60), [CALM] * 30 + [cross_with(cross, calm)] * 30)
    needed = math.ceil(CUSUM_THRESHOLD / math.log(cross / max(calm, MIN_PROBABILITY)))
    assert found.index("cross") == 30 + needed - 1
    assert set(found[30 + needed :]) == {"cross"}
    assert needed > 1  # however clear: never a single inference


def test_evidence_for_the_current_label_cancels_that_against_it():
    noise = [cross_with(0.8, 0.1), cross_with(0.1, 0.8)] * 20
    assert set(labels(make_smoother(half_life=60), [CALM] * 30 + noise)) == {"calm"}


def test_one_opposing_inference_only_delays_a_change():
    clear, opposing = cross_with(0.7, 0.2), cross_with(0.3, 0.6)
    found = labels(make_smoother(half_life=60), [CALM] * 10 + [clear] * 4)
    assert found[10:] == ["calm"] * 3 + ["cross"]
    found = labels(make_smoother(half_life=60), [CALM] * 10 + [clear, clear, opposing, clear, clear])
    assert found[10:] == ["calm"] * 4 + ["cross"]


@pytest.mark.parametrize("calm", [[], [CALM], [CALM] * 20])
def test_evidence_that_was_refuted_counts_no_longer(calm):
    # Neither for the other label, which would change too soon, nor against it: the change would be late.
    change = [cross_with(0.7, 0.25)] * 5
    refuted = [cross_with(0.6, 0.3), cross_with(0.1, 0.8)]
    found = labels(make_smoother(half_life=60), [CALM] * 10 + refuted + calm + change)
    assert found == ["calm"] * (len(found) - 2) + ["cross"] * 2
    assert math.ceil(CUSUM_THRESHOLD / math.log(0.7 / 0.25)) == 4


@pytest.mark.parametrize("half_life", [HALF_LIFE_SECONDS, 60])
def test_average_starts_again_where_the_evidence_began(half_life):
    inferences = [CALM] * 10 + [cross_with(0.8, 0.15), cross_with(0.7, 0.25), cross_with(0.8, 0.15)]
    faces = infer_all(make_smoother(half_life=half_life), inferences)
    assert [face.label for face in faces[-2:]] == ["calm", "cross"]
    assert values(faces[-1]) == pytest.approx(np.mean(inferences[10:], axis=0), abs=1e-6)


def test_new_label_must_be_the_strongest_of_the_new_average():
    inferences = [probable(1, 0, 0, 0)] * 10 + [probable(0, 0.4, 0.6, 0), probable(0, 0.4, 0.24, 0.36)]
    found = labels(make_smoother(4, half_life=60), inferences)
    assert found[-2:] == ["calm", "calm"]  # the evidence is for the second label, the mean for the third


def test_changed_label_keeps_the_time_of_its_change():
    faces = infer_all(make_smoother(half_life=60), [CALM] * 10 + [CROSS] * 20)
    assert {face.since for face in faces if face.label == "cross"} == {11 * INFERENCE_INTERVAL_SECONDS}


def test_first_label_is_assigned_once_there_is_enough_evidence():
    smoother = make_smoother(2, min_confidence=0.6, half_life=6000)
    found = labels(smoother, [probable(0.5, 0.5)] + [probable(0.1, 0.9)] * 15)
    needed = math.ceil(CUSUM_THRESHOLD / math.log(0.9 / 0.6))
    assert found == [None] * needed + ["cross"] * (16 - needed)


def test_without_averaging_no_evidence_is_accumulated():
    smoother = make_smoother(half_life=0)
    assert set(labels(smoother, [CALM] + [probable(0.47, 0.53, 0)] * 200)) == {"calm"}


def test_slow_board_needs_several_inferences_for_a_change_too():
    found = labels(make_smoother(half_life=60), [CALM] * 10 + [CROSS] * 3, interval=0.5)
    assert found == ["calm"] * 11 + ["cross"] * 2


@pytest.mark.parametrize(
    ("below", "inferences", "label"),
    [
        (HYSTERESIS - 0.02, 3, "cross"),
        (HYSTERESIS + 0.02, 3, "calm"),
        (HYSTERESIS + 0.02, 10, "cross"),  # the evidence is twice what is needed
        (2 * HYSTERESIS + 0.02, 10, "calm"),
    ],
)
def test_evidence_assigns_a_label_a_little_below_the_minimum(below, inferences, label):
    smoother = make_smoother(min_confidence=0.6, half_life=60)
    weak = probable(0.1, 0.6 - below, 0.3 + below)
    assert labels(smoother, [CALM] * 10 + [weak] * inferences)[-1] == label


# --- results ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("min_confidence", "expected"), [(0.5, 1), (0.6, 1), (0.61, None)])
def test_strongest_label_needs_the_minimum_confidence(min_confidence, expected):
    assert strongest_label(np.array([0.4, 0.6]), min_confidence) == expected


def test_result_has_plain_values_and_the_confidence_of_its_label():
    certain = make_result(TRACK, LABELS[:2], probable(0.25, 0.75), "calm", since=1.5, age=0.5)
    assert certain.probabilities == {"calm": 0.25, "cross": 0.75}
    assert (certain.label, certain.confidence, certain.since, certain.age) == ("calm", 0.25, 1.5, 0.5)
    assert make_result(TRACK, LABELS[:2], probable(0.25, 0.75), None, since=0).confidence == 0.75


def test_head_in_profile_is_not_classified_and_uncertain():
    smoother = make_smoother()
    front, away = TRACK, Track(1, RIGHT, is_frontal=False)
    infer(smoother, CALM, 0.0)
    assert smoother.plan(GRAY, [away], 5.0) == []
    (face,) = smoother.update([away], {}, 5.0)
    assert (face.track_id, face.label) == (1, None)
    assert [request.track for request in smoother.plan(GRAY, [front], 5.1)] == [front]
    assert smoother.update([front], {}, 5.1)[0].label == LABELS[0]
