"""Rounding weights to 8 bits shifts a channel's mean; the correction takes that shift back."""

import numpy as np
import pytest

pytestmark = pytest.mark.keras


@pytest.fixture
def correction():
    """The module, imported when Keras has been loaded."""
    from trainer import keras_backend as framework

    framework.load()
    from trainer.quantization import bias_correction as correction

    return correction


@pytest.fixture
def pixels():
    """Bright faces: what a kernel's rounding error answers to is the mean."""
    return np.random.default_rng(0).integers(120, 256, (24, 32, 32, 1)).astype(np.float32)


@pytest.fixture
def model():
    """A network with all kinds of convolution: with and without bias, normalization, activation and depth."""
    from trainer import keras_backend as framework

    framework.load()
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    planes = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="first")(planes)
    x = layers.ReLU(6)(layers.BatchNormalization(name="first_norm")(x))
    x = layers.DepthwiseConv2D(3, use_bias=False, name="depth")(x)
    x = layers.ReLU(6)(layers.BatchNormalization(name="depth_norm")(x))
    x = layers.SeparableConv2D(12, 3, padding="same", use_bias=False, name="separable")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="separable_norm")(x))
    x = layers.Conv2D(8, 3, activation="relu", name="active")(x)
    x = layers.BatchNormalization(name="active_norm")(x)
    x = layers.ReLU()(layers.SeparableConv2D(8, 3, name="separable_plain")(x))
    x = layers.Conv2D(8, 1, use_bias=False, name="bare")(x)
    backbone = keras.Model(planes, layers.Conv2D(6, 1, name="plain")(layers.ReLU()(x)), name="backbone")
    rng = np.random.default_rng(1)
    for norm in (layer for layer in backbone.layers if layer.name.endswith("_norm")):
        norm.gamma.assign(rng.uniform(0.5, 2, norm.gamma.shape))
        norm.moving_variance.assign(rng.uniform(0.5, 2, norm.gamma.shape))
    gray = keras.Input((32, 32, 1))
    scaled = layers.Rescaling(1 / 127.5, -1.0)(gray)
    return keras.Model(gray, backbone(layers.Concatenate(name="three_planes")([scaled] * 3)))


def layer(model, name):
    return model.get_layer("backbone").get_layer(name)


def kernels(convolution):
    return [weight for weight in convolution.weights if weight.name.endswith("kernel")]


@pytest.mark.parametrize(
    ("name", "norm", "number", "channels"),
    [
        ("first", "first_norm", 0, 3),
        ("depth", "depth_norm", 0, 2),
        ("separable", "separable_norm", 0, 2),
        ("separable", "separable_norm", 1, 3),
        ("plain", None, 0, 3),
    ],
)
def test_the_rounding_error_is_what_is_missing_to_127_steps_of_each_output_channel(
    name, norm, number, channels, correction, model
):
    convolution = layer(model, name)
    errors = correction.rounding_errors(convolution, layer(model, norm) if norm else None)
    kernel = np.moveaxis(np.asarray(kernels(convolution)[number], np.float64), channels, -1)
    error = np.moveaxis(np.asarray(errors[number]), channels, -1)
    rounded = kernel + error
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127  # a normalization's scale is the same on both sides
    assert rounded / step == pytest.approx(np.rint(rounded / step), abs=1e-3)
    assert np.abs(error / step).max() <= 0.5 + 1e-6
    assert np.abs(error).max() > 0


def test_a_kernel_that_8_bits_hold_exactly_has_no_error(correction, model):
    convolution = layer(model, "plain")
    rng = np.random.default_rng(0)
    kernel = rng.integers(-127, 128, convolution.kernel.shape)
    kernel[0, 0, 0] = 127
    convolution.kernel.assign(kernel / 64)
    assert correction.rounding_errors(convolution, None)[0] == pytest.approx(np.zeros(kernel.shape), abs=1e-6)


def test_a_channel_that_is_all_zero_has_no_error(correction, model):
    convolution = layer(model, "plain")
    kernel = np.asarray(convolution.kernel).copy()
    kernel[..., 2] = 0
    convolution.kernel.assign(kernel)
    assert not correction.rounding_errors(convolution, None)[0][..., 2].any()


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("first", "first_norm"),
        ("depth", "depth_norm"),
        ("separable", "separable_norm"),
        ("active", None),
        ("separable_plain", None),
        ("plain", None),
    ],
)
def test_with_rounded_weights_every_channel_keeps_its_mean(name, norm, correction, model, pixels, monkeypatch):
    import keras

    convolution, normalization = layer(model, name), layer(model, norm) if norm else None
    inside = keras.Model(model.get_layer("backbone").input, convolution.input)
    inputs = inside(np.repeat(pixels / 127.5 - 1, 3, axis=3))

    def means():
        with monkeypatch.context() as patch:
            patch.setattr(convolution, "activation", keras.activations.linear)  # what is corrected lies before it
            output = convolution(inputs)
        return np.asarray(output if normalization is None else normalization(output)).mean(axis=(0, 1, 2))

    def off():
        """Return how far the channels' means are from the float model's when the weights are rounded."""
        exact = [np.asarray(kernel).copy() for kernel in kernels(convolution)]
        for kernel, error in zip(kernels(convolution), errors, strict=True):
            kernel.assign_add(error)
        found = means()
        for kernel, before in zip(kernels(convolution), exact, strict=True):
            kernel.assign(before)
        return np.abs(found - wanted).max()

    wanted, errors = means(), correction.rounding_errors(convolution, normalization)
    uncorrected = off()
    correction.correct_biases(model, pixels)
    assert off() < uncorrected / 100


@pytest.mark.parametrize("name", ["active", "separable_plain", "plain"])
def test_a_convolution_without_normalization_is_corrected_in_its_own_bias(name, correction, model, pixels):
    before = np.asarray(layer(model, name).bias).copy()
    correction.correct_biases(model, pixels)
    assert not np.array_equal(layer(model, name).bias, before)


def test_a_normalization_behind_an_activation_is_no_place_for_the_shift(correction, model, pixels):
    before = layer(model, "active_norm").get_weights()
    correction.correct_biases(model, pixels)
    assert all(map(np.array_equal, layer(model, "active_norm").get_weights(), before))


def test_no_kernel_is_changed(correction, model, pixels):
    found = [weight for weight in model.weights if weight.name.endswith("kernel")]
    before = [np.asarray(kernel).copy() for kernel in found]
    correction.correct_biases(model, pixels)
    assert len(found) == 9
    assert all(map(np.array_equal, found, before))


def test_the_number_of_faces_at_a_time_does_not_matter(correction, model, pixels, monkeypatch):
    start = model.get_weights()
    correction.correct_biases(model, pixels)
    expected = model.get_weights()
    model.set_weights(start)
    monkeypatch.setattr(correction, "CHUNK", 7)
    correction.correct_biases(model, pixels)
    assert all(a == pytest.approx(b, abs=1e-5) for a, b in zip(model.get_weights(), expected, strict=True))
