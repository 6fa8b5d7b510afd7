"""A .tflite file predicts with the code of the device and without Keras; a .keras file gets the same pixels."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference.classifier import Classifier
from edge.inference.preprocess import model_input
from edge.types import Box
from tests.support import faces
from trainer import keras_backend, keras_file
from trainer.data.dataset import PUBLIC_TEST
from trainer.errors import DataError
from trainer.evaluation.prediction import open_model, predict_keras, predict_tflite
from trainer.keras_file import KerasMetadata

DATA = faces.tiny(training=1, public=2, private=1)


def test_a_tflite_file_predicts_as_on_the_device():
    classifier = Classifier(faces.SHIPPED)
    dataset = DATA.split(PUBLIC_TEST)
    for face, probabilities in zip(dataset.faces, predict_tflite(classifier, dataset), strict=True):
        image = np.pad(face, 30)  # on the device the face is part of a larger image
        expected = classifier.classify(classifier.prepare(image, Box(30, 30, 48, 48)))
        assert np.array_equal(probabilities, expected)


def test_a_tflite_file_has_the_labels_and_size_of_its_card():
    card = Classifier(faces.SHIPPED).card
    model = open_model(faces.SHIPPED, faces.tiny(class_names=("calm", "cross")))
    assert (model.labels, model.input_size) == (card.labels, card.input_size)


def test_the_inputs_of_many_faces_are_not_in_memory_at_once(monkeypatch):
    calls = []

    def predict(inputs, **_):
        calls.append(len(inputs))
        return inputs[:, :2, 0, 0] / 255

    monkeypatch.setattr("trainer.evaluation.prediction.FACES_PER_CALL", 20)
    probabilities = predict_keras(SimpleNamespace(input_shape=(None, 48, 48, 1), predict=predict), DATA)
    assert calls == [20, 8]
    assert np.array_equal(probabilities, (DATA.faces[:, :2, 0] / 255).astype(np.float32))


def test_a_tflite_file_needs_neither_keras_nor_tensorflow(tmp_path):
    table = faces.write_csv(tmp_path / "fer2013.csv", DATA)
    code = """
import sys
sys.modules.update(dict.fromkeys(["keras", "tensorflow", "matplotlib", "jinja2"]))  # importing them now fails
from trainer.cli import main
main()
"""
    command = [sys.executable, "-c", code, "evaluate", faces.SHIPPED, "--data", table, "--json", tmp_path / "r.json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "r.json").read_text())["n"] == 14


@pytest.mark.parametrize(
    ("name", "error"), [("a.tflite", "not a TFLite model"), ("a.onnx", r"expected a \.tflite or a")]
)
def test_a_file_that_is_not_a_model_is_refused(name, error, tmp_path):
    (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(ModelError, match=f"{name}: {error}"):
        open_model(tmp_path / name, DATA)


# --- .keras files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def save(tmp_path):
    """Write an untrained Keras model with square inputs of the given side; return its path."""
    keras_backend.load()
    import keras

    def write(side, outputs=7):
        pixels = keras.Input((side, side, 1))
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
        probabilities = keras.layers.Dense(outputs, activation="softmax")(flat)
        keras.Model(pixels, probabilities).save(tmp_path / "model.keras")
        return tmp_path / "model.keras"

    return write


@pytest.mark.keras
@pytest.mark.parametrize("size", [32, 48, 96])
def test_a_keras_model_gets_the_pixels_of_the_device(size, save):
    model, dataset = keras_file.load(save(size)), DATA.split(PUBLIC_TEST)
    box = Box(0, 0, 48, 48)
    inputs = [model_input(face, box, padding=0, effective_resolution=48, size=size) for face in dataset.faces]
    expected = model.predict(np.stack(inputs)[..., np.newaxis], verbose=0)
    assert predict_keras(model, dataset) == pytest.approx(expected)
    assert np.ptp(expected, axis=0).max() > 0.01  # it does depend on the pixels


@pytest.mark.keras
def test_a_keras_file_has_the_labels_of_its_metadata(save):
    path, reverse = save(32), DATA.class_names[::-1]
    assert open_model(path, DATA).labels == DATA.class_names  # without metadata: those of the data set
    keras_file.save_metadata(path, KerasMetadata(reverse, 48))
    assert open_model(path, DATA).labels == reverse


@pytest.mark.keras
def test_a_keras_file_downscales_to_its_own_resolution(save):
    path = save(96)
    keras_file.save_metadata(path, KerasMetadata(DATA.class_names, 48))
    large = np.stack([cv2.resize(face, (96, 96), interpolation=cv2.INTER_NEAREST) for face in DATA.faces])
    model = open_model(path, DATA)
    assert model.predict(replace(DATA, faces=large.astype(np.uint8))) == pytest.approx(model.predict(DATA), abs=1e-5)


@pytest.mark.keras
def test_a_keras_model_with_too_few_outputs_is_refused(save):
    with pytest.raises(DataError, match=r"model\.keras: 5 outputs, .* 7 classes"):
        open_model(save(32, outputs=5), DATA)
