"""All that is measured of a model on one split: for the terminal, for JSON and for the report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference import model_file as cards
from edge.inference.preprocess import flip_crop
from trainer.data import label_mapping
from trainer.data.dataset import FER2013_LABELS, Dataset
from trainer.evaluation import corruptions as robustness
from trainer.evaluation.calibration import Reliability, coverage, reliability
from trainer.evaluation.metrics import Result, Subject, measure, open_model
from trainer.quantization.quantize import UNSURE
from trainer.reports.html_report import Measured


@dataclass(frozen=True, eq=False)
class Judged:
    """One or two models on the same faces; the first is the one that was asked for."""

    rows: Dataset
    models: tuple[Measured, ...]
    unsure: float  # confidence below which the first gives no label
    robustness: dict[str, dict[str, Result]]  # model -> condition -> result; empty where it was not asked for
    ferplus: Result | None  # of the first against what most of FER+'s voters said
    two_looks: Result | None = None  # of the first, the mean of two looks at each face

    @property
    def result(self) -> Result:
        return self.models[0].result

    @property
    def reliability(self) -> Reliability:
        """How the confidence of the first and its accuracy go together."""
        return reliability(self.models[0].scores, self.rows.labels)

    @property
    def answered(self) -> tuple[float, float]:
        """Share of the faces that the first is sure of, and share of those that it names right."""
        return coverage(self.models[0].scores, self.rows.labels).at(self.unsure)

    def as_json(self) -> dict[str, Any]:
        """Return plain values: those of Result.as_json and calibration_error, unsure, robustness, ferplus, beside."""
        covered, accuracy = self.answered
        values = self.result.as_json()
        values["calibration_error"] = self.reliability.error
        values["unsure"] = {"threshold": self.unsure, "covered": covered, "accuracy_covered": accuracy}
        if self.robustness:
            values["robustness"] = {
                model: {name: {"accuracy": r.accuracy, "macro_f1": r.macro_f1} for name, r in results.items()}
                for model, results in self.robustness.items()
            }
        if self.ferplus:
            values["ferplus_majority"] = self.ferplus.as_json()
        if self.two_looks:
            values["two_looks"] = {"accuracy": self.two_looks.accuracy, "macro_f1": self.two_looks.macro_f1}
        if len(self.models) > 1:
            values["beside"] = {"model": self.models[1].name, **self.models[1].result.as_json()}
        return values


def judge(
    path: Path,
    dataset: Dataset,
    split: str,
    *,
    beside: Path | None = None,
    robust: bool = False,
    two_looks: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Judged:
    """Measure the model in the file `path`, and `beside` on the same faces.

    Args:
        path: a .keras file, or a .tflite file, which is run as the device runs it.
        dataset: with rows of `split`; with FER+'s votes the model is also held against their majority.
        split: one of fer2013.SPLITS.
        beside: a second model with the same labels, as the float one that an int8 one came from.
        robust: measure each also on corrupted faces, see trainer.evaluation.corruptions.
        two_looks: measure the first also by the mean of two looks at each face, as a device has of one that stays.
        say: is told what is being measured.

    Raises ModelError when a file is no model, DataError when labels do not fit or the split is missing.
    """
    first = open_model(path, dataset)
    rows = label_mapping.match_labels(dataset, first.labels).split(split)
    subjects = [first, *([open_model(beside, rows)] if beside else [])]
    for subject in subjects[1:]:
        label_mapping.match_labels(rows, subject.labels)
    models, corrupted = [], {}
    for name, subject in zip(_names(subjects), subjects, strict=True):
        say(f"measuring {name} on {len(rows)} {split} faces")
        scores = subject.scores(rows)
        models.append(Measured(name, measure(scores, rows), scores))
        if robust:
            corrupted[name] = _robustness(subject, rows, models[-1].result)
    unsure = cards.load(path)[1].unsure if path.suffix == ".tflite" else UNSURE
    both = _two_looks(first, rows, models[0].scores) if two_looks else None
    return Judged(rows, tuple(models), unsure, corrupted, _ferplus(first, dataset, split), both)


def _names(subjects: Sequence[Subject]) -> list[str]:
    """Return the names of the files, with their folders where the names are the same."""
    names = [subject.path.name for subject in subjects]
    return names if len(set(names)) == len(names) else [str(subject.path) for subject in subjects]


def _robustness(subject: Subject, rows: Dataset, as_it_is: Result) -> dict[str, Result]:
    found = {}
    for name, change in robustness.conditions().items():
        corrupted = robustness.under(rows, change)
        found[name] = as_it_is if corrupted.faces is rows.faces else measure(subject.scores(corrupted), corrupted)
    return found


def _two_looks(subject: Subject, rows: Dataset, first: NDArray[np.float32]) -> Result:
    """Return the result of two looks; `first` (n, labels) is what the first said."""
    again = subject.scores(robustness.under(rows, lambda faces: np.stack([flip_crop(face) for face in faces])))
    return measure(((first + again) / 2).astype(np.float32), rows)


def _ferplus(subject: Subject, dataset: Dataset, split: str) -> Result | None:
    """Return the result against FER+'s majority, for a model of FER2013's seven labels where there are votes."""
    if dataset.ferplus_votes is None or subject.labels != FER2013_LABELS or dataset.class_names != FER2013_LABELS:
        return None
    rows = label_mapping.ferplus_majority_as_fer2013(dataset.split(split))
    return measure(subject.scores(rows), rows)


def facts(path: Path) -> dict[str, str]:
    """Return what the model file at `path` says of itself, for people."""
    content = path.read_bytes()
    about = {"file": path.name, "bytes": f"{len(content):,}", "SHA-256": hashlib.sha256(content).hexdigest()}
    if path.suffix != ".tflite":
        return about
    card = cards.load(path)[1]
    return about | {
        "name": card.name,
        "labels": ", ".join(card.labels),
        "input": f"{card.input_size} x {card.input_size} gray pixels, uint8",
        "detail": f"{card.effective_resolution} pixels a side; larger faces are first shrunk to this",
        "margin": f"{card.crop_padding:.0%} of the face box added on each side",
        "temperature": f"{card.temperature:.3f}",
        "unsure": f"below {card.min_confidence:.0%}",
        "trained on": card.data,
        "version": card.version,
    }
