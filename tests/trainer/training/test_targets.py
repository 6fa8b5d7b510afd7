"""Targets: one-hot labels, soft targets by the distillation weight, and label distributions of FER+."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import faces
from trainer.errors import TrainingError
from trainer.training.targets import label_distributions, one_hot, soft_targets

DATA = faces.tiny()


def test_one_hot_is_1_for_the_label_only():
    targets = one_hot(DATA)
    assert (targets.shape, targets.dtype.name) == ((len(DATA), 7), "float32")
    assert np.array_equal(targets.argmax(axis=1), DATA.labels)
    assert np.array_equal(np.sort(targets)[:, -2:], np.tile([0.0, 1.0], (len(DATA), 1)))


def test_label_distributions_are_fractions_of_the_votes():
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[0, :2] = 6, 2
    distributions = label_distributions(replace(DATA, ferplus_votes=votes))
    assert distributions[0].tolist() == [0.75, 0.25, *[0] * 8]
    assert not distributions[1:].any()


def test_label_distributions_without_votes_name_the_option():
    with pytest.raises(TrainingError, match=r"^tiny\.csv: .*--ferplus"):
        label_distributions(DATA)


def test_soft_targets_mix_labels_and_the_mean_of_the_teachers():
    predictions = np.random.default_rng(0).dirichlet(np.ones(7), (2, len(DATA))).astype(np.float32)
    expected = 0.7 * one_hot(DATA) + 0.3 * (predictions[0] + predictions[1]) / 2
    assert soft_targets(one_hot(DATA), predictions, 0.3) == pytest.approx(expected, abs=1e-6)
