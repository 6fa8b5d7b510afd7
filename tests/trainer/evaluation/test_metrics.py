"""Figures are what one calculates by hand; a .tflite file is measured by the device's own code and without Keras."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference.classifier import Classifier
from edge.inference.preprocess import model_input
from edge.types import Box
from tests.support import faces
from trainer import keras_backend as framework
from trainer.data.dataset import PUBLIC_TEST, Dataset
from trainer.errors import DataError
from trainer.evaluation.metrics import (
    Result,
    Told,
    describe,
    evaluate,
    load_keras,
    measure,
    open_model,
    predict_keras,
    predict_tflite,
    told_by,
)

NAMES = ("a", "b", "c")
TRUTH = [0, 0, 0, 0, 1, 1, 2]
GUESS = [0, 0, 1, 2, 1, 0, 2]


def rows(truth, names=NAMES):
    blank = np.zeros((len(truth), 8, 8), np.uint8)
    return Dataset(blank, np.array(truth), np.full(len(truth), PUBLIC_TEST), names, source="data.csv")


def shares(guess, classes=3, sure=0.8):
    """Return scores that name `guess`, each with the share `sure`."""
    rest = (1 - sure) / (classes - 1)
    return np.where(np.eye(classes)[guess] > 0, sure, rest).astype(np.float32)


@pytest.fixture
def result():
    return measure(shares(GUESS), rows(TRUTH))


def right(correct, n):
    return Result(PUBLIC_TEST, ("a", "b"), np.array([[correct, n - correct], [0, 0]]), 0.0)


# --- figures --------------------------------------------------------------------------------------------------------


def test_confusion_has_the_true_labels_in_rows_and_the_predicted_in_columns(result):
    assert result.confusion.tolist() == [[2, 1, 1], [1, 1, 0], [0, 0, 1]]


def test_accuracy_is_the_share_of_right_answers(result):
    assert (result.n, result.accuracy) == (7, pytest.approx(4 / 7))


def test_precision_recall_and_f1_are_what_one_calculates_by_hand(result):
    assert result.precision == pytest.approx([2 / 3, 1 / 2, 1 / 2])
    assert result.recall == pytest.approx([1 / 2, 1 / 2, 1])
    assert result.f1 == pytest.approx([4 / 7, 1 / 2, 2 / 3])


def test_macro_f1_counts_each_class_the_same(result):
    assert result.macro_f1 == pytest.approx((4 / 7 + 1 / 2 + 2 / 3) / 3)


def test_a_class_that_is_never_named_has_precision_and_f1_of_0():
    result = measure(shares([0, 0]), rows([0, 1]))
    assert (result.precision[1], result.f1[1]) == (0, 0)


def test_macro_f1_leaves_out_a_class_that_the_split_has_none_of():
    result = measure(shares([0, 1]), rows([0, 1]))
    assert (result.recall[2], result.macro_f1) == (0, 1)


def test_loss_is_the_mean_negative_logarithm_of_the_true_labels_share():
    scores = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]], np.float32)
    assert measure(scores, rows([0, 1])).loss == pytest.approx((np.log(2) + np.log(4)) / 2)


def test_a_share_of_0_costs_no_more_than_half_a_quantization_step():
    assert measure(shares([0], sure=1), rows([1])).loss == pytest.approx(np.log(512))


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (29, 29, 0.8830, 1)],
)
def test_the_interval_is_wilsons(correct, n, low, high):
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert right(correct, n).interval == pytest.approx((low, high), abs=1e-4)


def test_json_has_the_keys_that_others_read_and_plain_values(result):
    found = json.loads(json.dumps(result.as_json()))
    assert {"split", "n", "accuracy", "macro_f1", "per_class", "confusion"} <= set(found)
    assert (found["split"], found["n"], found["labels"]) == (PUBLIC_TEST, 7, ["a", "b", "c"])
    assert found["confusion"] == [[2, 1, 1], [1, 1, 0], [0, 0, 1]]
    assert found["per_class"]["b"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2}
    assert found["accuracy_95"] == pytest.approx(list(result.interval))


# --- model files ----------------------------------------------------------------------------------------------------

DATA = faces.tiny(training=1, public=2, private=1)


def test_a_tflite_file_is_measured_as_the_device_runs_it():
    classifier = Classifier(faces.SHIPPED)
    scores, labels = predict_tflite(classifier, DATA.split(PUBLIC_TEST))
    for face, found in zip(DATA.split(PUBLIC_TEST).faces, scores, strict=True):
        # On the device the face comes out of a larger image.
        image = np.pad(face, 30)
        assert np.array_equal(classifier.classify(classifier.prepare(image, Box(30, 30, 48, 48))), found)
    assert labels == classifier.card.labels


def test_the_split_that_is_asked_for_is_measured():
    found = evaluate(faces.SHIPPED, DATA, PUBLIC_TEST)
    assert (found.split, found.n, found.names) == (PUBLIC_TEST, 14, DATA.class_names)
    assert found.accuracy > 2 / 7  # twice chance, on means of faces that it has learnt


def test_evaluate_of_a_tflite_file_needs_neither_keras_nor_tensorflow(tmp_path):
    table = faces.write_csv(tmp_path / "fer2013.csv", DATA)
    code = """
import sys
sys.modules.update(dict.fromkeys(["keras", "tensorflow", "matplotlib"]))  # importing them now fails
from trainer.cli import main
main()
"""
    command = [sys.executable, "-c", code, "evaluate", faces.SHIPPED, "--data", table, "--json", tmp_path / "r.json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "r.json").read_text())["n"] == 14


def test_a_model_with_other_labels_than_the_data_is_refused_with_both():
    with pytest.raises(DataError, match=r"the model's labels are angry, .*; the data set's are calm, cross$"):
        evaluate(faces.SHIPPED, faces.tiny(class_names=("calm", "cross")), PUBLIC_TEST)


def test_the_same_labels_in_another_order_are_matched_by_their_names():
    order = np.arange(7)[::-1]
    turned = replace(DATA, class_names=DATA.class_names[::-1], labels=order[DATA.labels])
    assert evaluate(faces.SHIPPED, turned, PUBLIC_TEST).as_json() == evaluate(faces.SHIPPED, DATA, PUBLIC_TEST).as_json()


def test_a_split_that_the_data_lacks_is_refused():
    with pytest.raises(DataError, match=r"tiny\.csv: no rows of split PublicTest; found: Training \(7\)$"):
        evaluate(faces.SHIPPED, faces.tiny(training=1, public=0, private=0), PUBLIC_TEST)


@pytest.mark.parametrize(
    ("name", "error"), [("a.tflite", "not a TFLite model"), ("a.onnx", r"expected a \.tflite or a")]
)
def test_a_file_that_is_no_model_is_refused(name, error, tmp_path):
    (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(ModelError, match=f"{name}: {error}"):
        evaluate(tmp_path / name, DATA, PUBLIC_TEST)


def test_a_keras_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"best\.keras: not found; name a \.keras file"):
        load_keras(tmp_path / "best.keras")


# --- .keras files ---------------------------------------------------------------------------------------------------


@pytest.mark.keras
def test_a_keras_file_tells_its_labels_and_detail_and_keras_still_loads_it(save):
    path = save((32, 32, 1))
    assert told_by(path) is None
    describe(path, DATA)
    assert told_by(path) == Told(DATA.class_names, 48)
    assert load_keras(path).output_shape == (None, 7)


@pytest.mark.keras
def test_a_keras_file_is_held_against_its_own_labels_not_the_data_sets_order(save):
    path = save((32, 32, 1))
    describe(path, DATA)
    turned = replace(DATA, class_names=DATA.class_names[::-1], labels=np.arange(7)[::-1][DATA.labels])
    assert np.array_equal(evaluate(path, turned, PUBLIC_TEST).confusion, evaluate(path, DATA, PUBLIC_TEST).confusion)


@pytest.mark.keras
def test_a_keras_file_sees_other_data_at_the_detail_that_it_was_trained_on(save):
    path = save((96, 96, 1))
    describe(path, DATA)
    large = np.stack([cv2.resize(face, (96, 96), interpolation=cv2.INTER_NEAREST) for face in DATA.faces])
    seen = open_model(path, DATA).scores(replace(DATA, faces=large.astype(np.uint8)))
    assert seen == pytest.approx(open_model(path, DATA).scores(DATA), abs=1e-5)


@pytest.fixture
def save(tmp_path):
    """Write an untrained Keras model of the given input shape; give its path."""
    framework.load()
    import keras

    def write(shape, outputs=7):
        pixels = keras.Input(shape)
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
        scores = keras.layers.Dense(outputs, activation="softmax")(flat)
        keras.Model(pixels, scores).save(tmp_path / "model.keras")
        return tmp_path / "model.keras"

    return write


@pytest.mark.keras
@pytest.mark.parametrize("size", [32, 48, 96])
def test_a_keras_model_is_fed_with_the_devices_pixels(size, save):
    model, data = load_keras(save((size, size, 1))), DATA.split(PUBLIC_TEST)
    seen = [model_input(face, Box(0, 0, 48, 48), margin=0, detail=48, size=size) for face in data.faces]
    expected = model.predict(np.stack(seen)[..., np.newaxis], verbose=0)
    assert predict_keras(model, data) == pytest.approx(expected)
    assert np.ptp(expected, axis=0).max() > 0.01  # it does depend on the pixels


@pytest.mark.keras
def test_a_keras_model_with_another_number_of_classes_is_refused(save):
    with pytest.raises(DataError, match=r"model\.keras: 5 outputs, but the data set has 7 classes$"):
        evaluate(save((32, 32, 1), outputs=5), DATA, PUBLIC_TEST)


@pytest.mark.keras
@pytest.mark.parametrize("shape", [(32, 32, 3), (32, 48, 1), (None, None, 1), (1024,)])
def test_a_keras_model_that_takes_anything_but_square_gray_pixels_is_refused(shape, save):
    if None in shape:
        import keras

        pixels = keras.Input(shape)
        path = save((32, 32, 1))
        keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(pixels)).save(path)
    else:
        path = save(shape)
    with pytest.raises(ModelError, match=r"model\.keras: its input is .* expected square gray pixels"):
        load_keras(path)


@pytest.mark.keras
@pytest.mark.parametrize("damage", ["empty", "cut", "changed"])
def test_a_damaged_keras_file_is_refused_in_one_line(damage, save):
    path = save((32, 32, 1))
    data = path.read_bytes()
    middle = len(data) // 2
    changed = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
    path.write_bytes({"empty": b"", "cut": data[:middle], "changed": changed}[damage])
    with pytest.raises(ModelError, match=r"^[^\n]*model\.keras: not a Keras model \([^\n]*\)$"):
        load_keras(path)
