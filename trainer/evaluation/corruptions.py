"""What is left of the accuracy when a Pi's camera and Haar's boxes are not as kind as FER2013's images.

Each condition changes the stored faces of a split, from one fixed seed, and everything after that is as always: two
models are shown the very same images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.preprocess import resample
from trainer.data.fer2013 import Dataset
from trainer.training.augmentation import OFF, Augmentation, affine

SEED = 0
Faces = NDArray[np.uint8]  # (n, side, side)


def conditions() -> dict[str, Callable[[Faces], Faces]]:
    """Return name -> change of all faces at once. Sizes are shares of the side, or pixels of a 48 px face."""
    return {
        "as it is": lambda faces: faces,
        "box jitter 10 %": jitter,
        "turned 15 degrees": turn,
        "dark (1/4 light)": dim,
        "blurred (sigma 1.5 px)": blur,
        "noisy (sigma 15)": noise,
        "20 px faces": lambda faces: shrink(faces, 20),
    }


def under(dataset: Dataset, change: Callable[[Faces], Faces]) -> Dataset:
    """Return `dataset` with its faces changed."""
    return replace(dataset, faces=change(dataset.faces))


def jitter(faces: Faces) -> Faces:
    """Shift each face by up to 10 % of its side in both directions and scale it by up to 10 %, as Haar's boxes do."""
    return _moved(faces, replace(OFF, shift=0.10, zoom=0.10))


def turn(faces: Faces) -> Faces:
    """Turn every other face by 15 degrees to the left, the others to the right."""
    side = faces.shape[1]
    center = ((side - 1) / 2, (side - 1) / 2)
    turns = [cv2.getRotationMatrix2D(center, angle, 1.0) for angle in (15, -15)]
    return np.stack([_warp(face, turns[number % 2]) for number, face in enumerate(faces)])


def dim(faces: Faces) -> Faces:
    """Take three quarters of the light away; what is left is rounded to whole gray levels, as in a camera."""
    left: Faces = np.rint(faces * 0.25).astype(np.uint8)
    return left


def blur(faces: Faces) -> Faces:
    """Blur by a Gaussian of 1.5 px at 48 px: out of focus, or moving."""
    sigma = 1.5 * faces.shape[1] / 48
    return np.stack([cv2.GaussianBlur(face, (0, 0), sigma).astype(np.uint8, copy=False) for face in faces])


def noise(faces: Faces) -> Faces:
    """Add Gaussian noise of 15 gray levels: a small sensor in the evening."""
    grain = np.random.default_rng(SEED).normal(0, 15, faces.shape)
    return np.clip(np.rint(faces + grain), 0, 255).astype(np.uint8)


def shrink(faces: Faces, side: int) -> Faces:
    """Return the faces as if they had been `side` pixels wide in the image, at their old size."""
    own = faces.shape[1]
    return np.stack([resample(face, detail=min(side, own), size=own) for face in faces])


def _moved(faces: Faces, how: Augmentation) -> Faces:
    rng = np.random.default_rng(SEED)
    side = faces.shape[1]
    return np.stack([_warp(face, affine(side, side, how, rng), cv2.WARP_INVERSE_MAP) for face in faces])


def _warp(face: Faces, matrix: Any, flags: int = 0) -> Faces:
    size = face.shape[::-1]
    moved = cv2.warpAffine(face, matrix, size, flags=cv2.INTER_LINEAR | flags, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.uint8, copy=False)
