"""Which labels a data set is read by: its own, some of them, or the eight of FER+."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trainer.data.fer2013 import FERPLUS_VOTES, LABELS, Dataset
from trainer.errors import DataError

FERPLUS = FERPLUS_VOTES[:8]  # the emotions among the ten choices; the others are "unknown" and "no face"
# FER+'s names of FER2013's labels; its eighth, contempt, has none.
_SEVEN = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprise",
    "neutral": "neutral",
}


def subset(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return the faces of the labels `names`, in that order. Raises DataError for a name that the data set lacks."""
    unknown = [name for name in names if name not in dataset.names]
    if unknown:
        raise DataError(f"{dataset.source}: no class {', '.join(unknown)}; there are {', '.join(dataset.names)}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise DataError(f"classes {', '.join(names)}: expected at least two, none of them twice")
    place = np.full(len(dataset.names), -1, np.int64)
    place[[dataset.names.index(name) for name in names]] = np.arange(len(names))
    return _relabeled(dataset, place[dataset.labels], tuple(names))


def ferplus(dataset: Dataset) -> Dataset:
    """Return the faces that FER+'s voters mostly gave one of its eight emotions, labeled by that.

    Left out are faces that most called no face or unknown, and ties. Raises DataError when there are no votes.
    """
    return _relabeled(dataset, _majority(dataset), FERPLUS)


def ferplus_seven(dataset: Dataset) -> Dataset:
    """Return the same with FER2013's seven names, without contempt. Raises DataError when there are no votes."""
    place = np.array([LABELS.index(_SEVEN[name]) if name in _SEVEN else -1 for name in FERPLUS] + [-1])
    return _relabeled(dataset, place[_majority(dataset)], LABELS)


def fit(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return `dataset` read by the labels `names` of a model.

    Raises DataError when it has others: it is neither all nor some of its own classes nor, with votes, those of FER+.
    """
    names = tuple(names)
    if names == dataset.names:
        return dataset
    if set(names) <= set(dataset.names):
        return subset(dataset, names)
    if names == FERPLUS and dataset.names == LABELS:
        return ferplus(dataset)
    raise DataError(
        f"{dataset.source}: the model's labels are {', '.join(names)}; the data set's are {', '.join(dataset.names)}"
    )


def _majority(dataset: Dataset) -> NDArray[np.int64]:
    """Return (n,) the place among FERPLUS of what most voters said, -1 where that is no emotion or not one alone."""
    if dataset.votes is None:
        raise DataError(f"{dataset.source}: no votes; name FER+'s fer2013new.csv by --ferplus")
    most = dataset.votes.max(axis=1)
    winner = dataset.votes.argmax(axis=1)
    clear = (dataset.votes == most[:, np.newaxis]).sum(axis=1) == 1
    return np.where(clear & (winner < len(FERPLUS)), winner, -1)


def _relabeled(dataset: Dataset, labels: NDArray[np.int64], names: tuple[str, ...]) -> Dataset:
    kept = np.flatnonzero(labels >= 0)
    return replace(dataset.take(kept), labels=labels[kept], names=names)
