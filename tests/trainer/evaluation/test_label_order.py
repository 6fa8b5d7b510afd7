"""Another order of the labels is found where it explains the predictions clearly better, and only there."""

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ModelError
from trainer.evaluation.label_order import are_probabilities, find_better_order, require_probabilities

LABELS = ("a", "b", "c", "d")
RIGHT = np.diag([40, 30, 20, 25])


def confusion(order, n=40, accuracy=0.7, seed=0):
    """Return the counts of a model that is right on `accuracy` of `n` faces a class; output k means `order[k]`."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(LABELS), len(LABELS)), np.int64)
    for label in range(len(LABELS)):
        chances = np.full(len(LABELS), (1 - accuracy) / (len(LABELS) - 1))
        chances[order.index(LABELS[label])] = accuracy
        counts[label] = rng.multinomial(n, chances)
    return counts


@pytest.mark.parametrize(
    ("order", "moved"), [("bacd", "ab"), ("bcad", "abc"), ("badc", "abcd"), ("dcba", "abcd"), ("acbd", "bc")]
)
@pytest.mark.parametrize("seed", range(3))
def test_exchanged_labels_are_found(order, moved, seed):
    found = find_better_order(confusion(order, seed=seed), LABELS)
    assert found
    assert (found.labels, found.moved, found.is_certain) == (tuple(order), tuple(moved), True)
    assert found.better_accuracy > 0.6 > found.accuracy
    assert f"--labels {','.join(order)}" in str(found)


@pytest.mark.parametrize("accuracy", [0.3, 0.4, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_right_order_is_kept_also_by_a_bad_model(accuracy, seed):
    assert find_better_order(confusion("abcd", accuracy=accuracy, seed=seed), LABELS) is None


@pytest.mark.parametrize(
    "counts",
    [
        np.zeros((4, 4), np.int64),
        np.array([[40, 0, 0, 0]] * 4),  # everything is `a`
        RIGHT + np.array([[0, 30, 0, 0], [25, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),  # a and b are often mistaken
        np.array([[1, 3, 0, 0], [3, 1, 0, 0], [0, 0, 4, 0], [0, 0, 0, 4]]),  # few faces
    ],
)
def test_weak_evidence_changes_nothing(counts):
    assert find_better_order(counts, LABELS) is None


def test_with_less_than_20_faces_of_a_class_it_is_not_certain():
    found = find_better_order(confusion("bacd", n=19, accuracy=1.0), LABELS)
    assert found
    assert not found.is_certain
    counts = confusion("bacd", n=20, accuracy=1.0)
    counts[2:] = 0  # classes that are not moved do not matter
    certain = find_better_order(counts, LABELS)
    assert certain
    assert certain.is_certain


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([[0.2, 0.8], [1.0, 0.0]], True),
        ([[0.202, 0.8]], True),  # mixed precision
        ([[-0.1, 1.1]], False),
        ([[0.9, 0.9]], False),  # a sigmoid for each class
        ([[-8.0, 9.0]], False),
        ([[np.nan, 1.0]], False),
        ([[np.inf, 0.0]], False),
    ],
)
def test_probabilities_are_0_or_more_with_a_sum_of_1(outputs, expected):
    assert are_probabilities(np.array(outputs, np.float32)) is expected


def test_other_outputs_are_an_error_with_their_range():
    with pytest.raises(ModelError, match=r"^m\.keras: .* no probabilities \(-8 to 9, sums 1 to 1\).*--logits"):
        require_probabilities(np.array([[-8.0, 9.0]], np.float32), Path("m.keras"))
