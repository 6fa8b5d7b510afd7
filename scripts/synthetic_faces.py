"""Make edge/cameras/faces.npz: one face an emotion for the synthetic camera, each the mean of many FER2013 faces.

usage: python scripts/synthetic_faces.py fer2013.csv

A mean of dozens of people is nobody's photo. Of each class the Training pictures that are most like the class mean are
averaged (they are the frontal, centred ones), and the mean's grey levels are stretched to those of a single picture.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.fer2013 import TRAINING, Dataset, read

OUT = Path(__file__).parents[1] / "edge" / "cameras" / "faces.npz"
PICTURES = 60  # averaged a class: fewer look sharper, more are safer from resembling anybody


def mean_face(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the (side, side) uint8 mean of the PICTURES faces of (n, side, side) that are most like their mean."""
    flat = faces.reshape(len(faces), -1).astype(np.float32)
    flat = (flat - flat.mean(axis=1, keepdims=True)) / (flat.std(axis=1, keepdims=True) + 1)
    likeness = flat @ flat.mean(axis=0)
    mean = flat[np.argsort(likeness)[-PICTURES:]].mean(axis=0).reshape(faces.shape[1:])
    low, high = np.percentile(mean, (1, 99))
    face: NDArray[np.uint8] = np.clip((mean - low) / (high - low) * 215 + 20, 0, 255).astype(np.uint8)
    return face


def main(path: Path) -> None:
    training: Dataset = read(path).split(TRAINING)
    faces = {name: mean_face(training.faces[training.labels == i]) for i, name in enumerate(training.names)}
    np.savez_compressed(OUT, **faces)  # type: ignore[arg-type]
    print(f"{OUT}: {', '.join(faces)}, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
