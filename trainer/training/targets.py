"""Training targets: one-hot labels, soft targets of teachers (knowledge distillation), FER+'s label distributions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.errors import TrainingError
from trainer.evaluation.prediction import open_model

_log = logging.getLogger(__name__)


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


def soft_targets(teachers: Sequence[Path], dataset: Dataset, distill_weight: float) -> NDArray[np.float32]:
    """Return (n, classes): 1 - `distill_weight` of the one-hot label plus `distill_weight` of the teachers' mean.

    Each teacher predicts each face and its mirror image once, before training (Hinton et al. 2015). The temperature is
    1: teachers that were trained with label smoothing are soft already.

    Args:
        teachers: run folders, .keras or .tflite files; none: the one-hot labels are returned.
        dataset: the Training rows.
        distill_weight: 0 to 1.

    Raises TrainingError when a teacher has other labels than the data set, ModelError when it is not a model.
    """
    targets = one_hot(dataset)
    if not teachers:
        return targets
    predictions = np.mean([_predict(path, dataset) for path in teachers], axis=0)
    mixed: NDArray[np.float32] = ((1 - distill_weight) * targets + distill_weight * predictions).astype(np.float32)
    return mixed


def _predict(path: Path, dataset: Dataset) -> NDArray[np.float32]:
    """Return (n, classes): the mean of a teacher's probabilities for each face and its mirror image."""
    teacher = open_model(path / "best.keras" if path.is_dir() else path, dataset)
    if teacher.labels != dataset.class_names:
        raise TrainingError(
            f"{teacher.path}: the teacher's labels are {', '.join(teacher.labels)}; the data set's are "
            f"{', '.join(dataset.class_names)}"
        )
    _log.info("teacher %s: predicting %d faces", teacher.path, len(dataset))
    mirrored = replace(dataset, faces=dataset.faces[:, :, ::-1])
    return (teacher.predict(dataset) + teacher.predict(mirrored)) * np.float32(0.5)
