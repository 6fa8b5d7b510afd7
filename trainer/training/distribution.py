"""Data-parallel training on several devices and hosts through Keras' distribution API on JAX."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from trainer.errors import TrainingError


def use_all_devices(batch_size: int) -> int:
    """Build and train everything from now on with data parallelism on all devices; return their number.

    Keras does this on its JAX backend (`keras.distribution.DataParallel`): the weights are on each device, a batch is
    divided among them and the gradients are summed, so that the result is that of one device but for rounding.

    Args:
        batch_size: faces per step, on all devices of all processes together; a multiple of their number.

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


def process_index() -> int:
    """Return which of the processes of the training this is, from 0; the first one evaluates and writes."""
    return _process()[0]


def process_count() -> int:
    """Return the number of processes of the training, 1 without `trainer launch`."""
    return _process()[1]


def process_share(batch_size: int) -> slice:
    """Return which part of each batch of `batch_size` faces this process gives to its devices."""
    index, count = _process()
    return slice(batch_size * index // count, batch_size * (index + 1) // count)


@contextmanager
def on_own_device() -> Iterator[None]:
    """Compute in this process alone for the length of the block."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def copy_weights(shared: keras.Model, copy: keras.Model) -> None:
    """Give `copy`, a model of this process alone, the weights of `shared`: each step of that needs all processes.

    Only within `on_own_device`, where `copy` was cloned from `shared`.
    """
    for variable, value in zip(copy.variables, shared.variables, strict=True):
        variable.assign(np.asarray(value))


def _process() -> tuple[int, int]:
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()
