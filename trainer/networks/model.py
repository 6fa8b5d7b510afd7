"""The network that is trained: raw gray pixels in, one share a label out, its pixel scaling inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from trainer import keras_file
from trainer.errors import TrainingError
from trainer.networks import backbones


def build(
    backbone: str, size: int, classes: int, *, alpha: float, weights: str, momentum: float, dropout: float
) -> Any:
    """Return a Keras model from (n, size, size, 1) pixels of 0 to 255 to (n, classes) shares.

    The gray plane is scaled as the backbone expects and repeated three times, which keeps every pretrained weight. As
    the scaling is a layer, the int8 model takes raw uint8 pixels: no mean or std exists at run time.

    Args:
        backbone: a key of trainer.networks.backbones.BACKBONES.
        size: pixels a side.
        classes: labels to tell apart.
        alpha, weights, momentum: see trainer.networks.backbones.build.
        dropout: share of the features that training leaves out, 0 to 1.

    Raises TrainingError when the backbone cannot be had, see trainer.networks.backbones.build.
    """
    base = backbones.build(backbone, size, alpha, weights, momentum)
    base.name = "backbone"
    pixels = keras.Input((size, size, 1), name="pixels")
    planes = keras.layers.Concatenate(name="three_planes")(_scaled(pixels, backbones.BACKBONES[backbone]))
    features = base(planes)  # (n, size/32, size/32, features), of small_cnn twice the sides
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)  # (n, features)
    dropped = keras.layers.Dropout(dropout, name="dropout")(pooled)
    scores = keras.layers.Dense(classes, activation="softmax", name="scores")(dropped)  # (n, classes)
    return keras.Model(pixels, scores, name=backbone)


def _scaled(pixels: Any, backbone: backbones.Backbone) -> list[Any]:
    """Return three planes (n, size, size, 1) of `pixels`, each as the backbone was pretrained on it."""
    scale, offsets = backbone.scale, backbone.offsets
    if len(set(offsets)) == 1:
        return [keras.layers.Rescaling(scale, offsets[0], name="scaling")(pixels)] * 3
    numbered = enumerate(offsets, start=1)
    return [keras.layers.Rescaling(scale, offset, name=f"scaling_{number}")(pixels) for number, offset in numbered]


def unfreeze(model: Any, last: int | None) -> None:
    """Make the last `last` layers of the backbone of `model` trainable and freeze those before them.

    Counted are the layers that have weights, in the order of the backbone's `layers` and so of its `summary()`, from
    the end. A convolution and the batch normalization behind it are two, a separable convolution is one; activations,
    pooling and additions are none. Of branches side by side each layer counts. What is frozen runs as it does in use:
    a frozen batch normalization normalizes with its moving statistics, in training too, and leaves them as they are.
    The head, that is every layer outside the backbone, is trainable afterwards. The order of the model's variables
    stays. A compiled model has to be compiled anew.

    Args:
        model: from `build` or `with_votes`.
        last: 0 freezes the backbone as a whole, None or as many as there are free all of it.

    Raises TrainingError when `last` is negative.
    """
    if last is not None and last < 0:
        raise TrainingError(f"cannot unfreeze {last} layers, expected at least 0")
    backbone = model.get_layer("backbone")
    weighted = [layer for layer in backbone.layers if layer.weights]
    frozen = 0 if last is None else max(0, len(weighted) - last)
    # Each layer is told by itself: Keras hands down only a change, so a model that counts as trainable already would
    # leave its frozen layers as they are.
    model.trainable, backbone.trainable = True, last != 0
    for number, layer in enumerate(weighted):
        layer.trainable = number >= frozen
    for layer in model.layers:
        if layer is not backbone:
            layer.trainable = True


def start_from(model: Any, path: Path) -> None:
    """Put the weights of the model in the .keras file `path` into `model`, whatever the input size of each.

    The head comes along where both have as many labels. Raises TrainingError when there is no such file or its backbone
    is another one, ModelError when it is no model.
    """
    if not path.is_file():
        raise backbones.missing_weights(str(path))
    earlier = keras_file.load(path)
    try:
        model.get_layer("backbone").set_weights(earlier.get_layer("backbone").get_weights())
    except ValueError as error:
        raise TrainingError(f"{path}: not a {model.name} of the same width; name a model made with the same") from error
    if earlier.output_shape == model.output_shape:
        model.get_layer("scores").set_weights(earlier.get_layer("scores").get_weights())


def with_votes(model: Any, choices: int) -> Any:
    """Return `model` with a second output, (n, choices) shares of the votes that people gave, on the same features.

    It is there for training alone. FER+'s ten votes tell more of a face than its one label, but by other habits (its
    voters say neutral where FER2013 says sad): learned by a head of their own they shape the features and leave the
    meaning of the labels alone.
    """
    shared = model.get_layer("dropout").output  # (n, features)
    votes = keras.layers.Dense(choices, activation="softmax", name="votes")(shared)  # (n, choices)
    return keras.Model(model.inputs[0], [model.outputs[0], votes], name=model.name)
