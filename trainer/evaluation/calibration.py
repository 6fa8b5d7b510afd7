"""Whether a confidence of 80 % is right in 80 % of the cases, the temperature that makes it so, the cost of doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15  # as in Guo et al. 2017, so that figures compare
FLOOR = 1 / 512  # an int8 share of 0 means less than half a step of 1/256, not never
COLDEST, HOTTEST = 0.2, 5.0


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers sorted into equal ranges of confidence; ranges without answers are left out."""

    confidence: NDArray[np.float64]  # (bins,) mean confidence of the answers in the range, 0 to 1
    accuracy: NDArray[np.float64]  # (bins,) share of them that is right
    n: NDArray[np.int64]  # (bins,) how many there are

    @property
    def error(self) -> float:
        """Expected calibration error: mean gap between confidence and accuracy, weighted by n (Naeini et al. 2015)."""
        return float((self.n * np.abs(self.confidence - self.accuracy)).sum() / self.n.sum())


@dataclass(frozen=True, eq=False)
class Coverage:
    """What a threshold on the confidence costs: fewer answers, of which more are right."""

    threshold: NDArray[np.float64]  # (n,) falling
    covered: NDArray[np.float64]  # (n,) share of the faces whose confidence reaches it
    accuracy: NDArray[np.float64]  # (n,) share of those that is right

    def at(self, threshold: float) -> tuple[float, float]:
        """Return (covered, accuracy) of the answers with a confidence of at least `threshold`; (0, 1) when none has."""
        reached = int((self.threshold >= threshold).sum())
        return (float(self.covered[reached - 1]), float(self.accuracy[reached - 1])) if reached else (0.0, 1.0)


def tempered(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return `scores` (n, classes) raised to 1/`temperature` and normalized, row by row as edge.inference.classifier does it."""
    powered = np.maximum(scores, 0) ** np.float32(1 / temperature)
    total = powered.sum(axis=1, keepdims=True)
    shares: NDArray[np.float32] = np.where(total > 0, powered / np.where(total > 0, total, 1), 1 / scores.shape[1])
    return shares.astype(np.float32)


def fit_temperature(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature, 0.2 to 5, at which `scores` (n, classes) explain `labels` (n,) best.

    It minimizes the negative log likelihood (Guo et al., ICML 2017). No answer changes: the order of the classes stays.
    The likelihood has one peak in 1/T, so a ternary search finds it. It is made for int8 scores: shares under 1/512
    count as 1/512, which hides a part of the overconfidence of float scores (a true 2.5 is found as 2.05).
    """
    low, high = 1 / HOTTEST, 1 / COLDEST
    logs = np.log(np.maximum(scores.astype(np.float64), FLOOR))
    for _ in range(60):
        third = (high - low) / 3
        if _loss(logs, labels, low + third) < _loss(logs, labels, high - third):
            high -= third
        else:
            low += third
    return float(2 / (low + high))


def _loss(logs: NDArray[np.float64], labels: NDArray[np.int64], sharpness: float) -> float:
    scaled = logs * sharpness
    peak = scaled.max(axis=1)
    total = np.log(np.exp(scaled - peak[:, np.newaxis]).sum(axis=1)) + peak
    return float((total - scaled[np.arange(len(labels)), labels]).mean())


def reliability(scores: NDArray[np.float32], labels: NDArray[np.int64], bins: int = BINS) -> Reliability:
    """Return how confidence and accuracy go together for `scores` (n, classes) and `labels` (n,)."""
    confidence, right = _answers(scores, labels)
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins)
    filled = n > 0
    mean = [np.bincount(place, weights=values, minlength=bins)[filled] / n[filled] for values in (confidence, right)]
    return Reliability(mean[0], mean[1], n[filled])


def coverage(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> Coverage:
    """Return what each threshold covers and how right it is (risk and coverage: El-Yaniv and Wiener, JMLR 2010)."""
    confidence, right = _answers(scores, labels)
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], right[order]
    last = np.append(confidence[1:] != confidence[:-1], True)  # of equal ones none is answered without the others
    seen = np.arange(1, len(right) + 1)
    return Coverage(confidence[last], (seen / len(right))[last], (np.cumsum(right) / seen)[last])


def _answers(scores: NDArray[Any], labels: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n,) the confidence of each answer and (n,) 1 where it is right."""
    return scores.max(axis=1).astype(np.float64), (scores.argmax(axis=1) == labels).astype(np.float64)
