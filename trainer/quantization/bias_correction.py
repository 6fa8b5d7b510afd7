"""Bias correction: removes the mean error of each channel that comes from rounding the weights to 8 bits.

The weights of a 3 x 3 depthwise edge filter sum to about zero. Rounded weights do not, so on a bright input the channel
has a constant offset. In the first two blocks of MobileNetV2 this costs a point of accuracy. The offset is the
response of the rounding errors to the mean input. It is subtracted in the batch normalization that follows the
convolution, or in the bias of the convolution; conversion folds both into the int32 biases.
(Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019, section 4.2; here
with measured means of faces in place of assumed ones.)
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.networks.model import backbone_input

FACES_PER_CHUNK = 16  # the inputs of all convolutions together take about 6 MB per face of 96 px
INT8_LEVELS = 127  # of symmetric int8 weights, on each side of zero


def correct_biases(model: keras.Model, pixels: NDArray[np.float32]) -> None:
    """Shift the channels of the backbone of `model` in place, for weights that will be rounded to int8.

    Ordinary, depthwise and separable convolutions are corrected. A convolution without a bias and without a batch
    normalization after it has no parameter for the shift and is left unchanged.

    Args:
        model: from trainer.networks.model. Afterwards only use it for conversion: its float output is shifted.
        pixels: (n, size, size, channels) of 0 to 255, representative faces.
    """
    backbone = model.get_layer("backbone")
    kinds = keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D
    convolutions = [layer for layer in backbone.layers if isinstance(layer, kinds)]
    normalizations = {
        id(layer.input): layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    # Conversion folds a normalization only where it directly follows the convolution, not after an activation.
    linear = keras.activations.linear
    folded = [normalizations.get(id(layer.output)) if layer.activation is linear else None for layer in convolutions]
    errors = [rounding_errors(layer, normalization) for layer, normalization in zip(convolutions, folded, strict=True)]
    shifts = _mean_responses(model, convolutions, errors, pixels)
    for layer, normalization, shift in zip(convolutions, folded, shifts, strict=True):
        if normalization is not None:
            normalization.moving_mean.assign(np.asarray(normalization.moving_mean) + shift)
        elif layer.use_bias:  # it is added before the activation
            layer.bias.assign(np.asarray(layer.bias) - shift)


def rounding_errors(
    layer: keras.layers.Layer, normalization: keras.layers.BatchNormalization | None
) -> list[NDArray[np.float32]]:
    """Return the rounding error of each kernel of the convolution `layer`, in the shape of the kernel.

    A separable convolution has two kernels, depthwise and pointwise, and becomes two ops; the others have one. The
    scale of `normalization`, the one that is folded into the convolution, is part of the last kernel.
    """
    scale: NDArray[np.float64] | None = None
    if normalization is not None:
        variance = np.asarray(normalization.moving_variance, np.float64)
        gamma = np.asarray(normalization.gamma, np.float64) if normalization.scale else np.ones_like(variance)
        scale = gamma / np.sqrt(variance + normalization.epsilon)
    if isinstance(layer, keras.layers.SeparableConv2D):
        return [_kernel_error(layer.depthwise_kernel, None, 2), _kernel_error(layer.pointwise_kernel, scale, 3)]
    return [_kernel_error(layer.kernel, scale, 2 if isinstance(layer, keras.layers.DepthwiseConv2D) else 3)]


def _kernel_error(variable: keras.Variable, scale: NDArray[np.float64] | None, axis: int) -> NDArray[np.float32]:
    """Return the rounding error of a kernel (height, width, in, out), depthwise (height, width, in, 1).

    Conversion multiplies the kernel by `scale` (channels,) and rounds each channel of `axis` to its own step.
    """
    kernel = np.asarray(variable, np.float64)
    factor = np.ones(kernel.shape[axis]) if scale is None else scale
    others = tuple(other for other in range(kernel.ndim) if other != axis)
    step = np.abs(kernel).max(axis=others) * np.abs(factor) / INT8_LEVELS
    # A channel of zeros, or with a scale of 0, has no error.
    is_zero = step == 0
    step, factor = (np.expand_dims(np.where(is_zero, 1, value), others) for value in (step, factor))
    folded = kernel * factor
    error: NDArray[np.float32] = ((np.rint(folded / step) * step - folded) / factor).astype(np.float32)
    return error


def _mean_responses(
    model: keras.Model,
    convolutions: list[keras.layers.Layer],
    errors: list[list[NDArray[np.float32]]],
    pixels: NDArray[np.float32],
) -> list[NDArray[np.float64]]:
    """Return for each convolution the change (channels,) of its mean output that its `errors` cause, on `pixels`."""
    front_model = keras.Model(model.inputs[0], backbone_input(model))
    inner_model = keras.Model(model.get_layer("backbone").inputs[0], [layer.input for layer in convolutions])
    sums = [np.zeros(layer.output.shape[-1]) for layer in convolutions]
    for start in range(0, len(pixels), FACES_PER_CHUNK):
        chunk = pixels[start : start + FACES_PER_CHUNK]
        for number, inputs in enumerate(inner_model(front_model(chunk))):
            sums[number] += len(chunk) * _mean_response(convolutions[number], errors[number], inputs)
    return [total / len(pixels) for total in sums]


def _mean_response(layer: keras.layers.Layer, errors: list[NDArray[np.float32]], inputs: object) -> NDArray[np.float64]:
    """Return the change (channels,) of the mean output of `layer` for `inputs` that `errors` in its kernels cause."""
    options = {"strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}
    if isinstance(layer, keras.layers.SeparableConv2D):
        # The pointwise part is linear in each position, so it can be applied to the mean over positions.
        depthwise, pointwise = errors
        rounded = np.asarray(layer.depthwise_kernel) + depthwise
        change, mean = (
            _channel_means(keras.ops.depthwise_conv(inputs, kernel, **options)) for kernel in (depthwise, rounded)
        )
        response: NDArray[np.float64] = change @ np.asarray(layer.pointwise_kernel)[0, 0] + mean @ pointwise[0, 0]
        return response
    convolve = keras.ops.depthwise_conv if isinstance(layer, keras.layers.DepthwiseConv2D) else keras.ops.conv
    return _channel_means(convolve(inputs, errors[0], **options))


def _channel_means(maps: object) -> NDArray[np.float64]:
    """Return the mean (channels,) of `maps` (n, height, width, channels)."""
    means: NDArray[np.float64] = np.asarray(maps).mean(axis=(0, 1, 2))
    return means
