"""Predictions of teachers are computed once, and again only when something changes that decides them."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference.classifier import Classifier
from tests.support import faces
from trainer.errors import TrainingError
from trainer.evaluation.prediction import open_model, predict_tflite
from trainer.training.teachers import prediction_key, teacher_predictions

DATA = faces.tiny()


@pytest.fixture
def opened(monkeypatch):
    """The paths of the models that were opened."""
    paths = []

    def record(path, dataset):
        paths.append(path)
        return open_model(path, dataset)

    monkeypatch.setattr("trainer.training.teachers.open_model", record)
    return paths


def test_predictions_are_means_of_a_face_and_its_mirror_image():
    mirrored = replace(DATA, faces=DATA.faces[:, :, ::-1].copy())
    expected = np.mean([predict_tflite(Classifier(faces.SHIPPED), data) for data in (DATA, mirrored)], axis=0)
    assert teacher_predictions([faces.SHIPPED, faces.SHIPPED], DATA) == pytest.approx(
        np.stack([expected] * 2), abs=1e-6
    )


def test_kept_predictions_are_read_without_the_model(opened, tmp_path, caplog):
    caplog.set_level(logging.INFO, "trainer")
    first = teacher_predictions([faces.SHIPPED], DATA, tmp_path / "kept")
    assert len(opened) == 1
    assert np.array_equal(teacher_predictions([faces.SHIPPED], DATA, tmp_path / "kept"), first)
    assert len(opened) == 1
    messages = [record.getMessage() for record in caplog.records]
    assert "predicting 42 faces" in messages[0]
    assert "read from" in messages[1]


@pytest.mark.parametrize("changed", ["teacher", "rows", "order", "labels", "preprocessing"])
def test_key_changes_with_all_that_decides_the_predictions(changed, tmp_path, monkeypatch):
    teacher, other = tmp_path / "a.tflite", DATA
    teacher.write_bytes(b"1")
    key = prediction_key(teacher, DATA)
    if changed == "teacher":
        teacher.write_bytes(b"2")
    elif changed == "preprocessing":
        (tmp_path / "preprocess.py").write_text("# other")
        monkeypatch.setattr("edge.inference.preprocess.__file__", str(tmp_path / "preprocess.py"))
    elif changed == "labels":
        other = replace(DATA, class_names=DATA.class_names[::-1])
    else:
        other = DATA.take(np.arange(len(DATA))[:: -1 if changed == "order" else 2])
    assert prediction_key(teacher, other) != key


def test_key_does_not_depend_on_the_path(tmp_path):
    for name in ("a.tflite", "b.tflite"):
        (tmp_path / name).write_bytes(b"1")
    assert prediction_key(tmp_path / "a.tflite", DATA) == prediction_key(tmp_path / "b.tflite", DATA)


@pytest.mark.parametrize("damage", [b"", b"no array", b"cut"])
def test_damaged_file_is_computed_again_and_replaced(damage, tmp_path, caplog):
    first = teacher_predictions([faces.SHIPPED], DATA, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-8] if damage == b"cut" else damage)
    assert np.array_equal(teacher_predictions([faces.SHIPPED], DATA, tmp_path), first)
    assert file.name in caplog.text
    caplog.clear()
    caplog.set_level(logging.INFO, "trainer")
    teacher_predictions([faces.SHIPPED], DATA, tmp_path)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_kept_predictions_of_another_shape_are_computed_again(tmp_path, caplog):
    first = teacher_predictions([faces.SHIPPED], DATA, tmp_path)
    (file,) = tmp_path.iterdir()
    np.save(file, np.zeros((2, 3, 7), np.float32))
    assert np.array_equal(teacher_predictions([faces.SHIPPED], DATA, tmp_path), first)
    assert "another shape" in caplog.text


def test_teacher_with_other_labels_writes_nothing(tmp_path):
    few = replace(DATA.take(np.flatnonzero(DATA.labels < 2)), class_names=DATA.class_names[:2])
    with pytest.raises(TrainingError, match=r"emotion\.tflite: .* angry, disgust, fear, .*; .* angry, disgust$"):
        teacher_predictions([faces.SHIPPED], few, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_missing_teacher_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no\.keras: no such file"):
        teacher_predictions([tmp_path / "no.keras"], DATA, tmp_path)
