"""Targets: one-hot labels, soft targets by the distillation weight, and label distributions of FER+."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from edge.inference.classifier import Classifier
from tests.support import faces
from trainer.errors import TrainingError
from trainer.evaluation.prediction import predict_tflite
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


def test_soft_targets_without_teachers_are_the_labels():
    assert np.array_equal(soft_targets([], DATA, 0.5), one_hot(DATA))


def test_soft_targets_mix_labels_and_flip_averaged_predictions():
    mirrored = replace(DATA, faces=DATA.faces[:, :, ::-1].copy())
    predictions = [predict_tflite(Classifier(faces.SHIPPED), data) for data in (DATA, mirrored)]
    expected = 0.7 * one_hot(DATA) + 0.3 * np.mean(predictions, axis=0)
    assert soft_targets([faces.SHIPPED], DATA, 0.3) == pytest.approx(expected, abs=1e-6)


def test_several_teachers_are_averaged_and_logged(caplog):
    caplog.set_level(logging.INFO, "trainer")
    both = soft_targets([faces.SHIPPED, faces.SHIPPED], DATA, 0.5)
    assert both == pytest.approx(soft_targets([faces.SHIPPED], DATA, 0.5), abs=1e-6)
    messages = [record.getMessage() for record in caplog.records[:2]]
    assert all("emotion.tflite" in message and "42 faces" in message for message in messages)


def test_teacher_with_other_labels_is_an_error_that_names_both():
    few = replace(DATA.take(np.flatnonzero(DATA.labels < 2)), class_names=DATA.class_names[:2])
    with pytest.raises(TrainingError, match=r"emotion\.tflite: .* angry, disgust, fear, .*; .* angry, disgust$"):
        soft_targets([faces.SHIPPED], few, 0.5)
