"""The classifier: runs a model that matches its card, whatever its labels, and refuses any other in one line."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge.config.models import shipped_model
from edge.errors import ModelError
from edge.inference import model_file
from edge.inference.classifier import Classifier, calibrate, dequantize
from edge.system import tflite
from edge.types import Box
from tests.support.flatbuffer_patch import FlatBufferPatch
from tests.support.images import PORTRAIT_FACE

INPUT, OUTPUT = 1, 2  # fields of a TFLite SubGraph: which of its tensors are its inputs and outputs
INT8, FLOAT32 = 9, 0  # TensorType of the TFLite schema
PROBABILITIES = np.array([0.5, 0.3, 0.2], np.float32)


@pytest.fixture
def model() -> bytes:
    return model_file.load(shipped_model())[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "other.tflite"


@pytest.fixture
def face(portrait, classifier):
    return classifier.prepare(portrait[..., 1], PORTRAIT_FACE)


def fake_runtime(inputs, outputs):
    """Return a runtime module whose interpreter has these tensors."""

    class Interpreter:
        def __init__(self, **_):
            pass

        def allocate_tensors(self):
            pass

        def get_input_details(self):
            return inputs

        def get_output_details(self):
            return outputs

    return lambda: SimpleNamespace(Interpreter=Interpreter)


def tensor(shape, dtype):
    return {"shape": shape, "dtype": dtype, "quantization": (1.0, 0), "index": 0}


def refusal(path: Path, model: bytes, card: model_file.ModelCard) -> str:
    """Return the error message for `model` with `card`, which must be one line that names the file."""
    model_file.attach(model, card, path)
    with pytest.raises(ModelError) as caught:
        Classifier(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- classification -----------------------------------------------------------------------------------------------


def test_smiling_face_is_classified_as_happy(classifier, face):
    assert classifier.card.labels[classifier.classify(face).argmax()] == "happy"


def test_there_is_one_probability_a_label_and_they_sum_to_one(classifier, face):
    probabilities = classifier.classify(face)
    assert probabilities.shape == (len(classifier.card.labels),)
    assert probabilities.dtype == np.float32
    assert probabilities.min() >= 0
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_inferences_are_independent_of_one_another(classifier, face):
    first = classifier.classify(face)
    other = classifier.classify(np.zeros_like(face))
    assert not np.array_equal(first, other)
    assert np.array_equal(first, classifier.classify(face))


def test_prepared_face_has_the_size_of_the_card(classifier, face):
    assert face.shape == (classifier.card.input_size,) * 2
    assert face.dtype == np.uint8


def test_flipped_face_is_mirrored_and_slightly_tighter(classifier):
    gray = np.random.default_rng(0).integers(0, 256, (120, 200), np.uint8)
    flipped = classifier.prepare(gray, Box(40, 20, 100, 100), flip=True)
    mirrored = classifier.prepare(np.ascontiguousarray(gray[:, ::-1]), Box(63, 23, 94, 94))
    assert np.array_equal(flipped, mirrored)
    assert flipped.flags.c_contiguous


def test_labels_are_data(path, model, classifier, face):
    labels = tuple(f"mood {number}" for number in range(len(classifier.card.labels)))
    model_file.attach(model, replace(classifier.card, labels=labels, class_frequencies={}), path)
    other = Classifier(path)
    assert other.card.labels == labels
    assert np.array_equal(other.classify(face), classifier.classify(face))


def test_temperature_of_the_card_is_applied(path, model, classifier, face):
    model_file.attach(model, replace(classifier.card, temperature=3.0), path)
    expected = calibrate(classifier.classify(face), 3 / classifier.card.temperature)
    assert Classifier(path).classify(face) == pytest.approx(expected, abs=1e-5)


# --- models that do not match their card --------------------------------------------------------------------------


def test_card_with_another_input_size_is_refused(path, model, classifier):
    size = classifier.card.input_size
    message = refusal(path, model, replace(classifier.card, input_size=size // 2))
    assert f"(1, {size}, {size}, 1)" in message
    assert f"(1, {size // 2}, {size // 2}, 1)" in message


@pytest.mark.parametrize("change", [-1, 1])
def test_card_with_another_number_of_labels_is_refused(path, model, classifier, change):
    count = len(classifier.card.labels)
    labels = (*classifier.card.labels, "one more")[: count + change]
    message = refusal(path, model, replace(classifier.card, labels=labels, class_frequencies={}))
    assert f"output shape is (1, {count})" in message
    assert f"{count + change} labels" in message


@pytest.mark.parametrize(("kind", "name"), [(FLOAT32, "float32"), (INT8, "int8")])
def test_input_that_takes_no_raw_pixels_is_refused(path, model, classifier, kind, name):
    message = refusal(path, FlatBufferPatch(model).set_type(INPUT, kind), classifier.card)
    assert f"input is {name}, expected uint8" in message


@pytest.mark.parametrize(
    ("scale", "zero_point", "found"), [(1 / 255, 0, "input scale is 0.00392157"), (1, 128, "zero point is 128")]
)
def test_input_of_another_scale_is_refused(path, model, classifier, scale, zero_point, found):
    message = refusal(path, FlatBufferPatch(model).set_quantization(INPUT, scale, zero_point), classifier.card)
    assert found in message


def test_float_output_is_refused(path, model, classifier, monkeypatch):
    size, count = classifier.card.input_size, len(classifier.card.labels)
    tensors = [tensor((1, size, size, 1), np.uint8)], [tensor((1, count), np.float32)]
    monkeypatch.setattr(tflite, "runtime", fake_runtime(*tensors))
    assert "output is float32, expected uint8 or int8" in refusal(path, model, classifier.card)


@pytest.mark.parametrize("count", [0, 2])
def test_model_without_exactly_one_input_is_refused(path, model, classifier, monkeypatch, count):
    monkeypatch.setattr(tflite, "runtime", fake_runtime([{}] * count, [{}]))
    assert f"input: {count} tensors" in refusal(path, model, classifier.card)


def test_truncated_flatbuffer_is_refused_before_the_runtime(path, model, classifier):
    assert "not within" in refusal(path, model[:8], classifier.card)


@pytest.mark.parametrize("error", [ValueError, RuntimeError])
def test_model_that_the_runtime_rejects_is_refused(path, model, classifier, monkeypatch, error):
    def interpreter(**_):
        raise error("unknown\n  operator")

    monkeypatch.setattr(tflite, "runtime", lambda: SimpleNamespace(Interpreter=interpreter))
    assert refusal(path, model, classifier.card).endswith("unknown operator")


# --- output -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "quantization", "expected"),
    [
        (np.uint8, (1 / 256, 0), [0, 0.5, 0.99609375]),
        (np.int8, (1 / 256, -128), [0.5, 0, 0.49609375]),  # 128 as int8 is -128
        (np.float32, (0.0, 0), [0, 128, 255]),
    ],
)
def test_dequantized_values_are_the_real_ones(dtype, quantization, expected):
    raw = np.array([0, 128, 255], np.uint8)
    values = dequantize(raw.view(dtype) if dtype != np.float32 else raw.astype(dtype), quantization)
    assert values.dtype == np.float32
    assert values.tolist() == expected


def test_low_temperature_sharpens_and_a_high_one_softens():
    assert calibrate(PROBABILITIES, 0.5)[0] > PROBABILITIES[0] > calibrate(PROBABILITIES, 2.0)[0]
    assert calibrate(PROBABILITIES, 1.0) == pytest.approx(PROBABILITIES)


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0, 2.0, 10.0])
def test_every_temperature_keeps_order_and_sum(temperature):
    probabilities = calibrate(PROBABILITIES, temperature)
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities.argsort().tolist() == PROBABILITIES.argsort().tolist()


def test_temperature_divides_the_logits():
    logits = np.log(PROBABILITIES)
    expected = np.exp(logits / 1.7) / np.exp(logits / 1.7).sum()
    assert calibrate(PROBABILITIES, 1.7) == pytest.approx(expected)


def test_output_without_information_gives_equal_probabilities():
    assert calibrate(np.zeros(4, np.float32), 1.0).tolist() == [0.25] * 4
