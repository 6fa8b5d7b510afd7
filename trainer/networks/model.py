"""The network that is trained: raw pixels in, one probability per label out, pixel scaling included.

Other modules reach its parts by `get_layer("backbone")`, `backbone_input` and `head`, not by the names of other layers:
those become tensor names of the flatbuffer, so that a rename would change the bytes of models made before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from trainer import keras_file
from trainer.errors import TrainingError
from trainer.networks import backbones, narrowing


def build(
    backbone: str,
    size: int,
    classes: int,
    *,
    alpha: float,
    weights: str,
    momentum: float,
    dropout: float,
    channels: int = 1,
    flatten: bool = False,
    dense: Sequence[int] = (),
) -> Any:
    """Return a Keras model from (n, size, size, channels) pixels of 0 to 255 to (n, classes) probabilities.

    Pixels are scaled as the backbone expects; a gray channel is repeated three times, which keeps every pretrained
    weight. As scaling is a layer, the int8 model takes raw uint8 pixels: there is no mean or std at run time.

    Args:
        backbone: a key of trainer.networks.backbones.BACKBONES.
        size: pixels a side.
        classes: number of labels.
        alpha, weights, momentum: see trainer.networks.backbones.build.
        dropout: rate of the dropout before each dense layer of the head, 0 to 1.
        channels: 1 for gray, 3 for red, green and blue.
        flatten: the head takes the feature maps as they are, in place of their mean over all positions.
        dense: units of dense layers with ReLU between the features and the probabilities.

    Raises TrainingError when the backbone cannot be built, see trainer.networks.backbones.build.
    """
    features_of = backbones.build(backbone, size, alpha, weights, momentum)
    features_of.name = "backbone"
    pixels = keras.Input((size, size, channels), name="pixels")
    features = features_of(_scaled_channels(pixels, backbones.BACKBONES[backbone]))  # (n, height, width, features)
    pool = keras.layers.Flatten(name="flatten") if flatten else keras.layers.GlobalAveragePooling2D(name="pool")
    x = keras.layers.Dropout(dropout, name="dropout")(pool(features))  # (n, features)
    for number, units in enumerate(dense, start=1):
        # Weights that keep the variance through a ReLU: He et al., ICCV 2015.
        layer = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"dense_{number}")
        x = keras.layers.Dropout(dropout, name=f"dropout_{number}")(layer(x))
    # float32 also with mixed precision: a softmax in bfloat16 has steps of 0.4 % near 1.
    probabilities = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(pixels, probabilities, name=backbone)


def _scaled_channels(pixels: Any, backbone: backbones.Backbone) -> Any:
    """Return (n, size, size, 3): the symbolic `pixels`, gray or RGB, in the order and the scale of `backbone`."""
    is_gray, layers = pixels.shape[-1] == 1, keras.layers
    if len(set(backbone.offsets)) == 1:
        scaled = layers.Rescaling(backbone.scale, backbone.offsets[0], name="scaling")(pixels)
        return layers.Concatenate(name="channels")([scaled] * 3) if is_gray else scaled
    scalings = [layers.Rescaling(backbone.scale, backbone.offsets[i], name=f"scaling_{i + 1}") for i in range(3)]
    # Offsets that differ are those of Caffe's weights, whose channels are blue, green and red.
    channels = [pixels] * 3 if is_gray else [pixels[..., i : i + 1] for i in (2, 1, 0)]
    return layers.Concatenate(name="channels")([scaling(x) for scaling, x in zip(scalings, channels, strict=True)])


def backbone_input(model: Any) -> Any:
    """Return the symbolic tensor (n, size, size, 3) that goes into the backbone of `model`."""
    return model.layers[model.layers.index(model.get_layer("backbone")) - 1].output


def head(model: Any) -> Any:
    """Return the layer of `model` that gives the probabilities of the labels."""
    return model.get_layer(model.output_names[0])


def unfreeze(model: Any, last: int | None) -> None:
    """Make the last `last` layers of the backbone of `model` trainable and freeze those before them.

    Only layers with weights count, in the order of the backbone's `layers` and so of its `summary()`. A convolution and
    its batch normalization are two, a separable convolution is one; activations, pooling and additions are none. Of
    parallel branches each layer counts. A frozen layer runs in inference mode, also in training: a frozen batch
    normalization uses its moving statistics and does not update them. The head, that is every layer outside the
    backbone, becomes trainable. The order of the model's variables stays. A compiled model has to be compiled again.

    Args:
        model: from `build` or `with_ferplus_head`.
        last: 0 freezes the backbone, None or the number of its layers freezes nothing.

    Raises TrainingError when `last` is negative.
    """
    if last is not None and last < 0:
        raise TrainingError(f"cannot unfreeze {last} layers, expected at least 0")
    backbone = model.get_layer("backbone")
    weighted = [layer for layer in backbone.layers if layer.weights]
    frozen = 0 if last is None else max(0, len(weighted) - last)
    # Each layer is set by itself: Keras hands down only a change, so a model that is trainable already would leave its
    # frozen layers as they are.
    model.trainable, backbone.trainable = True, last != 0
    for number, layer in enumerate(weighted):
        layer.trainable = number >= frozen
    for layer in model.layers:
        if layer is not backbone:
            layer.trainable = True


def load_weights(model: Any, path: Path) -> None:
    """Copy the weights of the model in the .keras file `path` into `model`; their input sizes may differ.

    A model that is narrower gets the most important channels, see trainer.networks.narrowing. The head is copied if its
    layers have the same shapes, and so the same number of labels. Raises TrainingError when there is no such file or
    its backbone is another one or narrower, ModelError when it is not a Keras model.
    """
    if not path.is_file():
        raise backbones.missing_weights(str(path))
    source = keras_file.load(path)
    try:
        narrowing.copy_weights(source.get_layer("backbone"), model.get_layer("backbone"))
    except ValueError as error:
        raise TrainingError(
            f"{path}: not a {model.name} of the same width or a wider one; name a model made with the same backbone "
            "and at least this alpha"
        ) from error
    ours, theirs = ([x for x in each.layers if x.name != "backbone" and x.weights] for each in (model, source))
    shapes = [[weight.shape for layer in layers for weight in layer.weights] for layers in (ours, theirs)]
    if shapes[0] == shapes[1]:
        for layer, trained in zip(ours, theirs, strict=True):
            layer.set_weights(trained.get_weights())


def with_ferplus_head(model: Any, choices: int) -> Any:
    """Return `model` with a second output on the same features: (n, choices) probabilities of FER+'s choices.

    It is used in training alone. The distribution of FER+'s ten votes says more about a face than its one label, but
    follows other conventions (neutral where FER2013 says sad). A head of its own lets it shape the features and keeps
    the meaning of the labels.
    """
    features = head(model).input  # (n, features)
    ferplus = keras.layers.Dense(choices, activation="softmax", dtype="float32", name="ferplus")(features)
    return keras.Model(model.inputs[0], [model.outputs[0], ferplus], name=model.name)
