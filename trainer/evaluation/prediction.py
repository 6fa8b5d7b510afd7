"""Predictions of a model file for a data set: .keras by Keras, .tflite by the classifier of the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.inference import model_file
from edge.inference.classifier import Classifier
from edge.inference.model_file import RGB
from edge.inference.preprocess import resample
from trainer import keras_file
from trainer.data.dataset import Dataset, as_inputs
from trainer.errors import DataError
from trainer.evaluation.label_order import require_probabilities
from trainer.evaluation.metrics import Metrics, compute_metrics

KERAS_BATCH_SIZE = 256  # faces
FACES_PER_CALL = 16 * KERAS_BATCH_SIZE  # of predict; 200 MB of gray inputs of 224 pixels


@dataclass(frozen=True)
class EvaluatedModel:
    """A model that predicts probabilities, whatever its file format."""

    path: Path
    labels: tuple[str, ...]
    input_size: int  # pixels a side
    predict: Callable[[Dataset], NDArray[np.float32]]  # n faces -> (n, labels) probabilities, each row summing to 1

    def evaluate(self, dataset: Dataset) -> Metrics:
        """Return the metrics of the predictions for `dataset`, the faces of one split."""
        return compute_metrics(self.predict(dataset), dataset)

    def in_order(self, labels: Sequence[str]) -> EvaluatedModel:
        """Return the model with its outputs in the order of `labels`. Raises DataError if it has others."""
        if set(labels) != set(self.labels):
            raise DataError(
                f"{self.path}: the model's labels are {', '.join(self.labels)}; those of the model that it is compared "
                f"to are {', '.join(labels)}"
            )
        columns = [self.labels.index(label) for label in labels]
        return replace(self, labels=tuple(labels), predict=lambda rows: self.predict(rows)[:, columns])


def open_model(path: Path, dataset: Dataset) -> EvaluatedModel:
    """Return the model in the file `path`. A .keras file without metadata gets the labels of `dataset`.

    Raises ModelError when the file is not a model, DataError when its number of outputs does not match its labels, or
    the faces of `dataset` are not gray or in color as the model's input.
    """
    if path.suffix == ".tflite":
        classifier = Classifier(path)
        card = classifier.card
        _require_channels(path, 3 if classifier.uses_color else 1, dataset)
        return EvaluatedModel(path, card.labels, card.input_size, lambda rows: predict_tflite(classifier, rows))
    _require_keras(path)
    model, metadata = keras_file.load(path), keras_file.load_metadata(path)
    _require_channels(path, int(model.input_shape[-1]), dataset)
    labels = metadata.labels if metadata else dataset.class_names
    if model.output_shape[-1] != len(labels):
        raise DataError(f"{path}: {model.output_shape[-1]} outputs, but the data set has {len(labels)} classes")
    resolution = metadata.effective_resolution if metadata else dataset.side
    return EvaluatedModel(
        path,
        labels,
        int(model.input_shape[1]),
        lambda rows: require_probabilities(predict_keras(model, rows, effective_resolution=resolution), path),
    )


def uses_color(path: Path) -> bool:
    """Return whether the input of the model in the .tflite or .keras file `path` is in color. Raises ModelError."""
    if path.suffix == ".tflite":
        return model_file.load(path)[1].color == RGB
    _require_keras(path)
    metadata = keras_file.load_metadata(path) if path.is_file() else None
    return metadata.color == RGB if metadata else int(keras_file.load(path).input_shape[-1]) == 3


def _require_keras(path: Path) -> None:
    """Raise ModelError for a file of another format than .keras."""
    keras_file.require_format(path)
    if path.suffix != ".keras":
        raise ModelError(f"{path}: expected a .tflite or a .keras file")


def _require_channels(path: Path, channels: int, dataset: Dataset) -> None:
    if channels != dataset.channels:
        found, expected = ("gray" if n == 1 else "in color" for n in (dataset.channels, channels))
        raise DataError(f"{dataset.source}: its faces were read {found}, but the input of {path} is {expected}")


def predict_tflite(classifier: Classifier, dataset: Dataset) -> NDArray[np.float32]:
    """Return (n, labels) probabilities of `classifier` for the n faces of `dataset`, preprocessed as on the device."""
    card = classifier.card
    faces = (
        resample(face, effective_resolution=card.effective_resolution, size=card.input_size) for face in dataset.faces
    )
    return np.stack([classifier.classify(face) for face in faces])


def predict_keras(model: Any, dataset: Dataset, effective_resolution: int | None = None) -> NDArray[np.float32]:
    """Return (n, classes) probabilities of a Keras `model` for the n faces of `dataset`, preprocessed as on the device.

    Args:
        effective_resolution: pixels a side to which larger faces are downscaled first. None: the side of the faces.
    """
    size, resolution = int(model.input_shape[1]), effective_resolution or dataset.side
    probabilities = []
    for start in range(0, len(dataset), FACES_PER_CALL):
        faces = dataset.faces[start : start + FACES_PER_CALL]
        inputs = as_inputs([resample(face, effective_resolution=resolution, size=size) for face in faces])
        probabilities.append(model.predict(inputs, batch_size=KERAS_BATCH_SIZE, verbose=0))
    return np.concatenate(probabilities, dtype=np.float32)
