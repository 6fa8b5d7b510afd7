"""Evaluation of a model on one split: metrics, calibration, corruptions, flip TTA; for the terminal, JSON and HTML."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_CONFIDENCE
from edge.inference import model_file
from edge.inference.preprocess import flip_crop
from edge.inference.prior import TRAINING
from trainer.data import label_mapping
from trainer.data.dataset import FER2013_LABELS, PRIVATE_TEST, PUBLIC_TEST, Dataset
from trainer.evaluation.calibration import coverage_curve, cross_fit, fit_temperature, reliability_diagram
from trainer.evaluation.corruptions import CORRUPTIONS, apply_corruption
from trainer.evaluation.metrics import Metrics, SceneMetrics, compute_metrics
from trainer.evaluation.prediction import open_model


@dataclass(frozen=True, eq=False)
class ModelResult:
    """The predictions of one model for the faces of a split."""

    name: str  # of its file
    probabilities: NDArray[np.float32]  # (n, classes), each row summing to 1, in the row order of the data set
    metrics: Metrics

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) index of the most probable class."""
        predicted: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return predicted


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One or two models on the same faces; the first is the evaluated one, the second what it is compared to."""

    dataset: Dataset  # the rows of the split
    models: tuple[ModelResult, ...]
    min_confidence: float  # below which the first model gives no label, 0 to 1
    corruptions: dict[str, dict[str, Metrics]] = field(default_factory=dict)  # model -> original and corruptions
    ferplus: Metrics | None = None  # of the first model against the majority of FER+'s votes
    flip_tta: Metrics | None = None  # of the first model with flip test-time augmentation
    unseen: Metrics | None = None  # of the first model without the faces that are in Training, too; None: none is
    scenes: SceneMetrics | None = None  # of the device's detection and classification, see trainer.evaluation.scenes
    prior: str = TRAINING  # to which the probabilities are adapted, see edge.inference.prior

    @property
    def model(self) -> ModelResult:
        """The evaluated model."""
        return self.models[0]

    @property
    def compared(self) -> ModelResult | None:
        """The model that it is compared to."""
        return self.models[1] if len(self.models) > 1 else None

    @property
    def agreement(self) -> float:
        """Fraction of the faces for which all models predict the same class, 0 to 1."""
        return float((self.models[-1].predicted == self.model.predicted).mean())

    def calibration_error(self, model: ModelResult) -> float:
        """Return the expected calibration error of `model`, 0 to 1."""
        return reliability_diagram(model.probabilities, self.dataset.labels).expected_calibration_error

    def cross_fitted_error(self, model: ModelResult) -> float:
        """Return the expected calibration error of `model`, each fifth with a temperature fitted on the others."""
        return cross_fit(model.probabilities, self.dataset.labels, self.min_confidence).expected_calibration_error

    @property
    def fitted_temperature(self) -> float:
        """Temperature that would fit the probabilities of the first model best to these faces; 1: they fit already."""
        return fit_temperature(self.model.probabilities, self.dataset.labels)

    def coverage(self, model: ModelResult) -> tuple[float, float]:
        """Return coverage and selective accuracy of `model` at `min_confidence`."""
        return coverage_curve(model.probabilities, self.dataset.labels).at(self.min_confidence)

    def as_json(self) -> dict[str, Any]:
        """Return JSON values: those of Metrics.as_json for the first model, and what else was measured.

        Always there are prior, expected_calibration_error, cross_fitted_calibration_error, fitted_temperature,
        min_confidence, coverage and selective_accuracy. scenes, corruptions, ferplus_majority, flip_tta, compare_to and
        unseen are there only where they were measured.
        """
        coverage, selective_accuracy = self.coverage(self.model)
        values = self.model.metrics.as_json() | {
            "prior": self.prior,
            "expected_calibration_error": self.calibration_error(self.model),
            "cross_fitted_calibration_error": self.cross_fitted_error(self.model),
            "fitted_temperature": self.fitted_temperature,
            "min_confidence": self.min_confidence,
            "coverage": coverage,
            "selective_accuracy": selective_accuracy,
        }
        if self.scenes:
            values["scenes"] = self.scenes.as_json()
        if self.corruptions:
            values["corruptions"] = {
                model: {name: _summary(metrics) for name, metrics in by_name.items()}
                for model, by_name in self.corruptions.items()
            }
        if self.ferplus:
            values["ferplus_majority"] = self.ferplus.as_json()
        if self.flip_tta:
            values["flip_tta"] = _summary(self.flip_tta)
        if self.unseen:
            values["unseen"] = {"n": self.unseen.n, **_summary(self.unseen)}
        if self.compared:
            values["compare_to"] = {"model": self.compared.name, **self.compared.metrics.as_json()}
        return values


def _summary(metrics: Metrics) -> dict[str, float]:
    return {"accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1}


def evaluate(
    path: Path,
    dataset: Dataset,
    split: str,
    *,
    compare_to: Path | None = None,
    corruptions: bool = False,
    tta: bool = False,
    report_progress: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Evaluate the model in the file `path`, and the one in `compare_to` on the same faces.

    Args:
        path: a .keras file, or a .tflite file, which is run as the device runs it.
        dataset: with rows of `split` and all or some of the model's labels. With FER+'s votes a model of FER2013's
            labels is also evaluated against their majority, if a face has one.
        split: one of trainer.data.dataset.SPLITS, or ALL.
        compare_to: a second model with the same labels, in any order, for example the float model of an int8 one.
        corruptions: evaluate both models also on corrupted faces, see trainer.evaluation.corruptions.
        tta: evaluate the first model also with flip test-time augmentation, which the device uses for tracked faces.
        report_progress: gets one line of text before each model.

    Raises:
        ModelError: a file is not a model. DataError: the labels do not match, or the data set lacks the split.
    """
    first = open_model(path, dataset)
    matched = label_mapping.match_labels(dataset, first.labels, some=True)
    rows = matched.split(split)
    models = [first]
    if compare_to:
        models.append(open_model(compare_to, rows).in_order(first.labels))
    names = [model.path.name for model in models]
    if len(set(names)) < len(names):
        names = [str(model.path) for model in models]
    results, by_model = [], {}
    for name, model in zip(names, models, strict=True):
        report_progress(f"evaluating {name} on {len(rows)} {split} faces")
        probabilities = model.predict(rows)
        results.append(ModelResult(name, probabilities, compute_metrics(probabilities, rows)))
        if corruptions:
            by_model[name] = {"original": results[-1].metrics} | {
                key: model.evaluate(apply_corruption(rows, corruption)) for key, corruption in CORRUPTIONS.items()
            }
    flip_tta = ferplus = unseen = None
    if split in (PUBLIC_TEST, PRIVATE_TEST):
        seen = matched.seen_faces()[matched.splits == split]
        if seen.any() and not seen.all():
            unseen = compute_metrics(results[0].probabilities[~seen], rows.take(np.flatnonzero(~seen)))
    if tta:
        flipped = apply_corruption(rows, lambda faces: np.stack([flip_crop(face) for face in faces]))
        mean = (results[0].probabilities + first.predict(flipped)) / 2
        flip_tta = compute_metrics(mean.astype(np.float32), rows)
    if dataset.ferplus_votes is not None and first.labels == dataset.class_names == FER2013_LABELS:
        voted = label_mapping.ferplus_majority_as_fer2013(dataset.split(split))
        ferplus = first.evaluate(voted) if len(voted) else None
    min_confidence = model_file.load(path)[1].min_confidence if path.suffix == ".tflite" else MIN_CONFIDENCE
    return Evaluation(rows, tuple(results), min_confidence, by_model, ferplus, flip_tta, unseen=unseen)


def describe_model(path: Path) -> dict[str, str]:
    """Return name -> value, as text for people, of the model file at `path`: size, checksum, and its card if any."""
    content = path.read_bytes()
    description = {"file": path.name, "bytes": f"{len(content):,}", "SHA-256": hashlib.sha256(content).hexdigest()}
    if path.suffix != ".tflite":
        return description
    card = model_file.load(path)[1]
    return description | {
        "name": card.name,
        "labels": ", ".join(card.labels),
        "input": f"{card.input_size} x {card.input_size} {card.color} pixels, uint8",
        "effective resolution": f"{card.effective_resolution} pixels a side; larger faces are first downscaled to this",
        "crop padding": f"{card.crop_padding:.0%} of the face box on each side",
        "temperature": f"{card.temperature:.3f}",
        "min. confidence": f"{card.min_confidence:.0%}; below it a face is uncertain",
        "training data": card.data,
        "version": card.version,
    }
