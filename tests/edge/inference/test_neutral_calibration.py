"""A person's own neutral: what a face shows at rest is learned and corrected, a clear expression is not."""

import numpy as np
import pytest

from edge.inference.neutral_calibration import (
    MARGIN,
    MAX_LEAD,
    MAX_SAMPLES,
    MIN_SAMPLES,
    SAMPLE_SECONDS,
    NeutralCalibrator,
)
from edge.inference.smoothing import STATE_BUFFER_SECONDS
from edge.types import Box, Track

LABELS, CALM = ("cross", "calm", "glad"), 1
BOX = Box(0, 0, 50, 50)


def probable(**logits: float):
    """Return probabilities of LABELS; a label that is not named has a logit of -5, calm of 0."""
    values = np.exp([logits.get(label, 0.0 if label == "calm" else -5.0) for label in LABELS])
    return (values / values.sum()).astype(np.float32)


@pytest.fixture
def calibrator():
    return NeutralCalibrator(LABELS, "calm")


def show(calibrator, *shown, start=0.0, track_id=1):
    """Return what becomes of each of `shown`, one after the other every SAMPLE_SECONDS."""
    return [
        calibrator.update([Track(track_id, BOX)], {track_id: each}, start + number * SAMPLE_SECONDS)[track_id]
        for number, each in enumerate(shown)
    ]


CROSS_AT_REST = probable(cross=1.0)


def test_a_face_that_looks_cross_at_rest_becomes_calm(calibrator):
    corrected = show(calibrator, *[CROSS_AT_REST] * MIN_SAMPLES)[-1]
    assert corrected.argmax() == CALM
    assert corrected[CALM] / corrected[0] == pytest.approx(np.exp(MARGIN), rel=1e-3)
    assert corrected.sum() == pytest.approx(1)
    assert corrected.dtype == np.float32


def test_nothing_is_corrected_before_the_face_is_known(calibrator):
    for corrected in show(calibrator, *[CROSS_AT_REST] * (MIN_SAMPLES - 1)):
        assert np.array_equal(corrected, CROSS_AT_REST)


def test_a_face_that_is_clearly_calm_at_rest_stays_as_it_is(calibrator):
    shown = [probable()] * MIN_SAMPLES + [probable(cross=2.0), probable(glad=0.5)]
    for before, after in zip(shown, show(calibrator, *shown), strict=True):
        assert after == pytest.approx(before)


def test_a_clear_expression_is_believed_however_long_it_lasts(calibrator):
    sure = probable(glad=MAX_LEAD + 0.1)
    assert show(calibrator, *[sure] * MAX_SAMPLES)[-1] == pytest.approx(sure)


def test_other_expressions_of_a_corrected_face_are_still_seen(calibrator):
    corrected = show(calibrator, *[CROSS_AT_REST] * MIN_SAMPLES, probable(glad=3.0, cross=1.0), probable(cross=4.0))
    assert [LABELS[each.argmax()] for each in corrected[-2:]] == ["glad", "cross"]


@pytest.mark.parametrize(("fraction", "label"), [(0.4, "cross"), (0.6, "calm")])
def test_only_what_is_shown_most_of_the_time_is_at_rest(fraction, label, calibrator):
    cross = round(fraction * MIN_SAMPLES)
    shown = [CROSS_AT_REST] * cross + [probable()] * (MIN_SAMPLES - cross)
    corrected = show(calibrator, *shown, CROSS_AT_REST)[-1]
    assert LABELS[corrected.argmax()] == label


def test_an_expression_of_a_minute_is_none_at_rest(calibrator):
    shown = [probable()] * (MAX_SAMPLES // 2) + [CROSS_AT_REST] * 2 * MIN_SAMPLES
    assert show(calibrator, *shown)[-1] == pytest.approx(CROSS_AT_REST)


def test_a_face_in_doubt_is_not_sampled_more_often_than_another(calibrator):
    interval = SAMPLE_SECONDS / 10
    for number in range(MIN_SAMPLES * 10 - 10):
        corrected = calibrator.update([Track(1, BOX)], {1: CROSS_AT_REST}, number * interval)[1]
        assert corrected.argmax() != CALM


def test_a_person_who_left_is_forgotten(calibrator):
    show(calibrator, *[CROSS_AT_REST] * MIN_SAMPLES)
    left = MIN_SAMPLES * SAMPLE_SECONDS + STATE_BUFFER_SECONDS
    assert calibrator.update([], {}, left) == {}
    assert show(calibrator, CROSS_AT_REST, start=left + 1)[0] == pytest.approx(CROSS_AT_REST)


@pytest.mark.parametrize("tracks", [[], [Track(1, BOX, is_frontal=False)]], ids=["out of sight", "turned away"])
def test_a_person_who_is_lost_for_a_moment_is_still_known(tracks, calibrator):
    show(calibrator, *[CROSS_AT_REST] * MIN_SAMPLES)
    back = (MIN_SAMPLES - 1) * SAMPLE_SECONDS + STATE_BUFFER_SECONDS
    calibrator.update(tracks, {}, back - 0.1)
    assert show(calibrator, CROSS_AT_REST, start=back)[0].argmax() == CALM


def test_a_person_who_is_turned_away_for_long_is_still_known(calibrator):
    show(calibrator, *[CROSS_AT_REST] * MIN_SAMPLES)
    back = MIN_SAMPLES * SAMPLE_SECONDS + 10 * STATE_BUFFER_SECONDS
    calibrator.update([Track(1, BOX, is_frontal=False)], {}, back - 0.1)
    assert show(calibrator, CROSS_AT_REST, start=back)[0].argmax() == CALM


def test_a_restart_of_the_source_forgets_who_is_out_of_sight(calibrator):
    show(calibrator, *[CROSS_AT_REST] * MIN_SAMPLES, start=1000.0)
    calibrator.update([], {}, 0.0)
    assert show(calibrator, CROSS_AT_REST, start=0.1)[0] == pytest.approx(CROSS_AT_REST)


def test_each_face_has_a_neutral_of_its_own(calibrator):
    tracks = [Track(1, BOX), Track(2, BOX)]
    for number in range(MIN_SAMPLES + 1):
        shown = {1: CROSS_AT_REST, 2: probable() if number < MIN_SAMPLES else CROSS_AT_REST}
        corrected = calibrator.update(tracks, shown, number * SAMPLE_SECONDS)
    assert corrected[1].argmax() == CALM
    assert corrected[2] == pytest.approx(CROSS_AT_REST)


def test_a_source_that_begins_again_does_not_stop_the_samples(calibrator):
    show(calibrator, probable(), start=1000.0)
    assert show(calibrator, *[CROSS_AT_REST] * MIN_SAMPLES)[-1].argmax() == CALM


def test_a_probability_of_zero_is_possible(calibrator):
    sure = np.array([0, 1, 0], np.float32)
    assert np.array_equal(show(calibrator, *[sure] * MIN_SAMPLES)[-1], sure)


def test_the_oldest_samples_are_dropped(calibrator):
    show(calibrator, *[probable()] * MAX_SAMPLES)
    later = [CROSS_AT_REST] * (MAX_SAMPLES // 2 + 2)
    assert show(calibrator, *later, start=MAX_SAMPLES * SAMPLE_SECONDS)[-1].argmax() == CALM
