"""Class balance: rows that oversample rare classes, and weights and offsets of the loss by class frequency.

FER2013's Training split has 16 happy faces for one of disgust (7215 and 436 of 28709).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.errors import TrainingError

# A step of 64 faces of FER2013 has one face of disgust on average: with a larger weight it would dominate the gradient.
MAX_WEIGHT_RATIO = 10.0  # weight of a class to that of the most frequent one
LOGIT_ADJUSTMENT_TAU = 1.0  # Menon et al. 2021: with 1 the minimum of the loss has the smallest balanced error


def require_every_class(dataset: Dataset) -> None:
    """Raise TrainingError naming the classes without a face in `dataset`: their outputs would learn nothing."""
    missing = [name for name, faces in dataset.counts().items() if not faces]
    if missing:
        raise TrainingError(
            f"{dataset.source}: no Training faces of {', '.join(missing)}; add some, or select the other classes with "
            "--classes"
        )


def oversampled_rows(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return (n,) rows of an epoch, shuffled: a class of c faces is drawn in proportion to the square root of c.

    The epoch keeps its length. Each face of a rare class is drawn about equally often, each time with an augmentation
    of its own; of a frequent class other faces are left out in each epoch. Full balance would show each of FER2013's
    faces of disgust nine times an epoch, the square root (Mahajan et al., ECCV 2018) three times.

    Args:
        labels: (n,), a class number for each row.
        rng: decides which faces are drawn, and their order.
    """
    roots = np.sqrt(np.bincount(labels))
    ends = np.floor(np.cumsum(roots) / roots.sum() * len(labels) + 0.5).astype(np.int64)
    drawn = [
        np.resize(rng.permutation(np.flatnonzero(labels == label)), draws)  # repeats the faces until there are enough
        for label, draws in enumerate(np.diff(ends, prepend=0))
    ]
    return rng.permutation(np.concatenate(drawn))


def learned_frequencies(targets: NDArray[np.floating], labels: NDArray[np.int64], balance: str) -> NDArray[np.float64]:
    """Return (classes,): how frequent the classes are for a model that is trained with `balance`; the sum is 1.

    The probabilities of the model are those for faces of these frequencies. A prior divides by them, see
    edge.inference.prior.

    Args:
        targets: (n, classes) distributions, one for each Training face.
        labels: (n,) class numbers, by which faces are oversampled.
        balance: one of trainer.training.settings.Balance.
    """
    weights = np.ones(len(labels))  # of each face in the loss of an epoch
    if balance == "logit-adjusted":
        return np.full(targets.shape[1], 1 / targets.shape[1])
    if balance == "weights":
        weights = targets @ class_weights(targets.mean(axis=0))
    elif balance == "oversample":
        weights = 1 / np.sqrt(np.bincount(labels)[labels])
    frequencies: NDArray[np.float64] = weights @ targets
    frequencies /= frequencies.sum()
    return frequencies


def class_weights(frequencies: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (classes,) weights of the loss: inverse to the frequency, with a mean of 1 over the faces.

    Args:
        frequencies: (classes,) fractions of the faces, above 0, with a sum of 1.
    """
    inverse = 1 / frequencies.astype(np.float64)
    capped = np.minimum(inverse, MAX_WEIGHT_RATIO * inverse.min())
    weights: NDArray[np.float64] = capped / (frequencies @ capped)
    return weights


def logit_offsets(frequencies: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (classes,): what logit adjustment adds to the log-probabilities in training.

    A rare class has to exceed the others by more in training. The model's own output, without the offsets, then has the
    probabilities for equally frequent classes (Menon et al., "Long-tail learning via logit adjustment", ICLR 2021).

    Args:
        frequencies: (classes,) fractions of the faces, above 0, with a sum of 1.
    """
    offsets: NDArray[np.float64] = LOGIT_ADJUSTMENT_TAU * np.log(frequencies.astype(np.float64))
    return offsets
