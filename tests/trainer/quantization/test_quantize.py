"""The written file is full int8, takes raw pixels, has its card, and predicts on the device what was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference import model_file
from edge.inference.classifier import Classifier
from edge.inference.model_file import ModelCard
from edge.inference.preprocess import resample
from edge.system.tflite import runtime
from tests.support import faces
from tests.support.small import DATA
from trainer import keras_file
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.errors import DataError, QuantizeError
from trainer.evaluation.calibration import cross_fit, fit_temperature, fit_threshold, reliability_diagram
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.prediction import predict_tflite
from trainer.quantization.quantize import convert_to_int8, find_float_ops, quantize, representative_faces

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]
# 8 Training faces a class: too few for random outputs to be certain to fit another order of the labels.
FEW = DATA.take(np.r_[0:56, 112 : len(DATA)])

ROWS = DATA.split(PUBLIC_TEST)


@pytest.fixture
def save_custom(tmp_path, settings):
    """Write an untrained .keras model without our backbone, with `operation` after its pixels; return its path."""
    import keras

    def write(operation, outputs=7):
        pixels = keras.Input((16, 16, 1))
        flat = keras.layers.Flatten()(operation(keras.layers.Rescaling(1 / 255)(pixels)))
        path = tmp_path / "custom.keras"
        keras.Model(pixels, keras.layers.Dense(outputs, activation="softmax")(flat), name="custom").save(path)
        return path

    return write


# --- the file -------------------------------------------------------------------------------------------------------


@pytest.fixture
def interpreter(quantized):
    """The interpreter of the small model's own ops, without a delegate."""
    content, _ = model_file.load(quantized[0])
    resolver = runtime().OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return runtime().Interpreter(model_content=content, experimental_op_resolver_type=resolver)


def test_every_tensor_is_integer(interpreter, quantized):
    types = {np.dtype(tensor["dtype"]).name for tensor in interpreter.get_tensor_details()}
    assert types <= {"uint8", "int8", "int32"}
    assert find_float_ops(model_file.load(quantized[0])[0]) == []


def test_raw_pixels_have_scale_1_and_zero_point_0(interpreter):
    (details,) = interpreter.get_input_details()
    assert details["dtype"] == np.uint8
    assert details["quantization"] == (pytest.approx(1, abs=1e-3), 0)


def test_the_card_has_labels_input_and_metrics(quantized):
    out, result = quantized
    card = Classifier(out).card
    assert (card.name, card.labels, card.input_size, card.effective_resolution) == ("tiny", DATA.class_names, 32, 48)
    assert card.data == "tiny.csv: 112 Training faces"
    assert card.metrics == {
        "PublicTest": {
            "n": 28,
            "accuracy": round(result.int8_metrics.accuracy, 4),
            "macro_f1": round(result.int8_metrics.macro_f1, 4),
            "float_accuracy": round(result.float_metrics.accuracy, 4),
            "agreement": round(result.agreement, 4),
            "expected_calibration_error": round(result.calibrated_error, 4),
            "coverage": round(result.coverage, 4),
            "selective_accuracy": round(result.selective_accuracy, 4),
        }
    }


def test_the_card_has_the_class_frequencies_of_the_run(run, quantized):
    frequencies = Classifier(quantized[0]).card.class_frequencies
    metadata = keras_file.load_metadata(run / "best.keras")
    assert metadata
    assert frequencies == metadata.class_frequencies
    assert frequencies == dict.fromkeys(DATA.class_names, pytest.approx(1 / 7, abs=1e-6))


def test_class_frequencies_of_a_foreign_model_are_of_the_data(save_custom, tmp_path):
    import keras

    twice = FEW.take(np.r_[np.arange(len(FEW)), np.flatnonzero((FEW.labels == 3) & (FEW.splits == TRAINING))])
    source = save_custom(keras.layers.Flatten())
    quantize(source, twice, tmp_path / "custom.tflite", samples=14, adapted_temperature=0.7, default_prior="training")
    card = model_file.load(tmp_path / "custom.tflite")[1]
    assert card.class_frequencies[DATA.class_names[3]] == pytest.approx(2 / 8)
    assert (card.adapted_temperature, card.default_prior) == (0.7, "training")


def test_the_metrics_of_the_card_are_json_values(quantized):
    _, card = model_file.load(quantized[0])
    assert json.loads(json.dumps(card.metrics)) == card.metrics


def test_the_temperature_of_the_card_calibrates_int8(quantized):
    out, result = quantized
    classifier = Classifier(out)
    assert classifier.card.temperature == result.temperature != 1
    classifier.card = replace(classifier.card, temperature=1.0)
    uncalibrated = predict_tflite(classifier, ROWS)
    assert result.temperature == pytest.approx(fit_temperature(uncalibrated, ROWS.labels), abs=1e-3)
    error = reliability_diagram(uncalibrated, ROWS.labels).expected_calibration_error
    assert error == pytest.approx(result.uncalibrated_error, abs=1e-6)
    crossed = cross_fit(uncalibrated, ROWS.labels, 0.5)
    assert result.calibrated_error == crossed.expected_calibration_error
    assert (result.coverage, result.selective_accuracy) == crossed.selective


def test_the_threshold_is_fitted_to_the_selective_accuracy(run, quantized, tmp_path):
    assert Classifier(quantized[0]).card.min_confidence == quantized[1].min_confidence == 0.5
    out = tmp_path / "out.tflite"
    result = quantize(run / "best.keras", DATA, out, samples=7, selective_accuracy=1.0)
    classifier = Classifier(out)
    assert classifier.card.min_confidence == result.min_confidence
    threshold = fit_threshold(predict_tflite(classifier, ROWS), ROWS.labels, 1.0)
    assert threshold - 1e-3 <= result.min_confidence <= threshold


def test_crop_padding_and_threshold_go_into_the_card(run, tmp_path):
    out = tmp_path / "out.tflite"
    quantize(run / "best.keras", DATA, out, samples=7, crop_padding=0.05, min_confidence=0.6)
    card = model_file.load(out)[1]
    assert (card.crop_padding, card.min_confidence) == (0.05, 0.6)


def test_int8_agrees_with_float_on_nearly_all_faces(quantized):
    assert quantized[1].agreement > 0.85
    assert quantized[1].int8_metrics.accuracy > 0.7  # chance is 0.14


def test_the_result_equals_an_evaluation_of_the_two_files(run, quantized):
    out, result = quantized
    evaluation = evaluate(out, DATA, PUBLIC_TEST, compare_to=run / "best.keras")
    int8, float_model = (model.metrics for model in evaluation.models)
    assert np.array_equal(int8.confusion, result.int8_metrics.confusion)
    assert int8.loss == pytest.approx(result.int8_metrics.loss, abs=1e-6)
    assert np.array_equal(float_model.confusion, result.float_metrics.confusion)
    assert evaluation.agreement == result.agreement
    assert result.float_bytes == (run / "best.keras").stat().st_size
    assert result.int8_bytes == pytest.approx(out.stat().st_size, abs=200)  # measured without the metrics in the card


def test_the_float_model_file_is_unchanged(run, tmp_path):
    before = (run / "best.keras").read_bytes()
    quantize(run / "best.keras", DATA, tmp_path / "out.tflite", samples=7)
    assert (run / "best.keras").read_bytes() == before


def test_a_custom_model_with_custom_classes_becomes_int8(save_custom, tmp_path):
    import keras

    names = ("cross", "calm", "glad")
    data, out = faces.tiny(class_names=names), tmp_path / "custom.tflite"
    quantize(save_custom(keras.layers.Conv2D(4, 3, activation="relu"), outputs=3), data, out, name="mine")
    classifier = Classifier(out)
    assert (classifier.card.name, classifier.card.labels) == ("mine", names)
    assert classifier.classify(DATA.faces[0, :16, :16].copy()).sum() == pytest.approx(1)


# --- representative faces -------------------------------------------------------------------------------------------


def test_representative_faces_are_class_balanced():
    rows = DATA.take(np.concatenate([np.arange(112), np.flatnonzero(DATA.labels == 3)]))  # many more happy ones
    selected = representative_faces(rows, 48, 70)[1:, ..., 0]  # the first one is stretched
    labels = {face.tobytes(): label for face, label in zip(rows.faces, rows.labels, strict=True)}
    counts = np.bincount([labels[face.astype(np.uint8).tobytes()] for face in selected], minlength=7)
    assert sorted(counts) == [9, *[10] * 6]


def test_representative_faces_have_the_resolution_of_the_model():
    rows = DATA.split(TRAINING)
    selected = representative_faces(rows, 48, 21, effective_resolution=12)[1:, ..., 0]
    known = {resample(face, effective_resolution=12, size=48).astype(np.float32).tobytes() for face in rows.faces}
    assert all(face.tobytes() in known for face in selected)


def test_representative_faces_are_float_and_span_0_to_255():
    selected = representative_faces(DATA.split(TRAINING), 32, 21)
    assert (selected.shape, selected.dtype.name) == ((21, 32, 32, 1), "float32")
    assert (selected.min(), selected.max()) == (0, 255)


def test_the_same_faces_are_selected_every_time():
    assert np.array_equal(representative_faces(DATA, 32, 21), representative_faces(DATA, 32, 21))


@pytest.mark.parametrize(("samples", "n"), [(1, 7), (7, 7), (15, 14), (10_000, 112)])
def test_every_class_has_a_face_and_none_is_selected_twice(samples, n):
    selected = representative_faces(DATA.split(TRAINING), 48, samples)
    assert len(selected) == len({face.tobytes() for face in selected}) == n


def test_a_uniform_gray_face_is_stretched_too():
    gray = replace(DATA, faces=np.full_like(DATA.faces, 128))
    selected = representative_faces(gray, 32, 7)
    assert (selected.min(), selected.max()) == (0, 255)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def converted(run):
    """The small model as FlatBuffers: all float, and int8 with float pixels and probabilities."""
    import tensorflow as tf

    model = keras_file.load(run / "best.keras")

    def convert(variant):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if variant == "float-ends":
            pixels = representative_faces(DATA, 32, 14)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([face[None]] for face in pixels)
        return converter.convert()

    return {variant: convert(variant) for variant in ("all-float", "float-ends")}


@pytest.mark.parametrize(("variant", "op"), [("all-float", "CONV_2D"), ("float-ends", "QUANTIZE")])
def test_float_ops_are_named(variant, op, converted):
    assert any(line.startswith(f"{op} (") for line in find_float_ops(converted[variant]))


@pytest.mark.parametrize("variant", ["all-float", "float-ends"])
def test_the_device_refuses_a_model_with_float_input(variant, converted, tmp_path):
    path = tmp_path / "float.tflite"
    model_file.attach(converted[variant], ModelCard("tiny", DATA.class_names, 32, 48), path)
    with pytest.raises(ModelError, match=r"float\.tflite: input is float32, expected uint8"):
        Classifier(path)


def test_an_op_without_int8_is_named_and_nothing_is_written(save_custom, tmp_path):
    import keras

    out = tmp_path / "out.tflite"
    with pytest.raises(QuantizeError, match=r"custom\.keras: not full int8, .*ELU \("):
        quantize(save_custom(keras.ops.elu), FEW, out)
    assert not out.exists()


def test_an_op_that_cannot_be_converted_is_refused_in_one_line(save_custom, tmp_path):
    import keras

    with pytest.raises(QuantizeError, match=r"^TensorFlow cannot convert custom: [^\n]*Sinh[^\n]*$"):
        quantize(save_custom(keras.ops.sinh), FEW, tmp_path / "out.tflite")
    assert not (tmp_path / "out.tflite").exists()


def test_an_existing_file_stays_when_a_model_is_refused(run, tmp_path, monkeypatch):
    out = tmp_path / "emotion.tflite"
    out.write_bytes(b"an earlier model")
    monkeypatch.setattr("trainer.quantization.quantize.find_float_ops", lambda _: ["SOFTMAX (probabilities)"])
    with pytest.raises(QuantizeError, match=r"SOFTMAX \(probabilities\)$"):
        quantize(run / "best.keras", DATA, out, samples=7)
    assert out.read_bytes() == b"an earlier model"
    assert list(tmp_path.iterdir()) == [out]


def test_a_model_with_another_number_of_outputs_is_refused(save_custom, tmp_path):
    import keras

    path = save_custom(keras.layers.Conv2D(4, 3), outputs=5)
    with pytest.raises(QuantizeError, match=r"custom\.keras: 5 outputs, .* 3 classes"):
        quantize(path, faces.tiny(class_names=("a", "b", "c")), tmp_path / "out.tflite")


def test_a_model_with_other_labels_is_refused_with_both(run, tmp_path):
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


def test_another_keras_backend_is_refused_with_the_needed_one(run, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(QuantizeError, match="KERAS_BACKEND=tensorflow"):
        convert_to_int8(None, representative_faces(DATA, 32, 7))
