"""A data set and a network so small that a complete run takes seconds."""

from __future__ import annotations

from tests.support import faces

DATA = faces.tiny(training=16, public=4, private=1)
# Command-line options of a run with the network `tiny`.
TINY_OPTIONS = ("--backbone", "tiny", "--weights", "none", "--input-size", "32", "--batch-size", "16")


def add_tiny_backbone():
    """Add the backbone `tiny`: two convolutions with batch normalization."""
    from trainer import keras_backend

    keras_backend.load()
    from trainer.networks import backbones

    backbones.BACKBONES["tiny"] = backbones.Backbone(
        _tiny, scale=1 / 127.5, offset=-1.0, min_size=16, imagenet_alphas=(1.0,)
    )
    return "tiny"


def _tiny(input_shape, alpha, weights):
    import keras

    layers = keras.layers
    pixels = keras.Input(input_shape)
    patches = layers.Conv2D(24, 8, strides=8, use_bias=False, name="patches")(pixels)
    patches = layers.ReLU()(layers.BatchNormalization(name="patches_norm")(patches))
    dense = layers.Conv2D(48, input_shape[0] // 8, use_bias=False, name="dense")(patches)
    return keras.Model(pixels, layers.ReLU()(layers.BatchNormalization(name="dense_norm")(dense)))
