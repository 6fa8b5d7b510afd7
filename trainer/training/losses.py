"""The loss of the labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.training.class_balance import class_weights, logit_offsets
from trainer.training.settings import TrainingSettings

MIN_PROBABILITY = 1e-30  # float32 has a logarithm and a gradient of it


def label_loss(settings: TrainingSettings, frequencies: NDArray[np.floating] | None = None) -> Any:
    """Return Keras' loss of the labels, with label smoothing and the balance of `settings`.

    Targets are (batch, classes) distributions, as of mixup or teachers: a face's weight is the mean of the class
    weights under its target. Only the loss is changed: the model, saved or not, has no part of it.

    Args:
        settings: balance and label_smoothing.
        frequencies: (classes,) means of the targets; None: equal, which leaves nothing to balance.
    """
    smoothing = settings.label_smoothing
    if frequencies is not None and settings.balance == "weights":
        weights = class_weights(frequencies).astype(np.float32)

        def weighted(targets: Any, probabilities: Any) -> Any:
            losses = keras.losses.categorical_crossentropy(targets, probabilities, label_smoothing=smoothing)
            return losses * keras.ops.matmul(targets, weights)

        return weighted
    if frequencies is not None and settings.balance == "logit-adjusted":
        offsets = logit_offsets(frequencies).astype(np.float32)

        def logit_adjusted(targets: Any, probabilities: Any) -> Any:
            logits = keras.ops.log(keras.ops.maximum(probabilities, MIN_PROBABILITY)) + offsets
            return keras.losses.categorical_crossentropy(
                targets, logits, from_logits=True, label_smoothing=smoothing
            )  # its softmax normalizes the adjusted probabilities

        return logit_adjusted
    return keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
