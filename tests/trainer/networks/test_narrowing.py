"""Weights for a narrower network: channels that do nothing are left out, and the result stays the same."""

import numpy as np
import pytest

pytestmark = pytest.mark.keras

SHAPE = 16, 16, 3
# Channels that are kept of the 8 of the wide network's first half, and of the 6 of its residual connection.
INNER, JOINED = [1, 2, 5, 6], [0, 3, 4]


@pytest.fixture(scope="module")
def keras():
    """The library, loaded on TensorFlow."""
    from trainer import keras_backend

    keras_backend.load()
    import keras

    return keras


@pytest.fixture(scope="module")
def build(keras):
    """A function: channels -> a network with a depthwise convolution and a residual connection, random weights."""

    def build(inner, joined):
        layers = keras.layers

        def convolve(x, filters, name):
            x = layers.Conv2D(filters, 1, use_bias=name == "first", name=name)(x)
            return layers.BatchNormalization(name=f"{name}_norm")(x)

        pixels = keras.Input(SHAPE)
        x = layers.ReLU()(convolve(pixels, inner, "inner"))
        x = layers.DepthwiseConv2D(3, name="depthwise")(layers.ZeroPadding2D(1)(x))
        x = layers.ReLU()(layers.BatchNormalization(name="inner_2_norm")(x))
        first = convolve(x, joined, "first")
        second = convolve(layers.Activation("relu")(first), joined, "second")
        network = keras.Model(pixels, layers.MaxPooling2D(2)(layers.Add()([first, second])))
        rng = np.random.default_rng(inner)
        for weight in network.weights:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape) * rng.choice([-1, 1], weight.shape))
        for layer in network.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.moving_variance.assign(np.abs(layer.moving_variance))
        return network

    return build


def zero_others(network, kept_of):
    """Set scale and offset to 0 of all channels that are not kept, in each layer of `kept_of` (name -> channels)."""
    for name, kept in kept_of.items():
        layer = network.get_layer(name)
        mask = np.isin(np.arange(layer.gamma.shape[0]), kept)
        layer.gamma.assign(layer.gamma * mask)
        layer.beta.assign(layer.beta * mask)


def test_channels_of_zeros_are_left_out_and_nothing_changes(build):
    from trainer.networks import narrowing

    wide, narrow = build(8, 6), build(len(INNER), len(JOINED))
    zero_others(wide, {"inner_norm": INNER, "inner_2_norm": INNER, "first_norm": JOINED, "second_norm": JOINED})
    narrowing.copy_weights(wide, narrow)
    images = np.random.default_rng(5).normal(size=(2, *SHAPE))
    expected = wide.predict(images, verbose=0)[..., JOINED]
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(narrow.predict(images, verbose=0), expected, 1e-4, 1e-4)


def test_channels_of_a_residual_connection_count_together(build):
    from trainer.networks import narrowing

    wide, narrow = build(8, 6), build(8, 1)
    wide.get_layer("first_norm").gamma.assign([3, 2, 0, 0, 0, 0])
    wide.get_layer("second_norm").gamma.assign([0, 2, 0, 0, 0, -3.5])
    narrowing.copy_weights(wide, narrow)
    assert [float(narrow.get_layer(f"{name}_norm").gamma[0]) for name in ("first", "second")] == [2, 2]


def test_network_of_the_same_width_is_copied_whole(build):
    from trainer.networks import narrowing

    source, target = build(8, 6), build(8, 6)
    source.get_layer("inner").kernel.assign(np.ones((1, 1, 3, 8)))
    narrowing.copy_weights(source, target)
    assert all(map(np.array_equal, source.get_weights(), target.get_weights()))


@pytest.mark.parametrize(("name", "widths"), [("mobilenet_v2", (0.5, 0.35)), ("mobilenet", (0.5, 0.25))])
def test_each_backbone_with_a_width_can_be_made_narrower(keras, name, widths):
    from trainer.networks import backbones, narrowing

    wide, narrow = (backbones.build(name, 32, width, "none", 0.9) for width in widths)
    for layer in wide.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(np.random.default_rng(0).uniform(2, 3, layer.gamma.shape))
    narrowing.copy_weights(wide, narrow)
    found = [layer for layer in narrow.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert min(float(np.min(layer.gamma)) for layer in found) >= 2


def test_network_that_is_wider_or_of_another_kind_is_an_error(keras, build):
    from trainer.networks import narrowing

    with pytest.raises(ValueError, match="inner has 4 channels, fewer than 8"):
        narrowing.copy_weights(build(4, 3), build(8, 6))
    with pytest.raises(ValueError, match=r"longer|shorter"):
        narrowing.copy_weights(build(8, 6), keras.Sequential([keras.Input(SHAPE), keras.layers.ReLU()]))
    dense, flat = (keras.Sequential([keras.Input((8,)), keras.layers.Dense(units)]) for units in (4, 2))
    with pytest.raises(ValueError, match="cannot be made narrower"):
        narrowing.copy_weights(dense, flat)
