"""Calibration of confidences: temperature scaling, expected calibration error, coverage and selective accuracy.

A model is calibrated when 80 % of its predictions with a confidence of 80 % are correct.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.metrics import INT8_MIN_PROBABILITY

CALIBRATION_BINS = 15  # as in Guo et al. 2017, so that the errors are comparable
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.2, 5.0
FOLDS = 5  # of cross-fitting: fitted on four fifths of the faces, measured on the fifth
FOLD_SEED = 0
SEARCH_STEPS = 60  # each keeps two thirds of the range: far below float precision at the end


@dataclass(frozen=True, eq=False)
class ReliabilityDiagram:
    """Predictions in bins of equal width of their confidence; empty bins are left out."""

    confidence: NDArray[np.float64]  # (bins,) mean confidence of the predictions in the bin, 0 to 1
    accuracy: NDArray[np.float64]  # (bins,) fraction of them that is correct
    n: NDArray[np.int64]  # (bins,) number of them

    @property
    def expected_calibration_error(self) -> float:
        """Mean gap between confidence and accuracy, weighted by n (Naeini et al., AAAI 2015)."""
        return float((self.n * np.abs(self.confidence - self.accuracy)).sum() / self.n.sum())


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """The effect of a threshold on the confidence: fewer faces get a label, more of the labels are correct."""

    threshold: NDArray[np.float64]  # (n,) descending
    coverage: NDArray[np.float64]  # (n,) fraction of the faces whose confidence reaches the threshold
    accuracy: NDArray[np.float64]  # (n,) selective accuracy: fraction of those that is correct

    def at(self, threshold: float) -> tuple[float, float]:
        """Return coverage and selective accuracy at a confidence of at least `threshold`; (0, 1) if none reaches it."""
        reached = int((self.threshold >= threshold).sum())
        return (float(self.coverage[reached - 1]), float(self.accuracy[reached - 1])) if reached else (0.0, 1.0)


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Calibrated probabilities of faces on which nothing was fitted, and what thresholds do to them."""

    probabilities: NDArray[np.float32]  # (n, classes), each row with the temperature of the other folds
    labels: NDArray[np.int64]  # (n,) true ones
    thresholds: NDArray[np.float64]  # (n,) on the confidence, of the other folds

    @property
    def expected_calibration_error(self) -> float:
        """Of all rows together, 0 to 1."""
        return reliability_diagram(self.probabilities, self.labels).expected_calibration_error

    @property
    def selective(self) -> tuple[float, float]:
        """Coverage and selective accuracy at the thresholds; (0, 1) if no confidence reaches its own."""
        confidence, correct = _confidence_and_correct(self.probabilities, self.labels)
        reached = confidence >= self.thresholds
        return float(reached.mean()), float(correct[reached].mean()) if reached.any() else 1.0


def cross_fit(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    threshold: float,
    selective_accuracy: float | None = None,
) -> CrossFit:
    """Return the rows of each fifth, calibrated by what fits the other four fifths.

    The error of a temperature on the faces that it was fitted on is smaller than the one that users meet. Fewer rows
    than FOLDS are not fitted at all.

    Args:
        probabilities: (n, classes), not calibrated.
        labels: (n,) true labels.
        threshold: on the calibrated confidence, 0 to 1.
        selective_accuracy: fit the threshold to this accuracy of the labels, in place of `threshold`.
    """
    calibrated, thresholds = probabilities.copy(), np.full(len(labels), threshold)
    if len(labels) >= FOLDS:
        fold_of = np.random.default_rng(FOLD_SEED).permutation(len(labels)) % FOLDS
        for fold in range(FOLDS):
            inside, others = fold_of == fold, fold_of != fold
            temperature = fit_temperature(probabilities[others], labels[others])
            calibrated[inside] = apply_temperature(probabilities[inside], temperature)
            if selective_accuracy is not None:
                fitted = apply_temperature(probabilities[others], temperature)
                thresholds[inside] = fit_threshold(fitted, labels[others], selective_accuracy)
    return CrossFit(calibrated, labels, thresholds)


def fit_threshold(probabilities: NDArray[np.float32], labels: NDArray[np.int64], selective_accuracy: float) -> float:
    """Return the smallest threshold on the confidence with which this fraction of the labels is correct.

    It has the largest coverage of those; 1 where there is none.
    """
    curve = coverage_curve(probabilities, labels)
    reaching = np.flatnonzero(curve.accuracy >= selective_accuracy)
    return float(curve.threshold[reaching[-1]]) if len(reaching) else 1.0


def apply_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return `probabilities` (n, classes) raised to 1/`temperature` and normalized, as edge.inference.classifier."""
    powered = np.maximum(probabilities, 0) ** np.float32(1 / temperature)
    total = powered.sum(axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.where(
        total > 0, powered / np.where(total > 0, total, 1), 1 / probabilities.shape[1]
    )
    return scaled.astype(np.float32)


def fit_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature, 0.2 to 5, with the smallest log loss of `probabilities` (n, classes) for `labels` (n,).

    Temperature scaling (Guo et al., ICML 2017) keeps the order of the classes, so no prediction changes. The likelihood
    has a single maximum in 1/temperature; a ternary search finds it. The function is made for int8 probabilities: one
    below 1/512 counts as 1/512. That hides part of the overconfidence of float probabilities (2.05 in place of 2.5).
    """
    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    logs = np.log(np.maximum(probabilities.astype(np.float64), INT8_MIN_PROBABILITY))
    for _ in range(SEARCH_STEPS):
        third = (high - low) / 3
        if _log_loss(logs, labels, low + third) < _log_loss(logs, labels, high - third):
            high -= third
        else:
            low += third
    return float(2 / (low + high))


def _log_loss(logs: NDArray[np.float64], labels: NDArray[np.int64], inverse_temperature: float) -> float:
    scaled = logs * inverse_temperature
    largest = scaled.max(axis=1)
    log_sum = np.log(np.exp(scaled - largest[:, np.newaxis]).sum(axis=1)) + largest
    return float((log_sum - scaled[np.arange(len(labels)), labels]).mean())


def reliability_diagram(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], bins: int = CALIBRATION_BINS
) -> ReliabilityDiagram:
    """Return the accuracy per bin of confidence of `probabilities` (n, classes) for `labels` (n,)."""
    confidence, correct = _confidence_and_correct(probabilities, labels)
    bin_index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    n = np.bincount(bin_index, minlength=bins)
    filled = n > 0
    means = [
        np.bincount(bin_index, weights=values, minlength=bins)[filled] / n[filled] for values in (confidence, correct)
    ]
    return ReliabilityDiagram(means[0], means[1], n[filled])


def coverage_curve(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> CoverageCurve:
    """Return coverage and selective accuracy of every threshold (El-Yaniv and Wiener, JMLR 2010).

    Args:
        probabilities: (n, classes).
        labels: (n,) true labels.
    """
    confidence, correct = _confidence_and_correct(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    confidence, correct = confidence[order], correct[order]
    # Predictions of equal confidence pass a threshold together: each value appears once, with all of them counted.
    last = np.append(confidence[1:] != confidence[:-1], True)
    covered = np.arange(1, len(correct) + 1)
    return CoverageCurve(confidence[last], (covered / len(correct))[last], (np.cumsum(correct) / covered)[last])


def _confidence_and_correct(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n,) the confidence of each prediction and (n,) 1 where the prediction is correct."""
    correct = probabilities.argmax(axis=1) == labels
    return probabilities.max(axis=1).astype(np.float64), correct.astype(np.float64)
