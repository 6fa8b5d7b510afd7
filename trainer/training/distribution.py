"""One training on several devices: each takes its share of every batch, through Keras' distribution API."""

from __future__ import annotations

import keras

from trainer.errors import TrainingError


def spread(batch: int) -> int:
    """Let all that is built and trained from now on run on all devices of the first kind found; return their number.

    Keras does this on its JAX backend (`keras.distribution.DataParallel`): the weights lie on each device, a batch is
    divided among them and the gradients are summed, so that the result is that of one device but for rounding.

    Args:
        batch: faces a step, which must divide evenly.

    Raises TrainingError on another backend, or when the batch does not divide.
    """
    if keras.backend.backend() != "jax":
        raise TrainingError(
            f"several devices need Keras on JAX, found {keras.backend.backend()}; set KERAS_BACKEND=jax"
        )
    devices = keras.distribution.list_devices()
    if batch % len(devices):
        raise TrainingError(
            f"batch is {batch}, which {len(devices)} devices cannot share evenly; take a multiple of {len(devices)}"
        )
    if len(devices) > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    return len(devices)
