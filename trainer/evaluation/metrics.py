"""Classification metrics of one split: accuracy, macro-F1, figures per class, confusion matrix, log loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset

# An int8 probability of 0 means less than half a quantization step of 1/256. It does not mean never.
INT8_MIN_PROBABILITY = 1 / 512
Z_95 = 1.96  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True, eq=False)
class Metrics:
    """The metrics of one model on one split."""

    split: str
    class_names: tuple[str, ...]
    confusion: NDArray[np.int64]  # (classes, classes) counts: a row per true label, a column per predicted label
    loss: float  # mean negative log likelihood of the true label

    @property
    def n(self) -> int:
        """Number of faces."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Fraction of correct predictions, 0 to 1."""
        return float(np.trace(self.confusion) / self.n)

    @property
    def precision(self) -> NDArray[np.float64]:
        """(classes,) fraction of the predictions of a class that are correct; 0 for a class that is never predicted."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """(classes,) fraction of the faces of a class that are predicted correctly; 0 for a class without faces."""
        return _ratio(np.diag(self.confusion), self.support)

    @property
    def support(self) -> NDArray[np.int64]:
        """(classes,) number of faces of each class."""
        support: NDArray[np.int64] = self.confusion.sum(axis=1)
        return support

    @property
    def f1(self) -> NDArray[np.float64]:
        """(classes,) harmonic mean of precision and recall."""
        return _ratio(2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.support)

    def most_frequent_mistake(self, label: int) -> tuple[str, float]:
        """Return the class that faces of the class `label` are most often mistaken for, and the fraction of them."""
        wrong = self.confusion[label].copy()
        wrong[label] = 0
        most = int(wrong.argmax())
        return self.class_names[most], float(wrong[most] / max(self.support[label], 1))

    @property
    def macro_f1(self) -> float:
        """Unweighted mean F1 of the classes that have faces in the split."""
        return float(self.f1[self.support > 0].mean())

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy (low, high)."""
        return wilson_interval(int(np.trace(self.confusion)), self.n)

    def as_json(self) -> dict[str, Any]:
        """Return JSON values: split, n, accuracy, accuracy_ci95, macro_f1, loss, per_class, labels, confusion."""
        columns = zip(self.class_names, self.precision, self.recall, self.f1, self.support, strict=True)
        return {
            "split": self.split,
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_ci95": list(self.accuracy_interval),
            "macro_f1": self.macro_f1,
            "loss": self.loss,
            "per_class": {
                name: {"precision": float(precision), "recall": float(recall), "f1": float(f1), "n": int(n)}
                for name, precision, recall, f1, n in columns
            },
            "labels": list(self.class_names),
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True, eq=False)
class SceneMetrics:
    """Detection and classification together: a face that is not found counts as wrong."""

    images: NDArray[np.int64]  # (classes,) number of images of each class
    found: Metrics  # of the faces that were found, at most one in each image
    extra_faces: int  # detections that are not the face of their image
    milliseconds: float  # mean for an image, without reading and decoding the file
    skipped: int = 0  # invalid images that were left out

    @property
    def n(self) -> int:
        """Number of images."""
        return int(self.images.sum())

    @property
    def accuracy(self) -> float:
        """Fraction of the images whose face was found and predicted correctly, 0 to 1."""
        return float(np.trace(self.found.confusion) / self.n)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy (low, high)."""
        return wilson_interval(int(np.trace(self.found.confusion)), self.n)

    @property
    def detection_rate(self) -> float:
        """Fraction of the images whose face was found, 0 to 1."""
        return self.found.n / self.n

    @property
    def detection_rates(self) -> NDArray[np.float64]:
        """(classes,) detection rate of each class; 0 for a class without images."""
        return _ratio(self.found.support, self.images)

    @property
    def recall(self) -> NDArray[np.float64]:
        """(classes,) fraction of the images of a class that are found and correct; 0 for a class without images."""
        return _ratio(np.diag(self.found.confusion), self.images)

    @property
    def macro_recall(self) -> float:
        """Unweighted mean recall of the classes that have images."""
        return float(self.recall[self.images > 0].mean())

    def as_json(self) -> dict[str, Any]:
        """Return JSON values; fractions are of all images."""
        columns = zip(self.found.class_names, self.images, self.found.support, self.recall, strict=True)
        return {
            "images": self.n,
            "skipped": self.skipped,
            "found": self.found.n,
            "extra_faces": self.extra_faces,
            "detection_rate": self.detection_rate,
            "accuracy": self.accuracy,
            "accuracy_ci95": list(self.accuracy_interval),
            "macro_recall": self.macro_recall,
            "image_ms": self.milliseconds,
            "per_class": {
                name: {"images": int(images), "found": int(found), "recall": float(recall)}
                for name, images, found, recall in columns
            },
        }


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval (low, high) of the proportion `correct` of `n` (Wilson, JASA 1927)."""
    proportion, z2 = correct / n, Z_95 * Z_95
    center = proportion + z2 / (2 * n)
    half_width = Z_95 * np.sqrt(proportion * (1 - proportion) / n + z2 / (4 * n * n))
    return float((center - half_width) / (1 + z2 / n)), float((center + half_width) / (1 + z2 / n))


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Return `numerator` / `denominator`, 0 where the denominator is 0."""
    ratio: NDArray[np.float64] = np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
    return ratio


def compute_metrics(probabilities: NDArray[np.float32], dataset: Dataset) -> Metrics:
    """Return the metrics of `probabilities` (n, classes), rows summing to 1, for `dataset`, the n faces of one split.

    A probability below 1/512 counts as 1/512 in the loss: see INT8_MIN_PROBABILITY.
    """
    classes, labels = len(dataset.class_names), dataset.labels
    pairs = labels * classes + probabilities.argmax(axis=1)
    confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    likelihood = np.maximum(probabilities[np.arange(len(labels)), labels], INT8_MIN_PROBABILITY)
    return Metrics(str(dataset.splits[0]), dataset.class_names, confusion, float(-np.log(likelihood).mean()))
