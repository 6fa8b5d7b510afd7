"""Make edge/capture/faces.npz: one face an emotion for the synthetic camera, each the mean of many people's.

usage: python benchmarks/make_synthetic_faces.py fer2013.csv fer2013new.csv

Of each class the 300 Training images are taken on which FER+'s ten annotators agree most, and of these the 40 that
are most like their mean (the frontal, centerd ones), each person once. Their mean is nobody's photo, but soft and mild;
so the expression is exaggerated, as a caricaturist does, by moving away from the mean of all classes, and the edges are
sharpened.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import TRAINING, Dataset
from trainer.data.ferplus import FERPLUS_COLUMNS
from trainer.data.loader import load_dataset

OUT = Path(__file__).parents[1] / "edge" / "capture" / "faces.npz"
AGREED = 300  # images of each class to choose from, those with the most FER+ votes for it
IMAGES = 40  # averaged a class
SAME = 0.85  # correlation from which two images show the same face: the data has many near copies
EXAGGERATION = 2.5  # 1 would be the plain mean
SHARPENING, BLUR = 1.5, 1.5  # share of the detail finer than BLUR pixels that is added once more
# FER+ spells three of the seven classes in another way.
FERPLUS_NAME = {"angry": "anger", "happy": "happiness", "sad": "sadness"}


def main(table: Path, ferplus: Path) -> None:
    training = load_dataset(table, ferplus=ferplus).split(TRAINING)
    means = np.stack([mean_face(agreed(training, name)) for name in training.class_names])
    middle = means.mean(axis=0)
    faces = {
        name: levels(sharpen(middle + EXAGGERATION * (mean - middle)))
        for name, mean in zip(training.class_names, means, strict=True)
    }
    np.savez_compressed(OUT, **faces)  # type: ignore[arg-type]
    print(f"{OUT}: {', '.join(faces)}, {OUT.stat().st_size} bytes")


def agreed(training: Dataset, name: str) -> NDArray[np.float32]:
    """Return (AGREED, side, side) faces of class `name`, each with mean 0 and deviation about 1."""
    assert training.ferplus_votes is not None
    votes = training.ferplus_votes[:, FERPLUS_COLUMNS.index(FERPLUS_NAME.get(name, name))].astype(np.int64)
    votes[training.labels != training.class_names.index(name)] = -1
    rows = np.argsort(-votes, kind="stable")[:AGREED]
    faces = training.faces[rows].astype(np.float32)
    spread = faces.std(axis=(1, 2), keepdims=True) + 1
    even: NDArray[np.float32] = (faces - faces.mean(axis=(1, 2), keepdims=True)) / spread
    return even


def mean_face(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the IMAGES different ones of `faces` (n, side, side) that are most like the mean of all."""
    flat = faces.reshape(len(faces), -1)
    chosen: list[NDArray[np.float32]] = []
    for row in np.argsort(-flat @ flat.mean(axis=0)):
        if all(np.mean(flat[row] * other) < SAME for other in chosen):
            chosen.append(flat[row])
        if len(chosen) == IMAGES:
            break
    mean: NDArray[np.float32] = np.mean(chosen, axis=0).reshape(faces.shape[1:])
    return mean


def sharpen(face: NDArray[np.float32]) -> NDArray[np.float32]:
    sharp: NDArray[np.float32] = face + SHARPENING * (face - cv2.GaussianBlur(face, (0, 0), BLUR))
    return sharp


def levels(face: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return `face` with its gray levels stretched to those of a well lit image."""
    low, high = np.percentile(face, (1, 99))
    gray: NDArray[np.uint8] = np.clip((face - low) / (high - low) * 215 + 20, 0, 255).astype(np.uint8)
    return gray


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
