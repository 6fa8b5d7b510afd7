"""Batch normalization by one operation of TensorFlow in place of a dozen: the same numbers in less time.

Keras computes mean, variance, scaling and their gradients by separate operations, each of which reads and writes all
activations. `python -m benchmarks.training_step` compares the two.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import keras
from keras import ops


def fuse(layer: keras.layers.BatchNormalization) -> None:
    """Let `layer` compute a training step by TensorFlow's fused operation, if it can; other backends stay as they are.

    The layer keeps its class, weights and configuration, so that a saved model is one of plain Keras. Inference, and a
    frozen layer, work as before.
    """
    if keras.backend.backend() == "tensorflow":
        layer.call = MethodType(_call, layer)


def _call(layer: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """Do what keras.layers.BatchNormalization.call does, for (n, height, width, channels) `inputs`."""
    import tensorflow as tf

    is_plain = mask is None and not (layer.renorm or layer.synchronized)
    has_operation = len(inputs.shape) == 4 and layer.axis in (-1, 3) and layer.variable_dtype == "float32"
    if not (training and layer.trainable and is_plain and has_operation):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    x = ops.cast(inputs, "float32")  # as Keras does: the statistics of bfloat16 are too coarse
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x,
        layer.gamma if layer.scale else tf.ones(x.shape[-1]),
        layer.beta if layer.center else tf.zeros(x.shape[-1]),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # TensorFlow returns the variance with n - 1 in the denominator, Keras keeps the one with n.
    count = tf.cast(tf.size(x) / x.shape[-1], "float32")
    variance *= (count - 1) / count
    for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + value * (1 - layer.momentum))
    return ops.cast(outputs, layer.compute_dtype)
