"""An evaluation agrees with its parts, and a second model gets the same faces."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edge.inference import model_file
from edge.inference.classifier import Classifier
from tests.support import faces
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.errors import DataError
from trainer.evaluation.corruptions import CORRUPTIONS, apply_corruption, darken
from trainer.evaluation.evaluate import describe_model, evaluate
from trainer.evaluation.metrics import compute_metrics
from trainer.evaluation.prediction import predict_tflite

DATA = faces.tiny()
ROWS = DATA.split(PUBLIC_TEST)


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """The shipped model with another card: uncertain below 90 %."""
    model, card = model_file.load(faces.SHIPPED)
    path = tmp_path_factory.mktemp("strict") / "strict.tflite"
    model_file.attach(model, replace(card, min_confidence=0.9), path)
    return path


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(faces.SHIPPED, DATA, PUBLIC_TEST)


@pytest.fixture(scope="module")
def full(strict):
    """An evaluation of all that can be measured."""
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[:, 1] = 10  # happiness, all of them
    data = replace(DATA, ferplus_votes=votes)
    return evaluate(faces.SHIPPED, data, PUBLIC_TEST, compare_to=strict, corruptions=True, tta=True)


def test_the_metrics_are_those_of_the_predictions(evaluation):
    probabilities = predict_tflite(Classifier(faces.SHIPPED), ROWS)
    assert np.array_equal(evaluation.model.probabilities, probabilities)
    assert evaluation.model.metrics.as_json() == compute_metrics(probabilities, ROWS).as_json()
    assert evaluation.model.metrics.accuracy > 2 / 7  # twice chance, on means of faces that it was trained on


def test_only_what_was_asked_for_is_measured(evaluation):
    assert (evaluation.corruptions, evaluation.ferplus, evaluation.flip_tta) == ({}, None, None)
    assert (evaluation.compared, len(evaluation.models), evaluation.agreement) == (None, 1, 1.0)


def test_votes_without_a_majority_are_not_evaluated():
    data = replace(DATA, ferplus_votes=np.zeros((len(DATA), 10), np.uint8))
    assert evaluate(faces.SHIPPED, data, PUBLIC_TEST).ferplus is None


@pytest.mark.parametrize(("split", "n"), [(TRAINING, 21), (PUBLIC_TEST, 14)])
def test_the_named_split_is_evaluated(split, n):
    metrics = evaluate(faces.SHIPPED, DATA, split).model.metrics
    assert (metrics.split, metrics.n, metrics.class_names) == (split, n, DATA.class_names)


def test_labels_in_another_order_are_matched_by_name(evaluation):
    order = np.arange(7)[::-1]
    reverse = replace(DATA, class_names=DATA.class_names[::-1], labels=order[DATA.labels])
    metrics = evaluate(faces.SHIPPED, reverse, PUBLIC_TEST).model.metrics
    assert metrics.as_json() == evaluation.model.metrics.as_json()


def test_the_threshold_is_that_of_the_card(strict):
    evaluation = evaluate(strict, DATA, PUBLIC_TEST)
    confident = evaluation.model.probabilities.max(axis=1) >= 0.9
    coverage, accuracy = evaluation.coverage(evaluation.model)
    assert evaluation.min_confidence == 0.9
    assert coverage == pytest.approx(confident.mean())
    assert accuracy == pytest.approx((evaluation.model.predicted == ROWS.labels)[confident].mean())


def test_both_models_are_evaluated_on_every_corruption(full):
    assert list(full.corruptions) == ["emotion.tflite", "strict.tflite"]
    assert all(list(by_name) == ["original", *CORRUPTIONS] for by_name in full.corruptions.values())
    dark = predict_tflite(Classifier(faces.SHIPPED), apply_corruption(ROWS, darken))
    metrics = full.corruptions["emotion.tflite"]["low light (1/4)"]
    assert metrics.as_json() == compute_metrics(dark, ROWS).as_json()
    assert np.array_equal(full.corruptions["strict.tflite"]["original"].confusion, full.model.metrics.confusion)


def test_equal_predictions_agree(full):
    assert full.compared.name == "strict.tflite"
    assert full.agreement == 1


def test_two_files_of_one_name_are_shown_with_their_folders(tmp_path):
    other = tmp_path / faces.SHIPPED.name
    other.write_bytes(faces.SHIPPED.read_bytes())
    names = [model.name for model in evaluate(faces.SHIPPED, DATA, PUBLIC_TEST, compare_to=other).models]
    assert names == [str(faces.SHIPPED), str(other)]


def test_faces_that_are_not_in_training_are_evaluated_alone():
    copies = replace(DATA, faces=DATA.faces.copy())
    rows = np.flatnonzero(DATA.splits == PUBLIC_TEST)
    copies.faces[rows[:5]] = DATA.faces[DATA.splits == TRAINING][:5]
    found = evaluate(faces.SHIPPED, copies, PUBLIC_TEST)
    others = copies.take(rows[5:])
    assert found.unseen
    assert (
        found.unseen.as_json() == compute_metrics(predict_tflite(Classifier(faces.SHIPPED), others), others).as_json()
    )
    accuracy, macro_f1 = found.unseen.accuracy, found.unseen.macro_f1
    assert found.as_json()["unseen"] == {"n": 9, "accuracy": accuracy, "macro_f1": macro_f1}


def test_unseen_is_not_measured_where_all_are_alike(evaluation):
    copies = replace(DATA, faces=DATA.faces.copy())
    copies.faces[DATA.splits == PUBLIC_TEST] = DATA.faces[0]
    assert [evaluation.unseen, evaluate(faces.SHIPPED, copies, PUBLIC_TEST).unseen] == [None, None]


def test_flip_tta_averages_the_face_and_its_tighter_mirror_image(full):
    assert ROWS.side == 48
    flipped = np.ascontiguousarray(ROWS.faces[:, 2:47, 2:47][:, :, ::-1])  # 3 % less on each side
    mirrored = predict_tflite(Classifier(faces.SHIPPED), replace(ROWS, faces=flipped))
    expected = compute_metrics(((full.model.probabilities + mirrored) / 2).astype(np.float32), ROWS)
    assert full.flip_tta.as_json() == expected.as_json()
    assert full.flip_tta.loss != full.model.metrics.loss


def test_votes_give_the_accuracy_against_their_majority(full):
    predicted = full.model.predicted == DATA.class_names.index("happy")
    assert full.ferplus.n == 14
    assert full.ferplus.accuracy == pytest.approx(predicted.mean())


@pytest.mark.parametrize("names", [("calm", "cross"), tuple("abcdefg")])
def test_a_data_set_with_other_labels_is_refused(names):
    with pytest.raises(DataError, match=f"the model's labels are angry, .*; the data set's are {', '.join(names)}$"):
        evaluate(faces.SHIPPED, faces.tiny(class_names=names), PUBLIC_TEST)


def test_a_split_that_the_data_set_lacks_is_refused():
    with pytest.raises(DataError, match=r"tiny\.csv: no rows of split PublicTest; found: Training \(7\)$"):
        evaluate(faces.SHIPPED, faces.tiny(training=1, public=0, private=0), PUBLIC_TEST)


def write_with_labels(path, labels):
    """Write the shipped model with a card that has other `labels`."""
    model, card = model_file.load(faces.SHIPPED)
    model_file.attach(model, replace(card, labels=tuple(labels), class_frequencies={}), path)
    return path


def test_a_second_model_with_other_labels_is_refused(tmp_path):
    other = write_with_labels(tmp_path / "other.tflite", "abcdefg")
    with pytest.raises(DataError, match=r"other\.tflite: the model's labels are a, b, c, .* are angry, "):
        evaluate(faces.SHIPPED, DATA, PUBLIC_TEST, compare_to=other)


def test_a_second_models_labels_may_have_another_order(tmp_path):
    reverse = write_with_labels(tmp_path / "reverse.tflite", DATA.class_names[::-1])
    data = faces.tiny(training=0, public=1, private=0)
    alone = evaluate(reverse, data, PUBLIC_TEST).model.metrics
    both = evaluate(faces.SHIPPED, data, PUBLIC_TEST, compare_to=reverse, corruptions=True)
    assert both.compared is not None
    assert both.compared.metrics.accuracy == alone.accuracy
    assert both.corruptions["reverse.tflite"]["original"].accuracy == alone.accuracy
    assert both.agreement < 0.5
    darkened = evaluate(reverse, apply_corruption(data, darken), PUBLIC_TEST).model.metrics
    assert both.corruptions["reverse.tflite"]["low light (1/4)"].accuracy == darkened.accuracy


# --- JSON and description -------------------------------------------------------------------------------------------

SELECTIVE = {
    "prior",
    "expected_calibration_error",
    "cross_fitted_calibration_error",
    "fitted_temperature",
    "min_confidence",
    "coverage",
    "selective_accuracy",
}
OPTIONAL = {"corruptions", "ferplus_majority", "flip_tta", "compare_to"}


def test_json_adds_calibration_and_coverage_to_the_metrics(evaluation):
    values = json.loads(json.dumps(evaluation.as_json()))
    assert set(values) == set(evaluation.model.metrics.as_json()) | SELECTIVE
    assert (values["coverage"], values["selective_accuracy"]) == evaluation.coverage(evaluation.model)
    assert values["min_confidence"] == 0.5


def test_json_has_everything_that_was_measured(full):
    values = json.loads(json.dumps(full.as_json()))
    assert set(values) == set(full.model.metrics.as_json()) | SELECTIVE | OPTIONAL
    assert set(values["corruptions"]["strict.tflite"]) == {"original", *CORRUPTIONS}
    accuracy = full.corruptions["strict.tflite"]["blur (sigma 1.5 px)"].accuracy
    assert values["corruptions"]["strict.tflite"]["blur (sigma 1.5 px)"]["accuracy"] == accuracy
    assert values["flip_tta"] == {"accuracy": full.flip_tta.accuracy, "macro_f1": full.flip_tta.macro_f1}
    assert values["ferplus_majority"]["accuracy"] == full.ferplus.accuracy
    assert values["compare_to"]["model"] == "strict.tflite"
    assert values["compare_to"]["confusion"] == full.compared.metrics.confusion.tolist()


def test_the_description_has_the_values_of_the_card(strict):
    description = describe_model(strict)
    assert "90%" in description["min. confidence"]
    assert len(description["SHA-256"]) == 64
    assert description["bytes"] == f"{strict.stat().st_size:,}"
