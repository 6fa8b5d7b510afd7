"""The loss of the labels equals a computation in NumPy, for each balance; its minimum for uninformative faces."""

from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]

FREQUENCIES = np.array([0.6, 0.3, 0.1], np.float32)
WEIGHTS = np.array([1 / 1.8, 1 / 0.9, 1 / 0.3])  # inverse, with a mean of 1
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.05, 0.9, 0.05]], np.float32)
# A face of each class, and one of mixup.
TARGETS = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0.25, 0, 0.75]], np.float32)


@pytest.fixture
def loss(settings):
    """Return a function that gives the loss of a batch as a compiled model computes it."""
    import keras

    from trainer.training.losses import label_loss

    def compute(balance, probabilities=PROBABILITIES, targets=TARGETS, frequencies=FREQUENCIES, smoothing=0.1):
        changed = replace(settings, balance=balance, label_smoothing=smoothing)
        given = keras.Input((probabilities.shape[1],))
        model = keras.Model(given, keras.layers.Identity()(given))  # outputs the probabilities that it is given
        model.compile("sgd", [label_loss(changed, frequencies)])
        return float(model.test_on_batch(probabilities, targets))

    return compute


def cross_entropies(probabilities, targets, smoothing=0.1):
    smooth = targets * (1 - smoothing) + smoothing / targets.shape[1]
    return -(smooth * np.log(probabilities)).sum(axis=1)


@pytest.mark.parametrize("balance", ["none", "oversample"])
def test_loss_without_weights_is_the_mean_cross_entropy(balance, loss):
    assert loss(balance) == pytest.approx(cross_entropies(PROBABILITIES, TARGETS).mean(), abs=1e-5)


def test_weighted_loss_multiplies_each_face_by_its_weight(loss):
    face_weights = [WEIGHTS[0], WEIGHTS[2], WEIGHTS[1], 0.25 * WEIGHTS[0] + 0.75 * WEIGHTS[2]]
    expected = (cross_entropies(PROBABILITIES, TARGETS) * face_weights).mean()
    assert loss("weights") == pytest.approx(expected, abs=1e-5)
    assert abs(loss("none") - expected) > 0.1


def test_logit_adjusted_loss_multiplies_by_the_frequencies(loss):
    adjusted = PROBABILITIES * FREQUENCIES
    adjusted /= adjusted.sum(axis=1, keepdims=True)
    expected = cross_entropies(adjusted, TARGETS).mean()
    assert loss("logit-adjusted") == pytest.approx(expected, abs=1e-5)
    assert abs(loss("none") - expected) > 0.1


def test_logit_adjusted_loss_of_a_probability_of_zero_is_finite(loss):
    assert np.isfinite(loss("logit-adjusted", np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]))


@pytest.mark.parametrize("balance", ["weights", "logit-adjusted"])
@pytest.mark.parametrize("frequencies", [None, np.full(3, 1 / 3)])
def test_balanced_loss_of_equal_classes_is_the_cross_entropy(balance, frequencies, loss):
    assert loss(balance, frequencies=frequencies) == pytest.approx(loss("none"), abs=1e-5)


@pytest.mark.parametrize(
    ("balance", "best"), [("none", FREQUENCIES), ("weights", [1 / 3] * 3), ("logit-adjusted", [1 / 3] * 3)]
)
def test_uninformative_faces_get_the_balanced_probabilities(balance, best, loss):
    targets = np.eye(3, dtype=np.float32)[[0] * 6 + [1] * 3 + [2]]

    def mean_loss(logits):
        probabilities = np.exp(logits) / np.exp(logits).sum()
        return loss(balance, np.tile(probabilities, (10, 1)).astype(np.float32), targets, smoothing=0)

    smallest = mean_loss(np.log(best))
    for direction in (*np.eye(3), *-np.eye(3)):
        assert mean_loss(np.log(best) + 0.2 * direction) > smallest + 1e-4


def test_logit_adjusted_loss_learns_from_tiny_probabilities(settings):
    import keras

    from trainer.training.losses import label_loss

    # The logits of the only layer are 60 times its weights: the probability of the face's class is 1e-26.
    keras.utils.set_random_seed(0)
    pixels = keras.Input((1,))
    dense = keras.layers.Dense(3, activation="softmax", use_bias=False)
    model = keras.Model(pixels, dense(pixels))
    dense.set_weights([np.array([[1.0, 0.0, 0.0]], np.float32)])
    model.compile(keras.optimizers.SGD(1e-3), [label_loss(replace(settings, balance="logit-adjusted"), FREQUENCIES)])
    loss = model.train_on_batch(np.array([[60.0]], np.float32), TARGETS[1:2])
    weights = dense.get_weights()[0][0]
    assert np.isfinite(loss)
    assert np.isfinite(weights).all()
    assert weights[2] > 0.01  # towards the class
    assert weights[0] < 0.99
