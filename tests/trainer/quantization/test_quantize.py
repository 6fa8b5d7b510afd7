"""What is written is full int8, takes raw pixels, carries its card, and does on the device what was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference import model_file as cards
from edge.inference.classifier import Classifier, runtime
from edge.inference.model_file import ModelCard
from tests.support import faces
from tests.support.small import DATA
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.errors import DataError, QuantizeError
from trainer.evaluation.calibration import fit_temperature, reliability
from trainer.evaluation.metrics import evaluate, load_keras, predict_tflite
from trainer.quantization.quantize import convert, float_tensors, quantize, representative

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]


def card(**changed):
    return replace(ModelCard("tiny", DATA.class_names, 32, 48), **changed)


@pytest.fixture
def own(tmp_path, settings):
    """Write somebody's own untrained .keras model, one operation between its pixels and its scores; give its path."""
    import keras

    def write(operation, outputs=7):
        pixels = keras.Input((16, 16, 1))
        flat = keras.layers.Flatten()(operation(keras.layers.Rescaling(1 / 255)(pixels)))
        path = tmp_path / "own.keras"
        keras.Model(pixels, keras.layers.Dense(outputs, activation="softmax")(flat), name="own").save(path)
        return path

    return write


# --- the file -------------------------------------------------------------------------------------------------------


def test_every_tensor_of_the_file_is_integer(quantized):
    content, _ = cards.load(quantized[0])
    plain = runtime().OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = runtime().Interpreter(model_content=content, experimental_op_resolver_type=plain)
    kinds = {np.dtype(item["dtype"]).name for item in interpreter.get_tensor_details()}
    assert kinds <= {"uint8", "int8", "int32"}
    assert float_tensors(content) == []


def test_raw_pixels_go_in_at_scale_1_and_zero_point_0(quantized):
    scale, zero = Classifier(quantized[0])._input["quantization"]
    assert (scale, zero) == (pytest.approx(1, abs=1e-3), 0)


def test_the_card_inside_says_what_the_model_expects_means_and_reaches(quantized):
    out, compared = quantized
    found = Classifier(out).card
    assert (found.name, found.labels, found.input_size, found.effective_resolution) == ("tiny", DATA.class_names, 32, 48)
    assert found.data == "tiny.csv: 112 Training faces"
    assert found.metrics == {
        "PublicTest": {
            "n": 28,
            "accuracy": round(compared.after.accuracy, 4),
            "macro_f1": round(compared.after.macro_f1, 4),
            "float_accuracy": round(compared.before.accuracy, 4),
            "agreement": round(compared.agreement, 4),
            "calibration_error": round(compared.calibration[1], 4),
            "covered": round(compared.covered, 4),
            "accuracy_covered": round(compared.accuracy_covered, 4),
        }
    }


def test_the_card_carries_the_temperature_that_calibrates_the_int8_scores(quantized):
    out, compared = quantized
    found = Classifier(out)
    rows = DATA.split(PUBLIC_TEST)
    scores, _ = predict_tflite(found, rows)
    assert found.card.temperature == compared.temperature != 1
    assert reliability(scores, rows.labels).error == pytest.approx(compared.calibration[1], abs=1e-6)
    found.card = replace(found.card, temperature=1.0)
    raw, _ = predict_tflite(found, rows)
    assert compared.temperature == pytest.approx(fit_temperature(raw, rows.labels), abs=1e-3)


def test_the_card_carries_the_threshold_and_what_it_costs(quantized):
    out, compared = quantized
    scores, _ = predict_tflite(Classifier(out), DATA.split(PUBLIC_TEST))
    sure = scores.max(axis=1) >= Classifier(out).card.min_confidence
    right = scores.argmax(axis=1) == DATA.split(PUBLIC_TEST).labels
    assert compared.covered == pytest.approx(sure.mean())
    assert compared.accuracy_covered == pytest.approx(right[sure].mean())


def test_margin_and_threshold_can_be_named(run, tmp_path):
    out = tmp_path / "out.tflite"
    quantize(run / "best.keras", DATA, out, samples=7, margin=0.05, unsure=0.6)
    assert (cards.load(out)[1].margin, cards.load(out)[1].unsure) == (0.05, 0.6)


def test_int8_agrees_with_float_on_nearly_all_faces(quantized):
    assert quantized[1].agreement > 0.85
    assert quantized[1].after.accuracy > 0.7  # chance is 0.14


def test_what_was_compared_is_what_evaluate_measures_on_the_two_files(run, quantized):
    out, compared = quantized
    after = evaluate(out, DATA, PUBLIC_TEST)
    assert np.array_equal(after.confusion, compared.after.confusion)
    assert after.loss == pytest.approx(compared.after.loss, abs=1e-6)
    before = evaluate(run / "best.keras", DATA, PUBLIC_TEST)
    assert np.array_equal(before.confusion, compared.before.confusion)
    assert compared.bytes_before == (run / "best.keras").stat().st_size
    assert compared.bytes_after == pytest.approx(out.stat().st_size, abs=200)  # the metrics came into the card


def test_quantizing_leaves_the_float_model_as_it_is(run, quantized):
    before = (run / "best.keras").read_bytes()
    assert load_keras(run / "best.keras").name == "tiny"
    assert (run / "best.keras").read_bytes() == before


def test_somebodys_own_model_with_own_classes_becomes_int8_too(own, tmp_path):
    import keras

    data, out = faces.tiny(class_names=("cross", "calm", "glad")), tmp_path / "own.tflite"
    quantize(own(keras.layers.Conv2D(4, 3, activation="relu"), outputs=3), data, out, name="mine")
    found = Classifier(out)
    assert (found.card.name, found.card.labels) == ("mine", ("cross", "calm", "glad"))
    assert found.classify(DATA.faces[0, :16, :16].copy()).sum() == pytest.approx(1)


# --- representative faces -------------------------------------------------------------------------------------------


def test_representative_faces_are_of_all_classes_alike_and_come_from_the_set():
    rows = DATA.take(np.concatenate([np.arange(112), np.flatnonzero(DATA.labels == 3)]))  # many more happy ones
    chosen = representative(rows, 48, 70)[1:, ..., 0]  # the first one is stretched
    known = {face.tobytes(): label for face, label in zip(rows.faces, rows.labels, strict=True)}
    counts = np.bincount([known[face.astype(np.uint8).tobytes()] for face in chosen], minlength=7)
    assert sorted(counts) == [9, *[10] * 6]


def test_representative_faces_are_float_pixels_of_the_input_size_that_span_0_to_255():
    chosen = representative(DATA.split(TRAINING), 32, 21)
    assert (chosen.shape, chosen.dtype.name) == ((21, 32, 32, 1), "float32")
    assert (chosen.min(), chosen.max()) == (0, 255)


def test_the_same_faces_are_chosen_each_time():
    assert np.array_equal(representative(DATA, 32, 21), representative(DATA, 32, 21))


@pytest.mark.parametrize(("samples", "n"), [(1, 7), (7, 7), (15, 14), (10_000, 112)])
def test_there_is_a_face_of_each_class_and_none_twice(samples, n):
    chosen = representative(DATA.split(TRAINING), 48, samples)
    assert len(chosen) == len({face.tobytes() for face in chosen}) == n


def test_a_flat_gray_face_does_no_harm():
    flat = replace(DATA, faces=np.full_like(DATA.faces, 128))
    chosen = representative(flat, 32, 7)
    assert (chosen.min(), chosen.max()) == (0, 255)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def converted(run):
    """Give the small model as a FlatBuffer: all float, or int8 with float pixels and scores."""
    import tensorflow as tf

    model = load_keras(run / "best.keras")

    def convert(kind):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if kind == "float-ends":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([face[None]] for face in representative(DATA, 32, 14))
        return converter.convert()

    return {kind: convert(kind) for kind in ("all-float", "float-ends")}


@pytest.mark.parametrize(("kind", "op"), [("all-float", "CONV_2D"), ("float-ends", "QUANTIZE")])
def test_ops_that_stayed_float_are_named(kind, op, converted):
    found = float_tensors(converted[kind])
    assert any(line.startswith(f"{op} (") for line in found)


@pytest.mark.parametrize("kind", ["all-float", "float-ends"])
def test_the_device_refuses_a_file_with_float_input(kind, converted, tmp_path):
    path = tmp_path / "float.tflite"
    cards.attach(converted[kind], card(), path)
    with pytest.raises(ModelError, match=r"float\.tflite: input is float32, expected uint8 \(raw pixels\)"):
        Classifier(path)


def test_an_operation_without_int8_is_named_and_nothing_is_written(own, tmp_path):
    import keras

    out = tmp_path / "out.tflite"
    with pytest.raises(QuantizeError, match=r"own\.keras: not full int8, nothing written; float stayed in .*ELU \("):
        quantize(own(keras.ops.elu), DATA, out)
    assert not out.exists()


def test_an_operation_that_tensorflow_cannot_convert_is_refused_in_one_line(own, tmp_path):
    import keras

    with pytest.raises(QuantizeError, match=r"^TensorFlow cannot convert own: [^\n]*Sinh[^\n]*$"):
        quantize(own(keras.ops.sinh), DATA, tmp_path / "out.tflite")
    assert not (tmp_path / "out.tflite").exists()


def test_a_file_that_was_there_stays_when_a_model_is_refused(run, tmp_path, monkeypatch):
    out = tmp_path / "emotion.tflite"
    out.write_bytes(b"the one before")
    monkeypatch.setattr("trainer.quantization.quantize.float_tensors", lambda _: ["SOFTMAX (scores)"])
    with pytest.raises(QuantizeError, match=r"float stayed in SOFTMAX \(scores\)$"):
        quantize(run / "best.keras", DATA, out, samples=7)
    assert out.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [out]


def test_a_model_with_another_number_of_classes_is_refused(own, tmp_path):
    import keras

    path = own(keras.layers.Conv2D(4, 3), outputs=5)
    with pytest.raises(QuantizeError, match=r"own\.keras: 5 outputs, but the data set has 3 classes$"):
        quantize(path, faces.tiny(class_names=("a", "b", "c")), tmp_path / "out.tflite")


def test_a_model_of_other_labels_is_refused_with_both(run, tmp_path):
    with pytest.raises(DataError, match=r"the model's labels are angry, .*; the data set's are a, b, c$"):
        quantize(run / "best.keras", faces.tiny(class_names=("a", "b", "c")), tmp_path / "out.tflite")


@pytest.mark.parametrize("missing", [TRAINING, PUBLIC_TEST])
def test_a_missing_split_is_named_and_nothing_is_written(missing, run, tmp_path):
    data = DATA.take(np.flatnonzero(DATA.splits != missing))
    with pytest.raises(DataError, match=f"no rows of split {missing}"):
        quantize(run / "best.keras", data, tmp_path / "out.tflite", samples=7)
    assert not list(tmp_path.iterdir())


def test_a_damaged_keras_file_is_refused_in_one_line(run, tmp_path):
    path = tmp_path / "cut.keras"
    path.write_bytes((run / "best.keras").read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"^[^\n]*cut\.keras: not a Keras model \([^\n]*\)$"):
        quantize(path, DATA, tmp_path / "out.tflite")


def test_conversion_on_another_backend_says_which_one_it_needs(run, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(QuantizeError, match="conversion needs KERAS_BACKEND=tensorflow"):
        convert(None, representative(DATA, 32, 7))


def test_the_metrics_in_the_card_are_plain_json(quantized):
    _, found = cards.load(quantized[0])
    assert json.loads(json.dumps(found.metrics)) == found.metrics
