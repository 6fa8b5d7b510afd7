"""The weights of a trained network for a narrower one of the same kind: those of its most important channels.

How important a channel is shows in the scale of its batch normalization (Liu et al., ICCV 2017). The narrower network
has to be trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Channels = NDArray[np.int64]  # (n,) indices of the channels that are kept, ascending

# Layers whose outputs have the channels of their inputs.
CHANNELWISE = (
    keras.layers.Activation,
    keras.layers.Add,
    keras.layers.BatchNormalization,
    keras.layers.DepthwiseConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.ZeroPadding2D,
)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy the weights of `source` into `target`, of each layer as many channels as `target` has.

    Args:
        source: a network of convolutions, batch normalization and the layers of CHANNELWISE, or any one with the
            shapes of `target`.
        target: a network of the same layers.

    Raises ValueError when the layers differ, a layer of `target` has more channels, or one of another kind fewer.
    """
    if [weight.shape for weight in source.weights] == [weight.shape for weight in target.weights]:
        target.set_weights(source.get_weights())
        return
    layers = list(zip(source.layers, target.layers, strict=True))
    groups = _channel_groups(source)
    kept = _important_channels(layers, groups)
    for wide, narrow in layers:
        if isinstance(wide, keras.layers.Conv2D):
            kernel, *bias = wide.get_weights()  # (height, width, inputs, outputs), (outputs,)
            inputs, outputs = kept[groups[id(wide.input)]], kept[groups[id(wide.output)]]
            narrow.set_weights([kernel[:, :, inputs][..., outputs], *(each[outputs] for each in bias)])
        elif isinstance(wide, keras.layers.DepthwiseConv2D):
            kernel, *bias = wide.get_weights()  # (height, width, inputs, 1), (inputs,)
            inputs = kept[groups[id(wide.input)]]
            narrow.set_weights([kernel[:, :, inputs], *(each[inputs] for each in bias)])
        else:  # batch normalization: scale, offset, mean and variance (channels,); or none
            narrow.set_weights([each[kept[groups[id(wide.input)]]] for each in wide.get_weights()])


def _channel_groups(network: keras.Model) -> Mapping[int, int]:
    """Return id of a tensor of `network` -> number of its group: tensors of a group have to keep the same channels."""
    groups: dict[int, int] = {}
    for number, layer in enumerate(network.layers):
        groups[id(layer.output)] = number
        if isinstance(layer, CHANNELWISE):
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            joined = {groups[id(tensor)] for tensor in inputs}
            groups = {tensor: number if group in joined else group for tensor, group in groups.items()}
        elif not isinstance(layer, keras.layers.InputLayer | keras.layers.Conv2D):
            raise ValueError(f"layer {layer.name} cannot be made narrower")
    return groups


def _important_channels(layers: list[tuple[Any, Any]], groups: Mapping[int, int]) -> Mapping[int, Channels]:
    """Return group -> the channels that are kept, for `layers` (wide, narrow)."""
    scores: dict[int, NDArray[np.float32]] = {}
    counts: dict[int, int] = {}
    for wide, narrow in layers:
        if type(wide) is not type(narrow):
            raise ValueError(f"layer {wide.name} has another kind")
        group, channels = groups[id(wide.output)], wide.output.shape[-1]
        score = scores.setdefault(group, np.zeros(channels, np.float32))
        if isinstance(wide, keras.layers.BatchNormalization) and wide.scale:
            score += np.abs(wide.gamma)
        counts[group] = narrow.output.shape[-1]
        if counts[group] > channels:
            raise ValueError(f"layer {wide.name} has {channels} channels, fewer than {counts[group]}")
    return {group: np.sort(np.argsort(-score, kind="stable")[: counts[group]]) for group, score in scores.items()}
