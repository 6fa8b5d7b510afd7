"""The metrics are those that one calculates by hand."""

import json

import numpy as np
import pytest

from trainer.data.dataset import PUBLIC_TEST, Dataset
from trainer.evaluation.metrics import Metrics, compute_metrics, wilson_interval

NAMES = ("a", "b", "c")
TRUE = [0, 0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 1, 2, 1, 0, 2]


def dataset(labels, names=NAMES):
    blank = np.zeros((len(labels), 8, 8), np.uint8)
    return Dataset(blank, np.array(labels), np.full(len(labels), PUBLIC_TEST), names, source="data.csv")


def probabilities(predicted, classes=3, confidence=0.8):
    """Return (n, classes) probabilities that predict `predicted`, each with the same confidence."""
    rest = (1 - confidence) / (classes - 1)
    return np.where(np.eye(classes)[predicted] > 0, confidence, rest).astype(np.float32)


@pytest.fixture
def metrics():
    return compute_metrics(probabilities(PREDICTED), dataset(TRUE))


def test_confusion_has_true_labels_in_rows(metrics):
    assert metrics.confusion.tolist() == [[2, 1, 1], [1, 1, 0], [0, 0, 1]]
    assert metrics.support.tolist() == [4, 2, 1]


def test_accuracy_is_the_fraction_of_correct_predictions(metrics):
    assert (metrics.n, metrics.accuracy) == (7, pytest.approx(4 / 7))


def test_precision_recall_and_f1_of_each_class(metrics):
    assert metrics.precision == pytest.approx([2 / 3, 1 / 2, 1 / 2])
    assert metrics.recall == pytest.approx([1 / 2, 1 / 2, 1])
    assert metrics.f1 == pytest.approx([4 / 7, 1 / 2, 2 / 3])


def test_the_most_frequent_mistake_of_a_class(metrics):
    assert [metrics.most_frequent_mistake(label) for label in range(3)] == [("b", 0.25), ("a", 0.5), ("a", 0)]


def test_a_class_without_faces_is_mistaken_for_none():
    metrics = compute_metrics(probabilities([0, 1]), dataset([0, 1]))
    assert metrics.most_frequent_mistake(2)[1] == 0


def test_macro_f1_weights_all_classes_equally(metrics):
    assert metrics.macro_f1 == pytest.approx((4 / 7 + 1 / 2 + 2 / 3) / 3)


def test_a_class_never_predicted_has_precision_and_f1_of_0():
    metrics = compute_metrics(probabilities([0, 0]), dataset([0, 1]))
    assert (metrics.precision[1], metrics.f1[1]) == (0, 0)


def test_macro_f1_ignores_a_class_without_faces():
    metrics = compute_metrics(probabilities([0, 1]), dataset([0, 1]))
    assert (metrics.recall[2], metrics.macro_f1) == (0, 1)


def test_loss_is_the_mean_negative_log_likelihood():
    rows = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]], np.float32)
    assert compute_metrics(rows, dataset([0, 1])).loss == pytest.approx((np.log(2) + np.log(4)) / 2)


def test_a_probability_of_0_costs_half_a_quantization_step():
    assert compute_metrics(probabilities([0], confidence=1), dataset([1])).loss == pytest.approx(np.log(512))


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (29, 29, 0.8830, 1)],
)
def test_the_interval_is_wilsons(correct, n, low, high):
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson_interval(correct, n) == pytest.approx((low, high), abs=1e-4)
    confusion = np.array([[correct, n - correct], [0, 0]])
    assert Metrics(PUBLIC_TEST, ("a", "b"), confusion, 0.0).accuracy_interval == wilson_interval(correct, n)


def test_json_has_every_metric_as_a_json_value(metrics):
    values = json.loads(json.dumps(metrics.as_json()))
    assert set(values) == {
        "split",
        "n",
        "accuracy",
        "accuracy_ci95",
        "macro_f1",
        "loss",
        "per_class",
        "labels",
        "confusion",
    }
    assert (values["split"], values["n"], values["labels"]) == (PUBLIC_TEST, 7, ["a", "b", "c"])
    assert values["confusion"] == [[2, 1, 1], [1, 1, 0], [0, 0, 1]]
    assert values["per_class"]["b"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2}
    assert values["accuracy_ci95"] == pytest.approx(list(metrics.accuracy_interval))
