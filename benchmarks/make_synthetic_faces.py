"""Make edge/capture/faces.npz, the faces of the synthetic camera, from FER2013 and FER+. A maintainer's tool.

It is needed only to change the shipped file. Of each class, the 300 Training images are taken on which FER+'s ten
annotators agree most, and of these the 40 that are most like their mean (frontal and centered), each person once.
Their mean is nobody's photo, but soft and mild; so the expression is exaggerated, as in a caricature, by moving away
from the mean of all classes, and the edges are sharpened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import make_parser
from trainer.data.dataset import Dataset
from trainer.data.ferplus import FERPLUS_COLUMNS
from trainer.data.loader import load_dataset

FACES_FILE = Path(__file__).parents[1] / "edge" / "capture" / "faces.npz"
CANDIDATES = 300  # images of each class with the most FER+ votes for it
AVERAGED = 40  # images of each class
SAME_FACE_CORRELATION = 0.85  # from which two images show the same face: the data has many near copies
EXAGGERATION = 2.5  # 1: the unchanged mean
SHARPENING, SHARPENING_SIGMA = 1.5, 1.5  # weight of the detail finer than the sigma in pixels, which is added again
# FER+ spells three of the seven classes in another way.
FERPLUS_NAMES = {"angry": "anger", "happy": "happiness", "sad": "sadness"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("make_synthetic_faces", __doc__)
    parser.add_argument("data", type=Path, metavar="FER2013_CSV")
    parser.add_argument("ferplus", type=Path, metavar="FERPLUS_CSV", help="fer2013new.csv")
    parser.add_argument("--out", type=Path, default=FACES_FILE, help="default: %(default)s")
    options = parser.parse_args(arguments)
    training = load_dataset(options.data, ferplus=options.ferplus).split("Training")
    means = np.stack([mean_face(candidates(training, name)) for name in training.class_names])
    overall_mean = means.mean(axis=0)
    faces = {}
    for name, mean in zip(training.class_names, means, strict=True):
        exaggerated = overall_mean + EXAGGERATION * (mean - overall_mean)
        detail = exaggerated - cv2.GaussianBlur(exaggerated, (0, 0), SHARPENING_SIGMA)
        faces[name] = stretch_contrast(exaggerated + SHARPENING * detail)
    np.savez_compressed(options.out, **faces)  # type: ignore[arg-type]
    print(f"{options.out}: {', '.join(faces)}, {options.out.stat().st_size} bytes")


def candidates(training: Dataset, name: str) -> NDArray[np.float32]:
    """Return (CANDIDATES, side, side) faces of class `name`, each with mean 0 and standard deviation about 1."""
    assert training.ferplus_votes is not None
    column = FERPLUS_COLUMNS.index(FERPLUS_NAMES.get(name, name))
    votes = training.ferplus_votes[:, column].astype(np.int64)
    votes[training.labels != training.class_names.index(name)] = -1
    rows = np.argsort(-votes, kind="stable")[:CANDIDATES]
    faces = training.faces[rows].astype(np.float32)
    deviation = faces.std(axis=(1, 2), keepdims=True) + 1
    normalized: NDArray[np.float32] = (faces - faces.mean(axis=(1, 2), keepdims=True)) / deviation
    return normalized


def mean_face(faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the AVERAGED different ones of `faces` (n, side, side) that are most like the mean of all."""
    flat = faces.reshape(len(faces), -1)
    chosen: list[NDArray[np.float32]] = []
    for row in np.argsort(-flat @ flat.mean(axis=0)):
        if all(np.mean(flat[row] * other) < SAME_FACE_CORRELATION for other in chosen):
            chosen.append(flat[row])
        if len(chosen) == AVERAGED:
            break
    mean: NDArray[np.float32] = np.mean(chosen, axis=0).reshape(faces.shape[1:])
    return mean


def stretch_contrast(face: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return `face` with its gray levels stretched to those of a well lit image."""
    low, high = np.percentile(face, (1, 99))
    gray: NDArray[np.uint8] = np.clip((face - low) / (high - low) * 215 + 20, 0, 255).astype(np.uint8)
    return gray


if __name__ == "__main__":
    main()
