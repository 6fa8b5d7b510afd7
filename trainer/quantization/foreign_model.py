"""Opens a Keras model for conversion; one of somebody else's may lack its labels, their order and its softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.inference.model_file import GRAY, RGB
from trainer import keras_file
from trainer.data.dataset import PRIVATE_TEST, Dataset
from trainer.data.label_mapping import match_labels
from trainer.errors import QuantizeError
from trainer.evaluation.label_order import are_probabilities, find_better_order, require_probabilities
from trainer.evaluation.metrics import compute_metrics
from trainer.evaluation.prediction import predict_keras
from trainer.keras_file import KerasMetadata

CHECKED_FACES = 200  # of each class; Training faces count, too: that a model has seen them does not change its labels


@dataclass(frozen=True)
class FloatModel:
    """A model from gray pixels (n, size, size, 1) to probabilities (n, classes)."""

    model: Any
    metadata: KerasMetadata
    label_warning: str = ""  # why the labels of the outputs may have another order


def open_float_model(source: Path, dataset: Dataset, labels: Sequence[str] = (), *, logits: bool = False) -> FloatModel:
    """Return the model in the .keras file `source`.

    Args:
        dataset: some of its Training and PublicTest faces show what the outputs mean.
        labels: of the outputs of a model whose file does not have them, in their order. Without them the classes of
            `dataset` are assumed.
        logits: the model ends without softmax, which is added.

    Raises:
        QuantizeError: the model does not match labels or data set, `logits` is wrong, or another order of the labels is
            clearly better, see trainer.evaluation.label_order. ModelError: `source` is not a model, or its outputs are
            no probabilities. DataError: the data set has other classes.
    """
    model, metadata = keras_file.load(source), keras_file.load_metadata(source)
    is_foreign = metadata is None
    if metadata and labels and tuple(labels) != metadata.labels:
        raise QuantizeError(f"{source}: has the labels {', '.join(metadata.labels)}; leave out --labels")
    color = RGB if model.input_shape[-1] == 3 else GRAY
    metadata = metadata or KerasMetadata(tuple(labels) or dataset.class_names, dataset.side, color=color)
    if model.output_shape[-1] != len(metadata.labels):
        which = "--labels has" if labels else "the data set has"
        raise QuantizeError(
            f"{source}: {model.output_shape[-1]} outputs, but {which} {len(metadata.labels)} classes; name the labels "
            "by --labels, in the order of the outputs"
        )
    faces = _some_faces(match_labels(dataset, metadata.labels))
    predictions = predict_keras(model, faces, metadata.effective_resolution)
    if logits:
        if are_probabilities(predictions):
            raise QuantizeError(f"{source}: its outputs are probabilities already; leave out --logits")
        import keras

        outputs = keras.layers.Softmax(name="softmax")(model.outputs[0])
        model = keras.Model(model.inputs[0], outputs, name=model.name)
        predictions = predict_keras(model, faces, metadata.effective_resolution)
    require_probabilities(predictions, source)
    order = find_better_order(compute_metrics(predictions, faces).confusion, metadata.labels) if is_foreign else None
    if order and order.is_certain:
        raise QuantizeError(f"{source}: nothing written: {order}")
    return FloatModel(model, metadata, f"{order} (too few faces to be certain)" if order else "")


def _some_faces(dataset: Dataset) -> Dataset:
    """Return up to CHECKED_FACES faces of each class; none of the final test."""
    known = np.flatnonzero(dataset.splits != PRIVATE_TEST)
    rows = [known[dataset.labels[known] == label][:CHECKED_FACES] for label in range(len(dataset.class_names))]
    return dataset.take(np.concatenate(rows))
