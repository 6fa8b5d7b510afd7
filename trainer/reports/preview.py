"""What training sees: stored faces beside augmented copies of them, to judge an augmentation by eye before a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.inference.preprocess import resample
from trainer.data.dataset import TRAINING, Dataset
from trainer.reports.plots import enlarged, sheet
from trainer.training.augmentation import Augmentation, augment

LEAST = 96  # pixels a side at which one sees what was done to a face; smaller images are enlarged


def preview(
    dataset: Dataset,
    how: Augmentation,
    size: int,
    seed: int,
    path: Path,
    *,
    rows_per_class: int = 2,
    copies: int = 8,
) -> None:
    """Draw, for some Training faces of each class, the face as validation sees it and augmented copies to `path`.

    The image stores faces of the data set: it may be passed on only where the data set may.

    Args:
        dataset: with Training rows; a class without any is left out.
        how: the augmentation; the copies are drawn by trainer.training.augmentation.augment.
        size: pixels a side of the model's input.
        seed: chooses the faces and draws the copies; the same seed gives the same image.
        path: .png keeps the pixels as they are.
        rows_per_class: faces of each class, at least 1.
        copies: of each face, at least 1.

    Raises:
        DataError: no Training rows. FileError, UsageError: `path` cannot be written, or has an unknown ending.
    """
    training = dataset.split(TRAINING)
    rng = np.random.default_rng(seed)
    images, left = [], []
    for label, name in enumerate(training.class_names):
        for row in rng.permutation(np.flatnonzero(training.labels == label))[:rows_per_class]:
            face = training.faces[row]
            made = [augment(face, size, how, rng) for _ in range(copies)]
            images += [resample(face, detail=training.side, size=size), *made]
            left.append(name)
    title = f"{TRAINING} faces as stored and as training sees them, {size} x {size} px, seed {seed}"
    above = ("stored", *(f"copy {number + 1}" for number in range(copies)))
    sheet([enlarged(p, LEAST) for p in images], path, columns=1 + copies, title=title, left=left, above=above)
