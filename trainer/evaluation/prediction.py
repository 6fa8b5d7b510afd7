"""Predictions of a model file for a data set: .keras by Keras, .tflite by the classifier of the device."""

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
from trainer.data.dataset import Dataset
from trainer.errors import DataError
from trainer.evaluation.label_order import require_probabilities
from trainer.evaluation.metrics import Metrics, compute_metrics

KERAS_BATCH_SIZE = 256  # faces per call of predict


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


def open_model(path: Path, dataset: Dataset) -> EvaluatedModel:
    """Return the model in the file `path`. A .keras file without metadata gets the labels of `dataset`.

    Raises ModelError when the file is not a model, DataError when its number of outputs does not match its labels.
    """
    if path.suffix == ".tflite":
        classifier = Classifier(path)
        card = classifier.card
        return EvaluatedModel(path, card.labels, card.input_size, lambda rows: predict_tflite(classifier, rows))
    keras_file.require_format(path)
    if path.suffix != ".keras":
        raise ModelError(f"{path}: expected a .tflite or a .keras file")
    model, metadata = keras_file.load(path), keras_file.load_metadata(path)
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
    faces = np.stack([resample(face, effective_resolution=resolution, size=size) for face in dataset.faces])
    return np.asarray(model.predict(faces[..., np.newaxis], batch_size=KERAS_BATCH_SIZE, verbose=0), np.float32)
