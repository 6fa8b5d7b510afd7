"""Whether two models differ on the same faces: McNemar's exact test of the faces that only one of them gets right."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.metrics import Z_95


@dataclass(frozen=True)
class PairedDifference:
    """A model against a baseline on the same n faces."""

    n: int
    better: int  # faces that only the model gets right
    worse: int  # faces that only the baseline gets right

    @property
    def difference(self) -> float:
        """Accuracy of the model minus that of the baseline, -1 to 1."""
        return (self.better - self.worse) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the difference (low, high), by the normal approximation of paired proportions."""
        variance = (self.better + self.worse) / self.n - self.difference**2
        half_width = Z_95 * sqrt(max(variance, 0.0) / self.n)
        return self.difference - half_width, self.difference + half_width

    @property
    def p_value(self) -> float:
        """Probability of a difference at least as large by chance, 0 to 1; below 0.05 it is called significant.

        McNemar (Psychometrika 1947), exact and two-sided: without a difference each face that only one model gets right
        is as likely to be the one's as the other's, so that their number has a binomial distribution with 1/2.
        """
        discordant = self.better + self.worse
        tail = ways = 1  # of choosing k of the discordant faces, from k = 0
        for k in range(min(self.better, self.worse)):
            ways = ways * (discordant - k) // (k + 1)
            tail += ways
        return min(1.0, 2 * tail / (1 << discordant))


def compare_predictions(
    predicted: NDArray[np.int64], baseline: NDArray[np.int64], labels: NDArray[np.int64]
) -> PairedDifference:
    """Return how the class numbers `predicted` (n,) differ from those of `baseline` (n,), by the true `labels` (n,)."""
    correct, baseline_correct = predicted == labels, baseline == labels
    return PairedDifference(
        len(labels), int((correct & ~baseline_correct).sum()), int((baseline_correct & ~correct).sum())
    )
