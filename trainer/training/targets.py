"""What a network is asked to say of each training face: its label, softened by teachers, and the votes of FER+."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.errors import TrainingError
from trainer.evaluation.metrics import open_model


def labels(dataset: Dataset) -> NDArray[np.float32]:
    """Return (n, classes): 1 for each face's own label."""
    return np.eye(len(dataset.class_names), dtype=np.float32)[dataset.labels]


def votes(dataset: Dataset) -> NDArray[np.float32]:
    """Return (n, choices): the share of the votes that each choice got; all 0 for a face that nobody voted on.

    Raises TrainingError when the data set has no votes.
    """
    if dataset.ferplus_votes is None:
        raise TrainingError(f"{dataset.source}: no votes to learn from; name FER+'s fer2013new.csv by --ferplus")
    counts = dataset.ferplus_votes.astype(np.float32)
    shares: NDArray[np.float32] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def taught(
    teachers: Sequence[Path], dataset: Dataset, share: float, say: Callable[[str], None] = lambda _: None
) -> NDArray[np.float32]:
    """Return (n, classes) targets: the label for 1 - `share`, what the teachers say together for the rest.

    Each teacher looks once at each face and at its mirror image, before training (Hinton et al. 2015 for the idea; the
    teachers' temperature is 1, as trained with smoothed labels they are soft already).

    Args:
        teachers: run folders, .keras or .tflite files.
        dataset: the Training rows.
        share: 0 to 1.
        say: is told which teacher is at work.

    Raises TrainingError when a teacher has other labels than the data set, ModelError when it is no model.
    """
    targets = labels(dataset)
    if not teachers:
        return targets
    said = np.mean([_say(path, dataset, say) for path in teachers], axis=0)
    mixed: NDArray[np.float32] = ((1 - share) * targets + share * said).astype(np.float32)
    return mixed


def _say(path: Path, dataset: Dataset, say: Callable[[str], None]) -> NDArray[np.float32]:
    teacher = open_model(path / "best.keras" if path.is_dir() else path, dataset)
    if teacher.labels != dataset.class_names:
        raise TrainingError(
            f"{teacher.path}: a teacher of {', '.join(teacher.labels)}; the data set's labels are "
            f"{', '.join(dataset.class_names)}"
        )
    say(f"asking the teacher {teacher.path} about {len(dataset)} faces")
    mirrored = replace(dataset, faces=dataset.faces[:, :, ::-1])
    return (teacher.scores(dataset) + teacher.scores(mirrored)) * np.float32(0.5)
