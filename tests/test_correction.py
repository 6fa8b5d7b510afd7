"""Rounding weights to 8 bits shifts a channel's mean; the correction takes that shift back."""

import numpy as np
import pytest

pytestmark = pytest.mark.keras


@pytest.fixture
def correction():
    """The module, imported when Keras has been loaded."""
    from trainer import framework

    framework.load()
    from trainer import correction

    return correction


@pytest.fixture
def pixels():
    """Bright faces: what a kernel's rounding error answers to is the mean."""
    return np.random.default_rng(0).integers(120, 256, (24, 32, 32, 1)).astype(np.float32)


@pytest.fixture
def model():
    """A network with all kinds of convolution: with and without bias, normalisation and depth."""
    from trainer import framework

    framework.load()
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    planes = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="first")(planes)
    x = layers.ReLU(6)(layers.BatchNormalization(name="first_norm")(x))
    x = layers.DepthwiseConv2D(3, use_bias=False, name="depth")(x)
    x = layers.ReLU(6)(layers.BatchNormalization(name="depth_norm")(x))
    backbone = keras.Model(planes, layers.Conv2D(6, 1, name="plain")(x), name="backbone")
    rng = np.random.default_rng(1)
    for name in ("first_norm", "depth_norm"):
        norm = backbone.get_layer(name)
        norm.gamma.assign(rng.uniform(0.5, 2, norm.gamma.shape))
        norm.moving_variance.assign(rng.uniform(0.5, 2, norm.gamma.shape))
    grey = keras.Input((32, 32, 1))
    scaled = layers.Rescaling(1 / 127.5, -1.0)(grey)
    return keras.Model(grey, backbone(layers.Concatenate(name="three_planes")([scaled] * 3)))


def layer(model, name):
    return model.get_layer("backbone").get_layer(name)


@pytest.mark.parametrize(("name", "norm"), [("first", "first_norm"), ("depth", "depth_norm"), ("plain", None)])
def test_the_rounding_error_is_what_is_missing_to_127_steps_of_each_output_channel(name, norm, correction, model):
    convolution = layer(model, name)
    normalisation = layer(model, norm) if norm else None
    kernel = np.asarray(convolution.kernel, np.float64)
    kernel = kernel if name != "depth" else kernel.swapaxes(2, 3)  # the output channel last
    error = np.asarray(correction.rounding_error(convolution, normalisation))
    error = error if name != "depth" else error.swapaxes(2, 3)
    rounded = kernel + error
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127  # a normalisation's scale is the same on both sides
    assert rounded / step == pytest.approx(np.rint(rounded / step), abs=1e-3)
    assert np.abs(error / step).max() <= 0.5 + 1e-6
    assert np.abs(error).max() > 0


def test_a_kernel_that_8_bits_hold_exactly_has_no_error(correction, model):
    convolution = layer(model, "plain")
    rng = np.random.default_rng(0)
    kernel = rng.integers(-127, 128, convolution.kernel.shape)
    kernel[0, 0, 0] = 127
    convolution.kernel.assign(kernel / 64)
    assert correction.rounding_error(convolution, None) == pytest.approx(np.zeros(kernel.shape), abs=1e-6)


def test_a_channel_that_is_all_zero_has_no_error(correction, model):
    convolution = layer(model, "plain")
    kernel = np.asarray(convolution.kernel).copy()
    kernel[..., 2] = 0
    convolution.kernel.assign(kernel)
    assert not correction.rounding_error(convolution, None)[..., 2].any()


def test_with_rounded_weights_every_channel_of_the_first_layer_keeps_its_mean(correction, model, pixels):
    import keras

    inside = keras.Model(model.get_layer("backbone").input, layer(model, "first_norm").output)
    planes = np.repeat(pixels / 127.5 - 1, 3, axis=3)
    error = correction.rounding_error(layer(model, "first"), layer(model, "first_norm"))
    before = np.asarray(inside(planes)).mean(axis=(0, 1, 2))

    def off():
        """Return how far the channels' means are from the float model's when the weights are rounded."""
        kernel = layer(model, "first").kernel
        exact = np.asarray(kernel).copy()
        kernel.assign(exact + error)
        means = np.asarray(inside(planes)).mean(axis=(0, 1, 2))
        kernel.assign(exact)
        return np.abs(means - before).max()

    uncorrected = off()
    correction.correct_biases(model, pixels)
    assert off() < uncorrected / 100


def test_a_convolution_without_normalisation_is_corrected_in_its_own_bias(correction, model, pixels):
    before = np.asarray(layer(model, "plain").bias).copy()
    correction.correct_biases(model, pixels)
    assert not np.array_equal(layer(model, "plain").bias, before)


def test_no_kernel_is_changed(correction, model, pixels):
    kernels = [layer(model, name).kernel for name in ("first", "depth", "plain")]
    before = [np.asarray(kernel).copy() for kernel in kernels]
    correction.correct_biases(model, pixels)
    assert all(map(np.array_equal, kernels, before))


def test_the_number_of_faces_at_a_time_does_not_matter(correction, model, pixels, monkeypatch):
    start = model.get_weights()
    correction.correct_biases(model, pixels)
    expected = model.get_weights()
    model.set_weights(start)
    monkeypatch.setattr(correction, "CHUNK", 7)
    correction.correct_biases(model, pixels)
    assert all(a == pytest.approx(b, abs=1e-5) for a, b in zip(model.get_weights(), expected, strict=True))
