"""Whether the outputs of a model have the labels that they are said to have, and are probabilities at all.

A Keras model of somebody else's says neither. With two labels exchanged it is wrong about both, and looks merely bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError

MIN_FACES = 20  # of a class: with fewer, an exchange of labels is only warned of
# An order is clearly better if, of the faces that it moves, it gets at least twice as many right, and that is no chance
# by McNemar's test (Psychometrika 1947): z above 3 has a probability of 0.1 %.
MIN_RATIO, MIN_Z = 2.0, 3.0
SUM_TOLERANCE = 0.01  # of the probabilities of a face; mixed precision is off by 0.004


@dataclass(frozen=True)
class LabelOrder:
    """An order of the labels that explains the predictions clearly better than the one that was assumed."""

    labels: tuple[str, ...]  # of the outputs
    moved: tuple[str, ...]  # those at another place
    accuracy: float  # with the assumed order, 0 to 1
    better_accuracy: float  # with this one
    is_certain: bool  # there are at least MIN_FACES faces of each moved label

    def __str__(self) -> str:
        return (
            f"the outputs fit another order of the labels better, which differs in {', '.join(self.moved)} (accuracy "
            f"{self.better_accuracy:.3f}, not {self.accuracy:.3f}): --labels {','.join(self.labels)}"
        )


def find_better_order(confusion: NDArray[np.int64], labels: Sequence[str]) -> LabelOrder | None:
    """Return the order of the labels that explains `confusion` clearly better than `labels`; None without one.

    The best order assigns the labels to the outputs with the most correct predictions (Hungarian method; Kuhn 1955).

    Args:
        confusion: (classes, classes) counts: a row per true label, a column per output.
        labels: of the outputs, in the assumed order.
    """
    from scipy.optimize import linear_sum_assignment

    classes = len(labels)
    _, outputs = linear_sum_assignment(confusion + 0.5 * np.eye(classes), maximize=True)  # the diagonal wins a tie
    order, moved = list(labels), np.zeros(classes, bool)
    for cycle in _cycles(outputs):
        now, then = confusion[cycle, cycle].sum(), confusion[cycle, outputs[cycle]].sum()
        if then >= MIN_RATIO * now and then - now >= MIN_Z * np.sqrt(then + now):
            moved[cycle] = True
            for label in cycle:
                order[outputs[label]] = labels[label]
    if not moved.any():
        return None
    correct = np.where(moved, confusion[np.arange(classes), outputs], np.diag(confusion)).sum()
    return LabelOrder(
        labels=tuple(order),
        moved=tuple(np.array(labels)[moved].tolist()),
        accuracy=float(np.trace(confusion) / confusion.sum()),
        better_accuracy=float(correct / confusion.sum()),
        is_certain=bool((confusion.sum(axis=1)[moved] >= MIN_FACES).all()),
    )


def _cycles(permutation: NDArray[np.int64]) -> list[list[int]]:
    """Return the cycles of a permutation (n,) that are longer than 1: the smallest groups that exchange places."""
    cycles, seen = [], set[int]()
    for start in range(len(permutation)):
        cycle, place = [], start
        while place not in seen:
            seen.add(place)
            cycle.append(place)
            place = int(permutation[place])
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles


def are_probabilities(outputs: NDArray[np.float32]) -> bool:
    """Return whether the `outputs` (n, classes) are 0 or more with a sum of 1."""
    sums = outputs.sum(axis=1)
    return bool(np.isfinite(outputs).all() and outputs.min() >= 0 and np.abs(sums - 1).max() <= SUM_TOLERANCE)


def require_probabilities(outputs: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Return the `outputs` (n, classes) of the model in `path`. Raises ModelError if they are no probabilities."""
    if not are_probabilities(outputs):
        sums = outputs.sum(axis=1)
        raise ModelError(
            f"{path}: its outputs are no probabilities ({outputs.min():.3g} to {outputs.max():.3g}, sums "
            f"{sums.min():.3g} to {sums.max():.3g}); if it ends without softmax: 'trainer quantize --logits'"
        )
    return outputs
