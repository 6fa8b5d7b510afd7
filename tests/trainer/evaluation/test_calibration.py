"""Calibration figures are those that are known beforehand: the data has a known gap, temperature and coverage."""

import numpy as np
import pytest

from edge.inference.classifier import calibrate
from trainer.evaluation.calibration import (
    CALIBRATION_BINS,
    ReliabilityDiagram,
    apply_temperature,
    coverage_curve,
    cross_fit,
    fit_temperature,
    fit_threshold,
    reliability_diagram,
)

CLASSES = 7


def calibrated(n, seed=0):
    """Return (n, classes) probabilities and (n,) labels that are drawn with these probabilities."""
    rng = np.random.default_rng(seed)
    powers = np.exp(rng.normal(0, 1.5, (n, CLASSES)))
    probabilities = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities, (rng.random((n, 1)) < np.cumsum(probabilities, axis=1)).argmax(axis=1)


def two_classes(confidence, correct):
    """Return (n, 2) probabilities with the given confidence, and labels for which they are correct or not."""
    confidence = np.array(confidence, np.float32)
    return np.column_stack([confidence, 1 - confidence]), np.where(correct, 0, 1)


# --- temperature ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 0.8, 1.0, 1.6])  # far above it most probabilities are below an int8 step
def test_the_temperature_of_uncalibrated_probabilities_is_found(temperature):
    probabilities, labels = calibrated(20_000)
    uncalibrated = apply_temperature(probabilities, 1 / temperature)
    assert fit_temperature(uncalibrated, labels) == pytest.approx(temperature, rel=0.06)


def test_an_int8_probability_of_0_means_rarely_not_never():
    # One wrong of 500 with a confidence of 100 % is what less than half a step of 1/256 promises.
    probabilities, labels = two_classes([1.0] * 500, np.arange(500) > 0)
    assert fit_temperature(probabilities, labels) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("correct", "limit"), [(True, 0.2), (False, 5.0)])
def test_always_correct_or_always_wrong_gives_a_limit(correct, limit):
    probabilities, labels = two_classes([0.7] * 50, [correct] * 50)
    assert fit_temperature(probabilities, labels) == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.2])
def test_a_temperature_is_applied_as_on_the_device(temperature):
    probabilities, _ = calibrated(50)
    probabilities[3] = 0  # all int8 outputs 0
    scaled = apply_temperature(probabilities, temperature)
    assert scaled.dtype == np.float32
    for before, after in zip(probabilities, scaled, strict=True):
        assert after == pytest.approx(calibrate(before, temperature), abs=1e-6)


def test_a_temperature_changes_no_prediction():
    probabilities, _ = calibrated(500)
    for temperature in (0.2, 5.0):
        scaled = apply_temperature(probabilities, temperature)
        assert np.array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


# --- reliability ----------------------------------------------------------------------------------------------------


def test_calibrated_probabilities_have_almost_no_error():
    assert reliability_diagram(*calibrated(50_000)).expected_calibration_error < 0.01


@pytest.mark.parametrize(("confidence", "accuracy"), [(0.9, 0.6), (0.55, 0.8)])
def test_the_error_is_the_gap_of_confidence_and_accuracy(confidence, accuracy):
    probabilities, labels = two_classes([confidence] * 100, np.arange(100) < 100 * accuracy)
    diagram = reliability_diagram(probabilities, labels)
    assert diagram.expected_calibration_error == pytest.approx(abs(confidence - accuracy), abs=1e-6)
    assert diagram.n.tolist() == [100]
    assert diagram.accuracy == pytest.approx([accuracy])


def test_gaps_are_weighted_by_count_and_do_not_cancel():
    # 30 predictions 20 points overconfident, 10 predictions 20 points underconfident.
    probabilities, labels = two_classes([0.9] * 30 + [0.6] * 10, [*(np.arange(30) < 21), *(np.arange(10) < 8)])
    assert reliability_diagram(probabilities, labels).expected_calibration_error == pytest.approx(0.2, abs=1e-6)
    uneven = ReliabilityDiagram(np.array([0.9, 0.5]), np.array([0.8, 0.9]), np.array([3, 1]))
    assert uneven.expected_calibration_error == pytest.approx(0.175)


def test_bins_have_equal_width_and_empty_ones_are_left_out():
    probabilities, labels = two_classes([0.52, 0.58, 0.95, 1.0], [True, False, True, True])
    diagram = reliability_diagram(probabilities, labels, bins=10)
    assert (diagram.n.tolist(), diagram.accuracy.tolist()) == ([2, 2], [0.5, 1])
    assert diagram.confidence == pytest.approx([0.55, 0.975])


def test_all_predictions_are_counted_in_at_most_15_bins():
    diagram = reliability_diagram(*calibrated(3000))
    assert diagram.n.sum() == 3000
    assert len(diagram.n) <= CALIBRATION_BINS == 15


# --- coverage -------------------------------------------------------------------------------------------------------


def test_a_lower_threshold_has_a_higher_coverage():
    curve = coverage_curve(*two_classes([0.6, 0.9, 0.7, 0.8], [False, True, False, True]))
    assert curve.threshold == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.accuracy == pytest.approx([1, 1, 2 / 3, 0.5])


def test_equal_confidences_pass_a_threshold_together():
    curve = coverage_curve(*two_classes([0.8, 0.75, 0.75, 0.75], [True, True, False, False]))
    assert curve.threshold == pytest.approx([0.8, 0.75])
    assert curve.coverage.tolist() == [0.25, 1]
    assert curve.accuracy.tolist() == [1, 0.5]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.0, (1, 0.5)), (0.5, (1, 0.5)), (0.51, (0.75, 2 / 3)), (0.75, (0.5, 1)), (0.76, (0, 1)), (1.0, (0, 1))],
)
def test_coverage_and_accuracy_at_a_threshold(threshold, expected):
    curve = coverage_curve(*two_classes([0.75, 0.625, 0.5, 0.75], [True, False, False, True]))
    assert curve.at(threshold) == pytest.approx(expected)


# --- cross-fitting --------------------------------------------------------------------------------------------------


def test_cross_fitting_calibrates_rows_that_were_not_fitted():
    probabilities, labels = calibrated(5_000)
    sharpened = apply_temperature(probabilities, 0.7)
    result = cross_fit(sharpened, labels, 0.5)
    assert result.probabilities == pytest.approx(apply_temperature(sharpened, 1 / 0.7), abs=0.05)
    assert result.expected_calibration_error < 0.03
    assert reliability_diagram(sharpened, labels).expected_calibration_error > 0.05


def test_rows_of_a_fold_do_not_decide_their_own_temperature():
    probabilities, labels = calibrated(200)
    before = cross_fit(probabilities, labels, 0.5).probabilities
    for row in (0, 77, 199):
        other = labels.copy()
        other[row] = probabilities[row].argmin()  # all but impossible: every fit with this row changes
        after = cross_fit(probabilities, other, 0.5).probabilities
        assert np.array_equal(after[row], before[row])
        assert not np.array_equal(after, before)


def test_threshold_is_the_smallest_that_reaches_the_accuracy():
    probabilities, labels = two_classes([0.9, 0.8, 0.7, 0.6], [True, True, False, False])
    assert fit_threshold(probabilities, labels, 1.0) == pytest.approx(0.8)
    assert fit_threshold(probabilities, labels, 0.6) == pytest.approx(0.7)
    assert fit_threshold(probabilities, labels, 0.5) == pytest.approx(0.6)
    assert fit_threshold(probabilities, 1 - labels, 0.9) == 1.0


def test_fitted_threshold_reaches_the_accuracy_on_other_rows():
    probabilities, labels = calibrated(5_000)
    coverage, accuracy = cross_fit(probabilities, labels, 0.5, selective_accuracy=0.7).selective
    assert accuracy == pytest.approx(0.7, abs=0.03)
    assert 0.1 < coverage < 0.9


def test_fixed_threshold_is_the_same_in_each_fold():
    probabilities, labels = calibrated(500)
    result = cross_fit(probabilities, labels, 0.6)
    assert result.selective == pytest.approx(coverage_curve(result.probabilities, labels).at(0.6))


def test_fewer_rows_than_folds_are_not_fitted():
    probabilities, labels = two_classes([0.9, 0.8, 0.7, 0.6], [True, True, False, False])
    assert np.array_equal(cross_fit(probabilities, labels, 0.5).probabilities, probabilities)
