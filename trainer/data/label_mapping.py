"""Maps a data set's labels: a selection of its own classes, or the labels of FER+'s annotators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import FER2013_LABELS, LABEL_SYNONYMS, Dataset
from trainer.data.ferplus import FERPLUS_LABELS
from trainer.errors import DataError

# The labels of a model that learns FER+, in FER2013's words where it has one: priors, class folders and what reads the
# device's results know these.
FERPLUS_CLASSES = tuple(LABEL_SYNONYMS.get(name, name) for name in FERPLUS_LABELS)


def select_classes(dataset: Dataset, class_names: Sequence[str]) -> Dataset:
    """Return the faces of the classes `class_names`, in that order. Raises DataError for an unknown class."""
    unknown = [name for name in class_names if name not in dataset.class_names]
    if unknown:
        raise DataError(
            f"{dataset.source}: no class {', '.join(unknown)}; the classes are {', '.join(dataset.class_names)}"
        )
    if len(class_names) < 2 or len(set(class_names)) < len(class_names):
        raise DataError(f"classes {', '.join(class_names)}: expected at least two, none of them twice")
    new_label = np.full(len(dataset.class_names), -1, np.int64)
    new_label[[dataset.class_names.index(name) for name in class_names]] = np.arange(len(class_names))
    return _relabel(dataset, new_label[dataset.labels], tuple(class_names))


def ferplus_majority(dataset: Dataset) -> Dataset:
    """Return the faces with a unique FER+ majority for one of its eight emotions, labeled by it.

    Faces whose majority is "no face" or "unknown", and ties, are left out. Raises DataError when there are no votes.
    """
    return _relabel(dataset, _majority(dataset), FERPLUS_CLASSES)


def ferplus_majority_as_fer2013(dataset: Dataset) -> Dataset:
    """Return the same with FER2013's seven labels, without contempt. Raises DataError when there are no votes."""
    mapped = [FER2013_LABELS.index(name) if name in FER2013_LABELS else -1 for name in FERPLUS_CLASSES]
    return _relabel(dataset, np.array([*mapped, -1])[_majority(dataset)], FER2013_LABELS)


def match_labels(dataset: Dataset, labels: Sequence[str], *, some: bool = False) -> Dataset:
    """Return `dataset` with the labels of a model, in their order.

    FER2013 with FER+'s votes is labeled by their majority for a model of FER+'s eight emotions, also for one of others
    that has them in FER+'s own words. Raises DataError unless the labels are these, or all or some of the data set's
    own classes. With `some` the data set may also have some of the labels only.
    """
    labels = tuple(labels)
    is_ferplus = labels in {FERPLUS_CLASSES, FERPLUS_LABELS} and dataset.class_names == FER2013_LABELS
    if is_ferplus and dataset.ferplus_votes is not None:
        return replace(ferplus_majority(dataset), class_names=labels)
    if some and set(dataset.class_names) < set(labels):
        new_label = np.array([labels.index(name) for name in dataset.class_names])
        return replace(dataset, labels=new_label[dataset.labels], class_names=labels)
    if labels == dataset.class_names:
        return dataset
    if set(labels) <= set(dataset.class_names):
        return select_classes(dataset, labels)
    if is_ferplus:
        return ferplus_majority(dataset)  # raises, as there are no votes
    raise DataError(
        f"{dataset.source}: the model's labels are {', '.join(labels)}; "
        f"the data set's are {', '.join(dataset.class_names)}"
    )


def _majority(dataset: Dataset) -> NDArray[np.int64]:
    """Return (n,) the index in FERPLUS_LABELS that got the most votes, -1 for a tie or where it is no emotion."""
    if dataset.ferplus_votes is None:
        raise DataError(f"{dataset.source}: no FER+ votes; name FER+'s fer2013new.csv by --ferplus")
    most = dataset.ferplus_votes.max(axis=1)
    winner = dataset.ferplus_votes.argmax(axis=1)
    unique = (dataset.ferplus_votes == most[:, np.newaxis]).sum(axis=1) == 1
    return np.where(unique & (winner < len(FERPLUS_LABELS)), winner, -1)


def _relabel(dataset: Dataset, labels: NDArray[np.int64], class_names: tuple[str, ...]) -> Dataset:
    """Return the faces of `dataset` whose new label in `labels` (n,) is not -1."""
    kept = np.flatnonzero(labels >= 0)
    return replace(dataset.take(kept), labels=labels[kept], class_names=class_names)
