"""How good a model is on one split: accuracy, macro-F1, per-class figures, confusion; .keras and .tflite alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.inference.classifier import Classifier
from edge.inference.preprocess import resample
from trainer import keras_file
from trainer.data import label_mapping as labels
from trainer.data.fer2013 import Dataset
from trainer.errors import DataError


@dataclass(frozen=True, eq=False)
class Result:
    """What was measured on one split."""

    split: str
    names: tuple[str, ...]
    confusion: NDArray[np.int64]  # (classes, classes): rows are the true labels, columns the predicted ones
    loss: float  # mean negative logarithm of the true label's share

    @property
    def n(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1."""
        return float(np.trace(self.confusion) / self.n)

    @property
    def precision(self) -> NDArray[np.float64]:
        """(classes,) share of right answers among those that name the class; 0 where none does."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """(classes,) share of the class that is named right; 0 where the split has none of it."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """(classes,) harmonic mean of precision and recall."""
        return _ratio(2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.confusion.sum(axis=1))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that the split has, each counting the same."""
        return float(self.f1[self.confusion.sum(axis=1) > 0].mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy (Wilson 1927): what another draw of as many faces could give."""
        z, n, p = 1.96, self.n, self.accuracy
        center, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return float((center - half) / (1 + z * z / n)), float((center + half) / (1 + z * z / n))

    def as_json(self) -> dict[str, Any]:
        """Return plain values: split, n, accuracy, accuracy_95, macro_f1, loss, per_class, labels, confusion."""
        columns = zip(self.precision, self.recall, self.f1, self.confusion.sum(axis=1), strict=True)
        per_class = {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "n": int(n)}
            for name, (p, r, f, n) in zip(self.names, columns, strict=True)
        }
        return {
            "split": self.split,
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_95": list(self.interval),
            "macro_f1": self.macro_f1,
            "loss": self.loss,
            "per_class": per_class,
            "labels": list(self.names),
            "confusion": self.confusion.tolist(),
        }


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    return ratio


def measure(scores: NDArray[np.float32], dataset: Dataset) -> Result:
    """Return the result of `scores` (n, classes), shares summing to 1, against the labels of one split."""
    classes, truth = len(dataset.names), dataset.labels
    pairs = truth * classes + scores.argmax(axis=1)
    confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    # An int8 share of 0 means less than 1/512, not never.
    share = np.maximum(scores[np.arange(len(truth)), truth], 1 / 512)
    return Result(str(dataset.splits[0]), dataset.names, confusion, float(-np.log(share).mean()))


def evaluate(path: Path, dataset: Dataset, split: str) -> Result:
    """Return the result of the model file at `path` (.keras, or .tflite as it runs on the device) on `split`.

    Raises ModelError when the file is no model, DataError when its labels are others or the split is missing.
    """
    subject = open_model(path, dataset)
    rows = labels.fit(dataset, subject.labels).split(split)
    return measure(subject.scores(rows), rows)


@dataclass(frozen=True)
class Subject:
    """A model that is to be measured, whatever its file."""

    path: Path
    labels: tuple[str, ...]
    input_size: int  # pixels a side
    scores: Callable[[Dataset], NDArray[np.float32]]  # (n, labels) shares for every face


def open_model(path: Path, dataset: Dataset) -> Subject:
    """Return the model in the file `path`; a .keras file that does not tell its labels is taken to have the data set's.

    Raises ModelError when the file is no model, DataError when its number of outputs fits no labels.
    """
    if path.suffix == ".tflite":
        classifier = Classifier(path)
        card = classifier.card
        return Subject(path, card.labels, card.input_size, lambda rows: predict_tflite(classifier, rows)[0])
    if path.suffix != ".keras":
        raise ModelError(f"{path}: expected a .tflite or a .keras file")
    model, metadata = keras_file.load(path), keras_file.load_metadata(path)
    names = metadata.labels if metadata else dataset.names
    if model.output_shape[-1] != len(names):
        raise DataError(f"{path}: {model.output_shape[-1]} outputs, but the data set has {len(names)} classes")
    detail = metadata.effective_resolution if metadata else dataset.side
    return Subject(path, names, int(model.input_shape[1]), lambda rows: predict_keras(model, rows, detail))


def predict_tflite(classifier: Classifier, dataset: Dataset) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return (n, labels) shares by the device's own preprocessing and classifier, and the card's labels."""
    card = classifier.card
    faces = (resample(face, detail=card.effective_resolution, size=card.input_size) for face in dataset.faces)
    return np.stack([classifier.classify(face) for face in faces]), card.labels


def predict_keras(model: Any, dataset: Dataset, detail: int | None = None) -> NDArray[np.float32]:
    """Return (n, classes) shares of a Keras model, fed with the device's preprocessing at `detail` (the faces' own)."""
    size = int(model.input_shape[1])
    faces = np.stack([resample(face, detail=detail or dataset.side, size=size) for face in dataset.faces])
    return np.asarray(model.predict(faces[..., np.newaxis], batch_size=256, verbose=0), np.float32)
