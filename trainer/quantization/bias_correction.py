"""Bias correction: takes back the mean error that rounding the weights to 8 bits brings into each channel.

A 3 x 3 depthwise kernel that looks for an edge sums to about zero; rounded, it no longer does, and on a bright or
saturated input its channel is off by a constant. The first two blocks of MobileNetV2 cost a whole point of accuracy
that way. The constant is the mean input seen through the rounding errors, and it is put into the batch normalization
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

    Plain, depthwise and separable convolutions are corrected; one with neither a batch normalization behind it nor a
    bias has nothing that could take the shift, and stays as it is.

    Args:
        model: from trainer.networks.model. Afterwards it is only good for conversion: its float output is shifted.
        pixels: (n, size, size, 1) of 0 to 255, faces like those to come.
    """
    backbone = model.get_layer("backbone")
    kinds = keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D
    convolutions = [layer for layer in backbone.layers if isinstance(layer, kinds)]
    followers = {
        id(layer.input): layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    # Only behind a linear output normalization is folded: behind an activation it is an op of its own.
    linear = keras.activations.linear
    folded = [followers.get(id(layer.output)) if layer.activation is linear else None for layer in convolutions]
    errors = [rounding_errors(layer, norm) for layer, norm in zip(convolutions, folded, strict=True)]
    shifts = _mean_responses(model, convolutions, errors, pixels)
    for layer, normalization, shift in zip(convolutions, folded, shifts, strict=True):
        if normalization is not None:
            normalization.moving_mean.assign(np.asarray(normalization.moving_mean) + shift)
        elif layer.use_bias:  # added before the activation, if there is one
            layer.bias.assign(np.asarray(layer.bias) - shift)


def rounding_errors(
    layer: keras.layers.Layer, normalization: keras.layers.BatchNormalization | None
) -> list[NDArray[np.float32]]:
    """Return what int8 adds to each kernel of the convolution `layer`, in the kernel's own shape.

    A separable convolution has two kernels, depthwise and pointwise, and becomes two ops; the others have one. The
    scale of the batch normalization behind it, if one is folded, goes into the last.
    """
    scale = None if normalization is None else _scale(normalization)
    if isinstance(layer, keras.layers.SeparableConv2D):
        return [_error(layer.depthwise_kernel, None, 2), _error(layer.pointwise_kernel, scale, 3)]
    return [_error(layer.kernel, scale, 2 if isinstance(layer, keras.layers.DepthwiseConv2D) else 3)]


def _error(variable: keras.Variable, scale: NDArray[np.float64] | None, axis: int) -> NDArray[np.float32]:
    """Return what rounding adds to a kernel (high, wide, in, out), of a depthwise one (high, wide, in, 1).

    Conversion multiplies the kernel by `scale` (channels,) and rounds each channel of `axis` on its own step.
    """
    kernel = np.asarray(variable, np.float64)
    factor = np.ones(kernel.shape[axis]) if scale is None else scale
    others = tuple(other for other in range(kernel.ndim) if other != axis)
    step = np.abs(kernel).max(axis=others) * np.abs(factor) / LEVELS
    # A channel that is all zero, or scaled to nothing, has no error.
    silent = step == 0
    step, factor = (np.expand_dims(np.where(silent, 1, value), others) for value in (step, factor))
    folded = kernel * factor
    error: NDArray[np.float32] = ((np.rint(folded / step) * step - folded) / factor).astype(np.float32)
    return error


def _scale(normalization: keras.layers.BatchNormalization) -> NDArray[np.float64]:
    variance = np.asarray(normalization.moving_variance, np.float64)
    gamma = np.asarray(normalization.gamma, np.float64) if normalization.scale else np.ones_like(variance)
    scale: NDArray[np.float64] = gamma / np.sqrt(variance + normalization.epsilon)
    return scale


def _mean_responses(
    model: keras.Model,
    convolutions: list[keras.layers.Layer],
    errors: list[list[NDArray[np.float32]]],
    pixels: NDArray[np.float32],
) -> list[NDArray[np.float64]]:
    """Return for each convolution what `errors` in its kernels add to its mean output a channel, over all faces."""
    front = keras.Model(model.inputs[0], model.get_layer("three_planes").output)
    inner = keras.Model(model.get_layer("backbone").inputs[0], [layer.input for layer in convolutions])
    sums = [np.zeros(layer.output.shape[-1]) for layer in convolutions]
    for start in range(0, len(pixels), CHUNK):
        chunk = pixels[start : start + CHUNK]
        for number, inputs in enumerate(inner(front(chunk))):
            sums[number] += len(chunk) * _mean_response(convolutions[number], errors[number], inputs)
    return [total / len(pixels) for total in sums]


def _mean_response(layer: keras.layers.Layer, errors: list[NDArray[np.float32]], inputs: object) -> NDArray[np.float64]:
    """Return what `errors` in the kernels of `layer` add to its mean output (channels,) for `inputs`."""
    how = {"strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}
    if isinstance(layer, keras.layers.SeparableConv2D):
        # The pointwise half has no neighbors to look at: it sees a mean as it sees every place.
        depthwise, pointwise = errors
        rounded = np.asarray(layer.depthwise_kernel) + depthwise
        added, whole = (_mean(keras.ops.depthwise_conv(inputs, kernel, **how)) for kernel in (depthwise, rounded))
        response: NDArray[np.float64] = added @ np.asarray(layer.pointwise_kernel)[0, 0] + whole @ pointwise[0, 0]
        return response
    convolve = keras.ops.depthwise_conv if isinstance(layer, keras.layers.DepthwiseConv2D) else keras.ops.conv
    return _mean(convolve(inputs, errors[0], **how))


def _mean(maps: object) -> NDArray[np.float64]:
    """Return the mean (channels,) of `maps` (n, high, wide, channels)."""
    mean: NDArray[np.float64] = np.asarray(maps).mean(axis=(0, 1, 2))
    return mean
