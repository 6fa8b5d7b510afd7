"""Training targets: one-hot labels, soft targets of teachers (knowledge distillation), FER+'s label distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.errors import TrainingError


def one_hot(dataset: Dataset) -> NDArray[np.float32]:
    """Return (n, classes): 1 for each face's label, else 0."""
    return np.eye(len(dataset.class_names), dtype=np.float32)[dataset.labels]


def label_distributions(dataset: Dataset) -> NDArray[np.float32]:
    """Return (n, choices): the fraction of FER+'s votes for each choice; all 0 for a face without votes.

    Raises TrainingError when the data set has no votes.
    """
    if dataset.ferplus_votes is None:
        raise TrainingError(f"{dataset.source}: no FER+ votes to learn from; name FER+'s fer2013new.csv by --ferplus")
    votes = dataset.ferplus_votes.astype(np.float32)
    distributions: NDArray[np.float32] = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    return distributions


def soft_targets(
    labels: NDArray[np.float32], predictions: NDArray[np.float32], distill_weight: float
) -> NDArray[np.float32]:
    """Return (n, classes): 1 - `distill_weight` of the label's target plus `distill_weight` of the teachers' mean.

    The temperature is 1: teachers that were trained with label smoothing are soft already (Hinton et al. 2015 soften
    others).

    Args:
        labels: (n, classes) targets of the labels, such as one_hot.
        predictions: (teachers, n, classes), see trainer.training.teachers; at least one teacher.
        distill_weight: 0 to 1.
    """
    mixed: NDArray[np.float32] = (1 - distill_weight) * labels + distill_weight * predictions.mean(axis=0)
    return mixed.astype(np.float32)
