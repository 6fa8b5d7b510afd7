"""The network that is trained: raw grey pixels in, one share a label out, its pixel scaling inside."""

from __future__ import annotations

from typing import Any

import keras

from trainer import backbones


def build(
    backbone: str, size: int, classes: int, *, alpha: float, weights: str, momentum: float, dropout: float
) -> Any:
    """Return a Keras model from (n, size, size, 1) pixels of 0 to 255 to (n, classes) shares.

    The grey plane is scaled as the backbone expects and repeated three times, which keeps every pretrained weight. As
    the scaling is a layer, the int8 model takes raw uint8 pixels: no mean or std exists at run time.
    """
    base = backbones.build(backbone, size, alpha, weights, momentum)
    base.name = "backbone"
    scaling = backbones.BACKBONES[backbone]
    pixels = keras.Input((size, size, 1), name="pixels")
    scaled = keras.layers.Rescaling(scaling.scale, scaling.offset, name="scaling")(pixels)
    features = base(keras.layers.Concatenate(name="three_planes")([scaled] * 3))  # (n, size/32, size/32, features)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)  # (n, features)
    dropped = keras.layers.Dropout(dropout, name="dropout")(pooled)
    scores = keras.layers.Dense(classes, activation="softmax", name="scores")(dropped)  # (n, classes)
    return keras.Model(pixels, scores, name=backbone)
