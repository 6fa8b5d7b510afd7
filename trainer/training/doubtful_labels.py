"""Doubtful labels: Training rows whose label FER+'s ten annotators contradict, to be left out or softened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.data.ferplus import FERPLUS_COLUMNS, FERPLUS_LABELS
from trainer.data.label_mapping import FERPLUS_CLASSES
from trainer.errors import TrainingError
from trainer.training.targets import label_distributions, one_hot

UNREADABLE = 0.5  # more than this fraction of the votes says "unknown" or "no face"
CERTAIN = 0.8  # at least this fraction agrees on one other emotion, and nobody votes for the label
SOFTENED = 0.5  # weight of the votes in the target of a doubtful row; the rest is the label's


@dataclass(frozen=True, eq=False)
class DoubtfulLabels:
    """Which rows are doubtful, and why."""

    unreadable: NDArray[np.bool_]  # (n,) not a face, or its emotion cannot be told
    mislabeled: NDArray[np.bool_]  # (n,) certainly another emotion

    @property
    def rows(self) -> NDArray[np.bool_]:
        """(n,) all of them."""
        return self.unreadable | self.mislabeled

    def __str__(self) -> str:
        return (
            f"{int(self.rows.sum())} of {len(self.rows)} Training faces: {int(self.unreadable.sum())} without a "
            f"readable face, {int(self.mislabeled.sum())} certain mislabels"
        )


def find_doubtful(dataset: Dataset) -> DoubtfulLabels:
    """Return the rows of `dataset` whose label FER+'s votes contradict; a row without votes is none of them.

    Raises TrainingError when the data set has no votes, or a class that FER+ does not know.
    """
    fractions, own = label_distributions(dataset), _columns(dataset)[dataset.labels]
    emotions = fractions[:, : len(FERPLUS_LABELS)]
    return DoubtfulLabels(
        unreadable=fractions[:, len(FERPLUS_LABELS) :].sum(axis=1) > UNREADABLE,
        mislabeled=(emotions.max(axis=1) >= CERTAIN) & (fractions[np.arange(len(dataset)), own] == 0),
    )


def softened_targets(dataset: Dataset, doubtful: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (n, classes): one-hot labels, but of the rows in `doubtful` (n,) the mean of label and votes.

    Votes for "unknown", "no face" and emotions that the model has no label for are spread over all labels.
    """
    targets = one_hot(dataset)
    votes = label_distributions(dataset)[doubtful][:, _columns(dataset)]
    votes += (1 - votes.sum(axis=1, keepdims=True)) / votes.shape[1]
    targets[doubtful] = (1 - SOFTENED) * targets[doubtful] + SOFTENED * votes
    return targets


def _columns(dataset: Dataset) -> NDArray[np.int64]:
    """Return (classes,): the column of each class among FER+'s votes."""
    columns = {name: number for names in (FERPLUS_COLUMNS, FERPLUS_CLASSES) for number, name in enumerate(names)}
    unknown = [name for name in dataset.class_names if name not in columns]
    if unknown:
        raise TrainingError(f"{dataset.source}: FER+ has no votes for the class {', '.join(unknown)}")
    return np.array([columns[name] for name in dataset.class_names])
