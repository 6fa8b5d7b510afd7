"""Targets are labels, softened by teachers to the share that is asked for; votes are shares of the voters."""

from dataclasses import replace

import numpy as np
import pytest

from edge.inference.classifier import Classifier
from tests.support import faces
from trainer.errors import TrainingError
from trainer.evaluation.metrics import predict_tflite
from trainer.training import targets

DATA = faces.tiny()


def test_labels_are_1_for_the_own_class_and_0_for_the_others():
    found = targets.labels(DATA)
    assert (found.shape, found.dtype.name) == ((len(DATA), 7), "float32")
    assert np.array_equal(found.argmax(axis=1), DATA.labels)
    assert np.array_equal(np.sort(found)[:, -2:], np.tile([0.0, 1.0], (len(DATA), 1)))


def test_votes_are_shares_and_nothing_where_nobody_voted():
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[0, :2] = 6, 2
    found = targets.votes(replace(DATA, ferplus_votes=votes))
    assert found[0].tolist() == [0.75, 0.25, *[0] * 8]
    assert not found[1:].any()


def test_without_votes_there_is_nothing_to_learn_from():
    with pytest.raises(TrainingError, match=r"tiny\.csv: no votes to learn from; name FER\+'s fer2013new\.csv"):
        targets.votes(DATA)


def test_without_teachers_the_targets_are_the_labels():
    assert np.array_equal(targets.taught([], DATA, 0.5), targets.labels(DATA))


def test_a_teacher_has_its_share_of_the_target_and_looks_at_the_mirror_image_too():
    said, _ = predict_tflite(Classifier(faces.SHIPPED), DATA)
    mirrored, _ = predict_tflite(Classifier(faces.SHIPPED), replace(DATA, faces=DATA.faces[:, :, ::-1].copy()))
    expected = 0.7 * targets.labels(DATA) + 0.3 * (said + mirrored) / 2
    assert targets.taught([faces.SHIPPED], DATA, 0.3) == pytest.approx(expected, abs=1e-6)


def test_several_teachers_are_averaged_and_each_is_told_of():
    told: list[str] = []
    both = targets.taught([faces.SHIPPED, faces.SHIPPED], DATA, 0.5, told.append)
    assert both == pytest.approx(targets.taught([faces.SHIPPED], DATA, 0.5), abs=1e-6)
    assert len(told) == 2
    assert all("emotion.tflite about 42 faces" in line for line in told)


def test_a_teacher_of_other_labels_is_refused_with_both():
    few = replace(DATA.take(np.flatnonzero(DATA.labels < 2)), class_names=DATA.class_names[:2])
    with pytest.raises(
        TrainingError, match=r"emotion\.tflite: a teacher of angry, .*; the data set's labels are angry, d"
    ):
        targets.taught([faces.SHIPPED], few, 0.5)
