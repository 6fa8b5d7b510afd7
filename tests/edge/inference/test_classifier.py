"""The classifier runs what fits its card, whatever its labels are, and refuses everything else with what it found."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.config.models import shipped_model
from edge.errors import EmotionEdgeError, ModelError
from edge.inference import classifier as module
from edge.inference import model_file
from edge.inference.classifier import Classifier, calibrate, dequantize
from edge.types import Box
from tests.support.images import PORTRAIT_FACE

INPUT, OUTPUT = 1, 2  # fields of a TFLite SubGraph: which of its tensors are its inputs and outputs
UINT8, INT8, FLOAT32 = 3, 9, 0  # TensorType of the TFLite schema
SCORES = np.array([0.5, 0.3, 0.2], np.float32)


@pytest.fixture
def model() -> bytes:
    return model_file.load(shipped_model())[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "other.tflite"


@pytest.fixture
def crop(portrait, classifier):
    return classifier.prepare(portrait[..., 1], PORTRAIT_FACE)


class Patch:
    """The FlatBuffer `model`, in which the values of its input or output tensor can be overwritten."""

    def __init__(self, model: bytes) -> None:
        self.content = bytearray(model)

    def set_type(self, which: int, value: int) -> bytes:
        self.content[self._field(self._tensor(which), 1)] = value
        return bytes(self.content)

    def set_quantization(self, which: int, scale: float, zero: int) -> bytes:
        found = self._follow(self._field(self._tensor(which), 4))
        struct.pack_into("<f", self.content, self._follow(self._field(found, 2)) + 4, scale)
        struct.pack_into("<q", self.content, self._follow(self._field(found, 3)) + 4, zero)
        return bytes(self.content)

    def _tensor(self, which: int) -> int:
        graph = self._follow(self._follow(self._field(self._follow(0), 2)) + 4)
        number = self._number("<i", self._follow(self._field(graph, which)) + 4)
        return self._follow(self._follow(self._field(graph, 0)) + 4 + 4 * number)

    def _field(self, table: int, number: int) -> int:
        offsets = table - self._number("<i", table)
        offset = self._number("<H", offsets + 4 + 2 * number)
        assert offset, "the field has its default value and no place in the file"
        return table + offset

    def _follow(self, place: int) -> int:
        return place + self._number("<I", place)

    def _number(self, kind: str, place: int) -> int:
        return int(struct.unpack_from(kind, self.content, place)[0])


def refusal(path: Path, model: bytes, about: model_file.ModelCard) -> str:
    """Return what is said of `model` with the card `about`, which must be one line that names the file."""
    model_file.attach(model, about, path)
    with pytest.raises(ModelError) as caught:
        Classifier(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_smiling_face_is_read_as_happy(classifier, crop):
    assert classifier.card.labels[classifier.classify(crop).argmax()] == "happy"


def test_scores_are_one_share_a_label_and_sum_to_one(classifier, crop):
    scores = classifier.classify(crop)
    assert scores.shape == (len(classifier.card.labels),)
    assert scores.dtype == np.float32
    assert scores.min() >= 0
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_the_same_face_has_the_same_scores_whatever_was_read_between(classifier, crop):
    first = classifier.classify(crop)
    other = classifier.classify(np.zeros_like(crop))
    assert not np.array_equal(first, other)
    assert np.array_equal(first, classifier.classify(crop))


def test_the_prepared_face_is_what_the_card_says(classifier, crop):
    assert crop.shape == (classifier.card.input_size,) * 2
    assert crop.dtype == np.uint8


def test_a_second_look_is_at_the_face_mirrored_and_a_little_tighter(classifier):
    gray = np.random.default_rng(0).integers(0, 256, (120, 200), np.uint8)
    again = classifier.prepare(gray, Box(40, 20, 100, 100), again=True)
    there = classifier.prepare(np.ascontiguousarray(gray[:, ::-1]), Box(63, 23, 94, 94))
    assert np.array_equal(again, there)
    assert again.flags.c_contiguous


def test_labels_are_data(path, model, classifier, crop):
    labels = tuple(f"mood {number}" for number in range(len(classifier.card.labels)))
    model_file.attach(model, replace(classifier.card, labels=labels), path)
    other = Classifier(path)
    assert other.card.labels == labels
    assert np.array_equal(other.classify(crop), classifier.classify(crop))


def test_the_cards_temperature_is_used(path, model, classifier, crop):
    model_file.attach(model, replace(classifier.card, temperature=3.0), path)
    expected = calibrate(classifier.classify(crop), 3 / classifier.card.temperature)
    assert Classifier(path).classify(crop) == pytest.approx(expected, abs=1e-5)


def test_a_card_with_another_input_size_is_refused_with_both_shapes(path, model, classifier):
    size = classifier.card.input_size
    said = refusal(path, model, replace(classifier.card, input_size=size // 2))
    assert f"(1, {size}, {size}, 1)" in said
    assert f"(1, {size // 2}, {size // 2}, 1)" in said


@pytest.mark.parametrize("change", [-1, 1])
def test_a_card_with_too_few_or_too_many_labels_is_refused_with_both_numbers(path, model, classifier, change):
    count = len(classifier.card.labels)
    labels = (*classifier.card.labels, "one more")[: count + change]
    said = refusal(path, model, replace(classifier.card, labels=labels))
    assert f"output shape is (1, {count}), its card has {count + change} labels" in said


@pytest.mark.parametrize(("kind", "name"), [(FLOAT32, "float32"), (INT8, "int8")])
def test_an_input_that_takes_no_raw_pixels_is_refused(path, model, classifier, kind, name):
    said = refusal(path, Patch(model).set_type(INPUT, kind), classifier.card)
    assert f"input is {name}, expected uint8" in said


@pytest.mark.parametrize(
    ("scale", "zero", "found"), [(1 / 255, 0, "input scale is 0.00392157"), (1, 128, "zero point 128")]
)
def test_an_input_scaled_otherwise_is_refused(path, model, classifier, scale, zero, found):
    assert found in refusal(path, Patch(model).set_quantization(INPUT, scale, zero), classifier.card)


def test_a_float_output_is_refused():
    about = model_file.ModelCard("float", ("calm", "cross"), 48, 48)
    inputs = {"shape": (1, 48, 48, 1), "dtype": np.uint8, "quantization": (1.0, 0)}
    outputs = {"shape": (1, 2), "dtype": np.float32}
    with pytest.raises(ModelError, match=r"^m\.tflite: output is float32, expected uint8 or int8"):
        module._check(Path("m.tflite"), about, inputs, outputs)


@pytest.mark.parametrize("count", [0, 2])
def test_a_model_with_several_inputs_or_none_is_refused(count):
    with pytest.raises(ModelError, match=f"input: {count} tensors, expected one"):
        module._only([{}] * count, "m.tflite: input")


def test_what_the_runtime_cannot_build_is_refused_with_its_reason(path, model, classifier):
    assert "no TFLite model, or not a whole one" in refusal(path, model[:8], classifier.card)


def test_without_a_runtime_the_message_says_which_to_install(monkeypatch):
    monkeypatch.setattr(module, "RUNTIMES", ("no_such_package.interpreter",))
    with pytest.raises(EmotionEdgeError, match="pip install ai-edge-litert"):
        module.runtime()


def test_a_runtime_that_lacks_something_itself_says_so(monkeypatch, tmp_path):
    (tmp_path / "broken_runtime.py").write_text("import something_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "RUNTIMES", ("broken_runtime",))
    with pytest.raises(ModuleNotFoundError, match="something_that_is_missing"):
        module.runtime()


def test_the_second_runtime_is_taken_where_the_first_is_not_installed(monkeypatch):
    monkeypatch.setattr(module, "RUNTIMES", ("no_such_package.interpreter", *module.RUNTIMES))
    assert hasattr(module.runtime(), "Interpreter")


@pytest.mark.parametrize(
    ("kind", "quantization", "expected"),
    [
        (np.uint8, (1 / 256, 0), [0, 0.5, 0.99609375]),
        (np.int8, (1 / 256, -128), [0.5, 0, 0.49609375]),  # 128 as int8 is -128
        (np.float32, (0.0, 0), [0, 128, 255]),
    ],
)
def test_dequantized_scores_are_the_real_values(kind, quantization, expected):
    raw = np.array([0, 128, 255], np.uint8)
    values = dequantize(raw.view(kind) if kind != np.float32 else raw.astype(kind), quantization)
    assert values.dtype == np.float32
    assert values.tolist() == expected


def test_a_low_temperature_sharpens_and_a_high_one_softens():
    assert calibrate(SCORES, 0.5)[0] > SCORES[0] > calibrate(SCORES, 2.0)[0]
    assert calibrate(SCORES, 1.0) == pytest.approx(SCORES)


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0, 2.0, 10.0])
def test_every_temperature_keeps_the_order_and_the_sum(temperature):
    scores = calibrate(SCORES, temperature)
    assert scores.sum() == pytest.approx(1)
    assert scores.argsort().tolist() == SCORES.argsort().tolist()


def test_temperature_divides_the_logits():
    logits = np.log(SCORES)
    expected = np.exp(logits / 1.7) / np.exp(logits / 1.7).sum()
    assert calibrate(SCORES, 1.7) == pytest.approx(expected)


def test_a_model_that_says_nothing_gets_equal_shares():
    assert calibrate(np.zeros(4, np.float32), 1.0).tolist() == [0.25] * 4
