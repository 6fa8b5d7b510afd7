"""Fused batch normalization: the numbers of Keras' own layer, in training, in inference, frozen, and after saving."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.small import add_tiny_backbone

pytestmark = pytest.mark.keras

SHAPE = 6, 5, 4, 3


@pytest.fixture(scope="module")
def keras():
    """The library, loaded on TensorFlow."""
    add_tiny_backbone()
    import keras

    return keras


@pytest.fixture
def make_layers(keras):
    """A function: options -> two equal layers, of which the second is fused."""
    from trainer.networks.fused_batch_norm import fuse

    def make(**options):
        layers = [keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3, **options) for _ in range(2)]
        rng = np.random.default_rng(1)
        for layer in layers:
            layer.build((None, *SHAPE[1:]))
        values = [rng.uniform(0.5, 2, weight.shape) for weight in layers[0].weights]
        for layer in layers:
            layer.set_weights(values)
        fuse(layers[1])
        return layers

    return make


def step(layer, shape=SHAPE, **options):
    """Return what a call of `layer` gives: outputs, gradients, and the moving statistics after it."""
    import tensorflow as tf

    x = tf.constant(np.random.default_rng(2).normal(3, 2, shape), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, **options)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
    gradients = tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])
    moving = [np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)]
    return SimpleNamespace(outputs=outputs, values=[np.asarray(each) for each in gradients] + moving)


def is_fused(layer):
    import tensorflow as tf

    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(tf.TensorSpec(SHAPE)).graph
    return any(operation.type == "FusedBatchNormV3" for operation in graph.get_operations())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": False},
        {"center": False},
        {"axis": 3},
        {"dtype": "mixed_bfloat16"},
        {"dtype": "mixed_float16"},
    ],
)
def test_training_step_is_that_of_keras(make_layers, options):
    plain, fused = make_layers(**options)
    assert is_fused(fused)
    assert not is_fused(plain)
    expected, found = (step(layer, training=True) for layer in make_layers(**options))
    assert found.outputs.dtype == expected.outputs.dtype
    np.testing.assert_allclose(
        np.asarray(found.outputs, np.float32), np.asarray(expected.outputs, np.float32), 1e-2, 1e-4
    )
    tolerance = 5e-2 if "dtype" in options else 1e-4
    for one, other in zip(found.values, expected.values, strict=True):
        np.testing.assert_allclose(one, other, tolerance, tolerance * np.abs(other).max())


@pytest.mark.parametrize(
    "options",
    [
        {"axis": 1},
        {"synchronized": True},
        {"renorm": True},
        {"dtype": "float16"},
        {"dtype": "bfloat16"},
        {"dtype": "float64"},
    ],
)
def test_layer_that_cannot_be_fused_is_that_of_keras(make_layers, options):
    expected, found = (step(layer, training=True) for layer in make_layers(**options))
    for one, other in zip(found.values, expected.values, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 3), (1, 5, 4, 3), (2, 1, 1, 3)], ids=["one value", "one face", "one pixel"]
)
def test_small_batch_has_the_numbers_of_keras(make_layers, shape):
    expected, found = (step(layer, shape=shape, training=True) for layer in make_layers())
    np.testing.assert_allclose(found.outputs, expected.outputs, 1e-4, 1e-4)
    for one, other in zip(found.values, expected.values, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, 1e-4, 1e-4 * max(1, np.abs(other).max()))


def test_other_backends_keep_the_layer_of_keras(keras, monkeypatch):
    from trainer.networks.fused_batch_norm import fuse

    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    layer = keras.layers.BatchNormalization()
    fuse(layer)
    assert not is_fused_in_place(layer)


@pytest.mark.parametrize("frozen", [False, True])
def test_inference_and_frozen_layers_use_moving_statistics(make_layers, frozen):
    layers = make_layers()
    before = np.asarray(layers[1].moving_mean)
    for layer in layers:
        layer.trainable = not frozen
    expected, found = (step(layer, training=frozen) for layer in layers)
    assert np.array_equal(found.outputs, expected.outputs)
    assert np.array_equal(layers[1].moving_mean, before)


def test_saved_network_is_one_of_plain_keras(keras, tmp_path):
    from trainer.networks import backbones

    network = backbones.build("tiny", 32, 1.0, "none", 0.9)
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert layers
    assert all(is_fused_in_place(layer) for layer in layers)
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in network.layers]
    assert not any(is_fused_in_place(layer) for layer in loaded.layers)
    faces = np.random.default_rng(3).normal(0, 1, (2, 32, 32, 3))
    assert np.array_equal(loaded.predict(faces, verbose=0), network.predict(faces, verbose=0))


def is_fused_in_place(layer):
    return "call" in vars(layer)
