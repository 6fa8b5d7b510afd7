"""Raw grey pixels go in, one share a label comes out, and the scaling lies inside."""

import numpy as np
import pytest

from tests.small import add_tiny_backbone

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def model():
    add_tiny_backbone()
    from trainer import model as network

    return network.build("tiny", 32, 5, alpha=1.0, weights="none", momentum=0.9, dropout=0.5)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 1), dtype=np.uint8)


def test_the_model_goes_from_grey_pixels_to_one_share_a_class(model, pixels):
    assert model.input_shape == (None, 32, 32, 1)
    shares = model.predict(pixels, verbose=0)
    assert shares.shape == (6, 5)
    assert shares.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)


def test_the_backbone_sees_three_equal_planes_scaled_to_what_it_was_pretrained_on(model):
    import keras

    inside = keras.Model(model.input, model.get_layer("three_planes").output)
    seen = np.asarray(inside(np.array([0, 127.5, 255]).reshape(3, 1, 1, 1) * np.ones((1, 32, 32, 1))))
    assert seen[:, 0, 0] == pytest.approx(np.array([[-1] * 3, [0] * 3, [1] * 3]), abs=1e-6)


def test_mobilenets_scaling_is_that_of_keras_own_preprocessing():
    import keras

    from trainer.backbones import BACKBONES

    pixels = np.arange(256, dtype=np.float32)
    ours = pixels * BACKBONES["mobilenet_v2"].scale + BACKBONES["mobilenet_v2"].offset
    theirs = keras.applications.mobilenet_v2.preprocess_input(pixels.copy())
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_dropout_is_for_training_alone(model, pixels):
    once, twice = (np.asarray(model(pixels, training=False)) for _ in range(2))
    assert np.array_equal(once, twice)
    once, twice = (np.asarray(model(pixels, training=True)) for _ in range(2))
    assert not np.array_equal(once, twice)
