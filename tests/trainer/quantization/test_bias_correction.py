"""Rounding weights to 8 bits shifts the mean of a channel; the bias correction removes that shift."""

import numpy as np
import pytest

pytestmark = pytest.mark.keras


@pytest.fixture
def bias_correction():
    """The module, imported after Keras was loaded."""
    from trainer import keras_backend

    keras_backend.load()
    from trainer.quantization import bias_correction

    return bias_correction


@pytest.fixture
def pixels():
    """Bright faces: a kernel's rounding error responds to the mean."""
    return np.random.default_rng(0).integers(120, 256, (24, 32, 32, 1)).astype(np.float32)


@pytest.fixture
def model():
    """A network with all kinds of convolution: with and without bias, normalization, activation and depth."""
    from trainer import keras_backend

    keras_backend.load()
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
    x = layers.ReLU()(layers.SeparableConv2D(8, 3, name="separable_biased")(x))
    x = layers.Conv2D(8, 1, use_bias=False, name="bare")(x)
    backbone = keras.Model(planes, layers.Conv2D(6, 1, name="last")(layers.ReLU()(x)), name="backbone")
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
        ("last", None, 0, 3),
    ],
)
def test_the_rounding_error_is_relative_to_127_steps_per_channel(name, norm, number, channels, bias_correction, model):
    convolution = layer(model, name)
    errors = bias_correction.rounding_errors(convolution, layer(model, norm) if norm else None)
    kernel = np.moveaxis(np.asarray(kernels(convolution)[number], np.float64), channels, -1)
    error = np.moveaxis(np.asarray(errors[number]), channels, -1)
    rounded = kernel + error
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127  # a normalization's scale is the same on both sides
    assert rounded / step == pytest.approx(np.rint(rounded / step), abs=1e-3)
    assert np.abs(error / step).max() <= 0.5 + 1e-6
    assert np.abs(error).max() > 0


def test_a_kernel_that_fits_8_bits_exactly_has_no_error(bias_correction, model):
    convolution = layer(model, "last")
    rng = np.random.default_rng(0)
    kernel = rng.integers(-127, 128, convolution.kernel.shape)
    kernel[0, 0, 0] = 127
    convolution.kernel.assign(kernel / 64)
    assert bias_correction.rounding_errors(convolution, None)[0] == pytest.approx(np.zeros(kernel.shape), abs=1e-6)


def test_a_channel_that_is_all_zero_has_no_error(bias_correction, model):
    convolution = layer(model, "last")
    kernel = np.asarray(convolution.kernel).copy()
    kernel[..., 2] = 0
    convolution.kernel.assign(kernel)
    assert not bias_correction.rounding_errors(convolution, None)[0][..., 2].any()


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("first", "first_norm"),
        ("depth", "depth_norm"),
        ("separable", "separable_norm"),
        ("active", None),
        ("separable_biased", None),
        ("last", None),
    ],
)
def test_every_channel_keeps_its_mean_with_rounded_weights(name, norm, bias_correction, model, pixels, monkeypatch):
    import keras

    convolution, normalization = layer(model, name), layer(model, norm) if norm else None
    inside = keras.Model(model.get_layer("backbone").input, convolution.input)
    inputs = inside(np.repeat(pixels / 127.5 - 1, 3, axis=3))

    def means():
        with monkeypatch.context() as patch:
            patch.setattr(convolution, "activation", keras.activations.linear)  # the correction is before it
            output = convolution(inputs)
        return np.asarray(output if normalization is None else normalization(output)).mean(axis=(0, 1, 2))

    def largest_shift():
        """Return the largest shift of a channel mean when the weights are rounded."""
        exact = [np.asarray(kernel).copy() for kernel in kernels(convolution)]
        for kernel, error in zip(kernels(convolution), errors, strict=True):
            kernel.assign_add(error)
        rounded_means = means()
        for kernel, before in zip(kernels(convolution), exact, strict=True):
            kernel.assign(before)
        return np.abs(rounded_means - expected).max()

    expected, errors = means(), bias_correction.rounding_errors(convolution, normalization)
    uncorrected = largest_shift()
    bias_correction.correct_biases(model, pixels)
    assert largest_shift() < uncorrected / 100


@pytest.mark.parametrize("name", ["active", "separable_biased", "last"])
def test_without_normalization_the_own_bias_is_corrected(name, bias_correction, model, pixels):
    before = np.asarray(layer(model, name).bias).copy()
    bias_correction.correct_biases(model, pixels)
    assert not np.array_equal(layer(model, name).bias, before)


def test_a_normalization_after_an_activation_stays_unchanged(bias_correction, model, pixels):
    before = layer(model, "active_norm").get_weights()
    bias_correction.correct_biases(model, pixels)
    assert all(map(np.array_equal, layer(model, "active_norm").get_weights(), before))


def test_kernels_stay_unchanged(bias_correction, model, pixels):
    kernel_weights = [weight for weight in model.weights if weight.name.endswith("kernel")]
    before = [np.asarray(kernel).copy() for kernel in kernel_weights]
    bias_correction.correct_biases(model, pixels)
    assert len(kernel_weights) == 9
    assert all(map(np.array_equal, kernel_weights, before))


def test_the_chunk_size_does_not_change_the_result(bias_correction, model, pixels, monkeypatch):
    start = model.get_weights()
    bias_correction.correct_biases(model, pixels)
    expected = model.get_weights()
    model.set_weights(start)
    monkeypatch.setattr(bias_correction, "FACES_PER_CHUNK", 7)
    bias_correction.correct_biases(model, pixels)
    assert all(a == pytest.approx(b, abs=1e-5) for a, b in zip(model.get_weights(), expected, strict=True))
