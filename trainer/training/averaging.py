"""The mean of the weights of several models, one model at the cost of one (Wortsman et al., ICML 2022: a model soup).

It is better than its members only where they lie in one basin of the loss: epochs of one run, or runs that start from
the same weights. Runs from different initial weights give a mean that knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.system.atomic_file import atomic_path
from trainer import keras_file
from trainer.data import label_mapping
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from trainer.errors import TrainingError
from trainer.evaluation.metrics import Metrics, compute_metrics
from trainer.evaluation.prediction import predict_keras
from trainer.training.batches import statistics_inputs
from trainer.training.ema import update_statistics


@dataclass(frozen=True, eq=False)
class AverageResult:
    """The members and their mean on the PublicTest faces."""

    members: dict[Path, Metrics]
    mean: Metrics


def average(
    members: Sequence[Path], dataset: Dataset, out: Path, report_progress: Callable[[str], None] = lambda _: None
) -> AverageResult:
    """Write the mean of the weights of `members` to `out`, a .keras file, atomically, and evaluate all of them.

    The moving statistics of batch normalization do not average: they are computed again on Training faces.

    Args:
        members: run folders, of which best.keras is taken, or .keras files; at least two, of one network.
        dataset: with Training and PublicTest rows and the labels of the members.
        out: the file to write.
        report_progress: gets one line of text before each model.

    Raises:
        TrainingError: fewer than two members, other networks, input sizes, labels or resolutions.
        ModelError: a member is not a Keras model. DataError: a split is missing, or the labels differ.
    """
    paths = [model_file(path) for path in members]
    if len(set(paths)) < 2:
        raise TrainingError(f"{len(set(paths))} model to average; name at least two run folders or .keras files")
    if out.resolve() in {path.resolve() for path in paths}:
        raise TrainingError(f"--out {out}: is one of the models to average; name another file")
    mean, metadata = keras_file.load(paths[0]), keras_file.load_metadata(paths[0])
    if metadata is None:
        raise TrainingError(f"{paths[0]}: has no labels; name models of 'trainer train'")
    dataset = label_mapping.match_labels(dataset, metadata.labels)
    rows, sums, metrics = dataset.split(PUBLIC_TEST), None, {}
    for path in paths:
        model, own = keras_file.load(path), keras_file.load_metadata(path)
        if own is None or own.labels != metadata.labels or own.effective_resolution != metadata.effective_resolution:
            raise TrainingError(f"{path}: has other labels or faces of another resolution than {paths[0]}")
        require_same_network(model, path, mean, paths[0])
        report_progress(f"evaluating {path} on {len(rows)} {PUBLIC_TEST} faces")
        metrics[path] = compute_metrics(predict_keras(model, rows, own.effective_resolution), rows)
        weights = [np.asarray(weight, np.float64) for weight in model.get_weights()]
        sums = weights if sums is None else [a + b for a, b in zip(sums, weights, strict=True)]
    assert sums is not None
    mean.set_weights([(total / len(paths)).astype(np.float32) for total in sums])
    report_progress("computing the statistics of batch normalization again")
    faces = statistics_inputs(dataset.split(TRAINING), int(mean.input_shape[1]), metadata.effective_resolution)
    update_statistics(mean, faces)
    with atomic_path(out) as partial:
        keras_file.save(mean, partial, metadata)
    return AverageResult(metrics, compute_metrics(predict_keras(mean, rows, metadata.effective_resolution), rows))


def model_file(path: Path) -> Path:
    """Return the best model of the run folder `path`, or `path` itself, a .keras file."""
    return path / "best.keras" if path.is_dir() else path


def require_same_network(model: Any, path: Path, first: Any, first_path: Path) -> None:
    """Raise TrainingError unless the weights of `model` fit those of `first`, layer by layer."""
    shapes, expected = ([weight.shape for weight in each.get_weights()] for each in (model, first))
    if model.name != first.name or model.input_shape != first.input_shape or shapes != expected:
        raise TrainingError(
            f"{path}: {model.name} with input {model.input_shape}, {first_path}: {first.name} with input "
            f"{first.input_shape}; only weights of the same network have a mean"
        )
