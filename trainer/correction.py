"""Bias correction: takes back the mean error that rounding the weights to 8 bits brings into each channel.

A 3 x 3 depthwise kernel that looks for an edge sums to about zero; rounded, it no longer does, and on a bright or
saturated input its channel is off by a constant. The first two blocks of MobileNetV2 cost a whole point of accuracy
that way. The constant is the mean input seen through the rounding errors, and it is put into the batch normalisation
behind the convolution, or into the convolution's own bias, from where conversion folds it into the int32 biases.
(Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019, section 4.2; here
with the means of real faces instead of assumed ones.)
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

CHUNK = 16  # faces at a time: the inputs of all convolutions together take about 6 MB a face of 96 px
LEVELS = 127  # of symmetric int8 weights, on each side of zero


def correct_biases(model: keras.Model, pixels: NDArray[np.float32]) -> None:
    """Shift the channels of the backbone of `model` in place, for weights that will be rounded to int8.

    Args:
        model: from trainer.model. Afterwards it is only good for conversion: its float output is shifted.
        pixels: (n, size, size, 1) of 0 to 255, faces like those to come.
    """
    backbone = model.get_layer("backbone")
    kinds = keras.layers.Conv2D, keras.layers.DepthwiseConv2D
    convolutions = [layer for layer in backbone.layers if isinstance(layer, kinds)]
    followers = {
        id(layer.input): layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    errors = [rounding_error(layer, followers.get(id(layer.output))) for layer in convolutions]
    shifts = _mean_responses(model, convolutions, errors, pixels)
    for layer, shift in zip(convolutions, shifts, strict=True):
        normalisation = followers.get(id(layer.output))
        if normalisation is not None:
            normalisation.moving_mean.assign(np.asarray(normalisation.moving_mean) + shift)
        elif layer.use_bias:
            layer.bias.assign(np.asarray(layer.bias) - shift)


def rounding_error(
    layer: keras.layers.Layer, normalisation: keras.layers.BatchNormalization | None
) -> NDArray[np.float32]:
    """Return what int8 adds to the kernel of the convolution `layer`, in the kernel's own shape.

    Conversion folds the batch normalisation's scale into the kernel and rounds each output channel on its own scale.
    """
    kernel = np.asarray(layer.kernel, np.float64)  # (high, wide, in, out), of a depthwise one (high, wide, in, 1)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    channels = kernel.shape[2] if depthwise else kernel.shape[3]
    shape = (1, 1, channels, 1) if depthwise else (1, 1, 1, channels)
    factor = np.ones(channels) if normalisation is None else _scale(normalisation)
    step = np.abs(kernel).max(axis=(0, 1, 3) if depthwise else (0, 1, 2)) * np.abs(factor) / LEVELS
    # A channel that is all zero, or scaled to nothing, has no error.
    silent = step == 0
    step, factor = np.where(silent, 1, step).reshape(shape), np.where(silent, 1, factor).reshape(shape)
    folded = kernel * factor
    error: NDArray[np.float32] = ((np.rint(folded / step) * step - folded) / factor).astype(np.float32)
    return error


def _scale(normalisation: keras.layers.BatchNormalization) -> NDArray[np.float64]:
    variance = np.asarray(normalisation.moving_variance, np.float64)
    gamma = np.asarray(normalisation.gamma, np.float64) if normalisation.scale else np.ones_like(variance)
    scale: NDArray[np.float64] = gamma / np.sqrt(variance + normalisation.epsilon)
    return scale


def _mean_responses(
    model: keras.Model,
    convolutions: list[keras.layers.Layer],
    kernels: list[NDArray[np.float32]],
    pixels: NDArray[np.float32],
) -> list[NDArray[np.float64]]:
    """Return for each convolution its mean output a channel over all faces and places, were its kernel in `kernels`."""
    front = keras.Model(model.inputs[0], model.get_layer("three_planes").output)
    inner = keras.Model(model.get_layer("backbone").inputs[0], [layer.input for layer in convolutions])
    sums = [np.zeros(layer.output.shape[-1]) for layer in convolutions]
    for start in range(0, len(pixels), CHUNK):
        chunk = pixels[start : start + CHUNK]
        for number, inputs in enumerate(inner(front(chunk))):
            layer, total = convolutions[number], sums[number]
            total += len(chunk) * np.asarray(_respond(layer, kernels[number], inputs)).mean(axis=(0, 1, 2))
    return [total / len(pixels) for total in sums]


def _respond(layer: keras.layers.Layer, kernel: NDArray[np.float32], inputs: object) -> object:
    """Return the output of the convolution `layer` for `inputs` with `kernel` in place of its own, without bias."""
    convolve = keras.ops.depthwise_conv if isinstance(layer, keras.layers.DepthwiseConv2D) else keras.ops.conv
    return convolve(inputs, kernel, strides=layer.strides, padding=layer.padding, dilation_rate=layer.dilation_rate)
