"""Preview of the augmentation: Training faces next to augmented copies, to check its settings before a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.inference.preprocess import resample
from trainer.data.augmentation import Augmentation, augment
from trainer.data.dataset import TRAINING, Dataset
from trainer.reports import plots

MIN_IMAGE_PIXELS = 96  # a side; smaller images are enlarged


def write_preview(
    dataset: Dataset,
    augmentation: Augmentation,
    size: int,
    seed: int,
    path: Path,
    *,
    rows_per_class: int = 2,
    copies: int = 8,
) -> None:
    """Write, for some Training faces of each class, the face without augmentation and augmented copies to `path`.

    The image contains faces of the data set: it may be shared only where the data set may.

    Args:
        dataset: with Training rows; a class without any is left out.
        augmentation: the ranges that trainer.data.augmentation.augment draws from.
        size: pixels a side of the input of the model.
        seed: selects the faces and their augmentation; the same seed gives the same image.
        path: with the suffix .png the pixels are stored without loss.
        rows_per_class: faces per class, at least 1.
        copies: per face, at least 1.

    Raises:
        DataError: no Training rows. FileError: `path` cannot be written. UsageError: its format is unknown.
    """
    training = dataset.split(TRAINING)
    rng = np.random.default_rng(seed)
    images, row_names = [], []
    for label, name in enumerate(training.class_names):
        for row in rng.permutation(np.flatnonzero(training.labels == label))[:rows_per_class]:
            face = training.faces[row]
            augmented = [augment(face, size, augmentation, rng) for _ in range(copies)]
            images += [resample(face, effective_resolution=training.side, size=size), *augmented]
            row_names.append(name)
    sheet = plots.contact_sheet(
        [plots.enlarge(image, MIN_IMAGE_PIXELS) for image in images],
        columns=1 + copies,
        title=f"{TRAINING} faces, original and augmented, {size} x {size} px, seed {seed}",
        left=row_names,
        above=("original", *(f"copy {number + 1}" for number in range(copies))),
    )
    plots.save(sheet, path)
