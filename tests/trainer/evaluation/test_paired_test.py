"""McNemar's test has known values, and counts only the faces that one of two models gets right."""

import numpy as np
import pytest

from trainer.evaluation.paired_test import PairedDifference, compare_predictions


def test_only_faces_on_which_the_models_differ_count():
    labels = np.array([0, 1, 2, 3, 4, 5])
    model = np.array([0, 1, 2, 0, 0, 0])  # right: 0, 1, 2
    baseline = np.array([0, 0, 0, 3, 1, 0])  # right: 0, 3
    assert compare_predictions(model, baseline, labels) == PairedDifference(6, better=2, worse=1)


@pytest.mark.parametrize(
    ("better", "worse", "p_value"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (5, 0, 2 / 32),
        (0, 5, 2 / 32),
        (1, 9, 2 * 11 / 1024),
        (121, 59, 4.434e-06),  # as scipy.stats.binomtest
    ],
)
def test_p_value_is_that_of_the_binomial_distribution(better, worse, p_value):
    assert PairedDifference(1000, better, worse).p_value == pytest.approx(p_value, rel=1e-3)


def test_p_value_of_many_faces_is_finite():
    assert PairedDifference(3589, 1700, 1500).p_value == pytest.approx(4.3334e-4, rel=1e-3)  # as scipy.stats.binomtest


def test_difference_has_its_interval():
    difference = PairedDifference(400, better=30, worse=10)
    assert difference.difference == pytest.approx(0.05)
    half_width = 1.96 * np.sqrt((40 / 400 - 0.05**2) / 400)
    assert difference.interval == pytest.approx((0.05 - half_width, 0.05 + half_width))
