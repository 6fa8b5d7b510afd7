"""Data-parallel training on several devices through Keras' distribution API."""

from __future__ import annotations

import keras

from trainer.errors import TrainingError


def use_all_devices(batch_size: int) -> int:
    """Build and train everything from now on with data parallelism on all devices; return their number.

    Keras does this on its JAX backend (`keras.distribution.DataParallel`): the weights are on each device, a batch is
    divided among them and the gradients are summed, so that the result is that of one device but for rounding.

    Args:
        batch_size: faces per step, a multiple of the number of devices.

    Raises TrainingError on another backend, or when the batch does not divide.
    """
    if keras.backend.backend() != "jax":
        raise TrainingError(
            f"several devices need Keras on JAX, found {keras.backend.backend()}; set KERAS_BACKEND=jax"
        )
    devices = keras.distribution.list_devices()
    if batch_size % len(devices):
        raise TrainingError(f"batch_size is {batch_size}, expected a multiple of the number of devices, {len(devices)}")
    if len(devices) > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    return len(devices)
