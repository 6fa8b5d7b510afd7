"""Calibration figures are those that one knows beforehand: made scores have a known gap, temperature and coverage."""

import numpy as np
import pytest

from edge.inference.classifier import calibrate
from trainer.evaluation.calibration import BINS, Reliability, coverage, fit_temperature, reliability, tempered

CLASSES = 7


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def drawn(n, seed=0):
    """Return (n, classes) shares and (n,) labels drawn by just these shares: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    scores = softmax(rng.normal(0, 1.5, (n, CLASSES)))
    passed = rng.random((n, 1)) < np.cumsum(scores, axis=1)
    return scores, passed.argmax(axis=1)


def pairs(confidence, right):
    """Return two-class scores that are so confident, and labels by which they are right or not."""
    confidence = np.array(confidence, np.float32)
    return np.column_stack([confidence, 1 - confidence]), np.where(right, 0, 1)


# --- temperature ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 0.8, 1.0, 1.6])  # far above it most shares are below an int8 step
def test_the_temperature_that_spoiled_calibrated_scores_is_found(temperature):
    scores, labels = drawn(20_000)
    spoiled = tempered(scores, 1 / temperature)
    assert fit_temperature(spoiled, labels) == pytest.approx(temperature, rel=0.06)


def test_a_share_of_zero_as_int8_has_it_means_rarely_and_not_never():
    # One wrong of 500 that are 100 % sure is what less than half a step of 1/256 promises.
    scores, labels = pairs([1.0] * 500, np.arange(500) > 0)
    assert fit_temperature(scores, labels) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("right", "end"), [(True, 0.2), (False, 5.0)])
def test_a_model_that_is_always_right_or_always_wrong_gets_the_end_of_the_range(right, end):
    scores, labels = pairs([0.7] * 50, [right] * 50)
    assert fit_temperature(scores, labels) == pytest.approx(end, rel=1e-3)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.2])
def test_rows_are_tempered_as_the_device_does_it(temperature):
    scores, _ = drawn(50)
    scores[3] = 0  # a model that says nothing
    made = tempered(scores, temperature)
    assert made.dtype == np.float32
    for row, found in zip(scores, made, strict=True):
        assert found == pytest.approx(calibrate(row, temperature), abs=1e-6)


def test_a_temperature_changes_no_answer():
    scores, _ = drawn(500)
    for temperature in (0.2, 5.0):
        assert np.array_equal(tempered(scores, temperature).argmax(axis=1), scores.argmax(axis=1))


# --- reliability ----------------------------------------------------------------------------------------------------


def test_calibrated_scores_have_hardly_an_error():
    assert reliability(*drawn(50_000)).error < 0.01


@pytest.mark.parametrize(("confidence", "share"), [(0.9, 0.6), (0.55, 0.8)])
def test_the_error_is_the_gap_between_confidence_and_accuracy(confidence, share):
    scores, labels = pairs([confidence] * 100, np.arange(100) < 100 * share)
    found = reliability(scores, labels)
    assert found.error == pytest.approx(abs(confidence - share), abs=1e-6)
    assert found.n.tolist() == [100]
    assert found.accuracy == pytest.approx([share])


def test_ranges_count_by_their_number_of_answers_and_not_by_sign():
    # 30 answers 20 points too sure, 10 answers 20 points too unsure: gaps do not cancel.
    scores, labels = pairs([0.9] * 30 + [0.6] * 10, [*(np.arange(30) < 21), *(np.arange(10) < 8)])
    assert reliability(scores, labels).error == pytest.approx(0.2, abs=1e-6)
    assert Reliability(np.array([0.9, 0.5]), np.array([0.8, 0.9]), np.array([3, 1])).error == pytest.approx(0.175)


def test_ranges_are_equal_and_those_without_answers_left_out():
    scores, labels = pairs([0.52, 0.58, 0.95, 1.0], [True, False, True, True])
    found = reliability(scores, labels, bins=10)
    assert (found.n.tolist(), found.accuracy.tolist()) == ([2, 2], [0.5, 1])
    assert found.confidence == pytest.approx([0.55, 0.975])


def test_all_answers_are_counted_in_at_most_15_ranges():
    found = reliability(*drawn(3000))
    assert found.n.sum() == 3000
    assert len(found.n) <= BINS == 15


# --- coverage -------------------------------------------------------------------------------------------------------


def test_a_lower_threshold_covers_more():
    found = coverage(*pairs([0.6, 0.9, 0.7, 0.8], [False, True, False, True]))
    assert found.threshold == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert found.covered.tolist() == [0.25, 0.5, 0.75, 1]
    assert found.accuracy == pytest.approx([1, 1, 2 / 3, 0.5])


def test_faces_of_the_same_confidence_are_answered_together():
    found = coverage(*pairs([0.8, 0.75, 0.75, 0.75], [True, True, False, False]))
    assert found.threshold == pytest.approx([0.8, 0.75])
    assert found.covered.tolist() == [0.25, 1]
    assert found.accuracy.tolist() == [1, 0.5]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.0, (1, 0.5)), (0.5, (1, 0.5)), (0.51, (0.75, 2 / 3)), (0.75, (0.5, 1)), (0.76, (0, 1)), (1.0, (0, 1))],
)
def test_a_threshold_covers_the_answers_that_reach_it(threshold, expected):
    found = coverage(*pairs([0.75, 0.625, 0.5, 0.75], [True, False, False, True]))
    assert found.at(threshold) == pytest.approx(expected)
