"""The network that is trained: raw gray pixels in, one probability per label out, pixel scaling included.

Other modules reach its parts by `get_layer("backbone")`, `backbone_input` and `head`, not by the names of other layers:
those become tensor names of the flatbuffer, so that a rename would change the bytes of models made before.
"""

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
    """Return a Keras model from (n, size, size, 1) pixels of 0 to 255 to (n, classes) probabilities.

    The gray channel is scaled as the backbone expects and repeated three times, which keeps every pretrained weight. As
    scaling is a layer, the int8 model takes raw uint8 pixels: there is no mean or std at run time.

    Args:
        backbone: a key of trainer.networks.backbones.BACKBONES.
        size: pixels a side.
        classes: number of labels.
        alpha, weights, momentum: see trainer.networks.backbones.build.
        dropout: rate of the dropout before the head, 0 to 1.

    Raises TrainingError when the backbone cannot be built, see trainer.networks.backbones.build.
    """
    features_of = backbones.build(backbone, size, alpha, weights, momentum)
    features_of.name = "backbone"
    pixels = keras.Input((size, size, 1), name="pixels")
    scale, offsets = backbones.BACKBONES[backbone].scale, backbones.BACKBONES[backbone].offsets
    if len(set(offsets)) == 1:
        scaled = [keras.layers.Rescaling(scale, offsets[0], name="scaling")(pixels)] * 3
    else:
        scalings = [keras.layers.Rescaling(scale, offsets[i], name=f"scaling_{i + 1}") for i in range(3)]
        scaled = [scaling(pixels) for scaling in scalings]
    features = features_of(keras.layers.Concatenate(name="channels")(scaled))  # (n, height, width, features)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)  # (n, features)
    dropped = keras.layers.Dropout(dropout, name="dropout")(pooled)
    # float32 also with mixed precision: a softmax in bfloat16 has steps of 0.4 % near 1.
    probabilities = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(dropped)
    return keras.Model(pixels, probabilities, name=backbone)


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

    The head is copied if both have the same number of labels. Raises TrainingError when there is no such file or its
    backbone is another one, ModelError when it is not a Keras model.
    """
    if not path.is_file():
        raise backbones.missing_weights(str(path))
    source = keras_file.load(path)
    try:
        model.get_layer("backbone").set_weights(source.get_layer("backbone").get_weights())
    except ValueError as error:
        raise TrainingError(f"{path}: not a {model.name} of the same width; name a model made with the same") from error
    if source.output_shape == model.output_shape:
        head(model).set_weights(head(source).get_weights())


def with_ferplus_head(model: Any, choices: int) -> Any:
    """Return `model` with a second output on the same features: (n, choices) probabilities of FER+'s choices.

    It is used in training alone. The distribution of FER+'s ten votes says more about a face than its one label, but
    follows other conventions (neutral where FER2013 says sad). A head of its own lets it shape the features and keeps
    the meaning of the labels.
    """
    features = model.get_layer("dropout").output  # (n, features)
    ferplus = keras.layers.Dense(choices, activation="softmax", dtype="float32", name="ferplus")(features)
    return keras.Model(model.inputs[0], [model.outputs[0], ferplus], name=model.name)
