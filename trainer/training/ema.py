"""Evaluation with the exponential moving average (EMA) of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

STATISTICS_BATCH_SIZE = 128  # about; faces


def averaged_weights(model: keras.Model) -> Sequence[Any]:
    """Return the averages that the optimizer of `model` keeps, in the order of its trainable variables."""
    averages: Sequence[Any] = model.optimizer._model_variables_moving_average  # noqa: SLF001 (it has no public name)
    return averages


@contextmanager
def ema_weights(model: keras.Model, images: NDArray[np.uint8], averages: Sequence[Any] | None = None) -> Iterator[None]:
    """Put the optimizer's averaged weights into `model` for the length of the block, then restore its own.

    Args:
        images: (n, size, size, channels), see below.
        averages: of the model that `model` is a copy of, see `averaged_weights`; None: its own.

    The moving statistics of batch normalization belong to the latest weights and are wrong for the averaged ones (35 %
    instead of 61 % accuracy in an early epoch), so they are computed again on `images`, as for
    stochastic weight averaging (Izmailov et al., UAI 2018).
    """
    averages = averaged_weights(model) if averages is None else averages
    original = [(variable, np.asarray(variable).copy()) for variable in model.variables]
    try:
        for variable, average in zip(model.trainable_variables, averages, strict=True):
            variable.assign(np.asarray(average))  # a copy: JAX would invalidate a shared array in the next step
        update_statistics(model, images)
        yield
    finally:
        for variable, value in original:
            variable.assign(value)


def update_statistics(model: keras.Model, images: NDArray[np.uint8]) -> None:
    """Set each batch normalization's moving statistics to the mean over all batches of `images`."""
    backbone = model.get_layer("backbone")
    if not backbone.trainable:  # a frozen backbone keeps ImageNet's statistics
        return
    layers = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for number, batch in enumerate(np.array_split(images, max(1, len(images) // STATISTICS_BATCH_SIZE))):
        for layer in layers:
            layer.momentum = number / (number + 1)
        model(batch, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
