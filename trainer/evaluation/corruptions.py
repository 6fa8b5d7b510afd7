"""Corrupted copies of a data set: the accuracy under the blur, noise, light and box errors of a small camera.

Each corruption changes the stored faces of a split with a fixed seed. Everything after that is the usual evaluation, so
every model gets the same images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.preprocess import resample
from trainer.data.augmentation import NO_AUGMENTATION, affine_matrix
from trainer.data.dataset import Dataset

CORRUPTION_SEED = 0
REFERENCE_SIDE_PIXELS = 48  # the side of a face that a sigma in pixels refers to
JITTER_FRACTION = 0.10  # of the side
ROTATION_DEGREES = 15
LIGHT_FRACTION = 0.25
BLUR_SIGMA_PIXELS = 1.5  # at REFERENCE_SIDE_PIXELS
NOISE_SIGMA_GRAY_LEVELS = 15
LOW_RESOLUTION_PIXELS = 20  # a side

Faces = NDArray[np.uint8]  # (n, side, side[, 3])
Corruption = Callable[[Faces], Faces]


def apply_corruption(dataset: Dataset, corruption: Corruption) -> Dataset:
    """Return `dataset` with its faces changed by `corruption`."""
    return replace(dataset, faces=corruption(dataset.faces))


def jitter(faces: Faces) -> Faces:
    """Shift each face by up to 10 % of its side in both directions and scale it by up to 10 %, as Haar boxes do."""
    ranges = replace(NO_AUGMENTATION, shift=JITTER_FRACTION, zoom=JITTER_FRACTION)
    rng = np.random.default_rng(CORRUPTION_SEED)
    side = faces.shape[1]
    return np.stack([_warp(face, affine_matrix(side, side, ranges, rng), cv2.WARP_INVERSE_MAP) for face in faces])


def rotate(faces: Faces) -> Faces:
    """Rotate the faces by 15 degrees, alternately to the left and to the right."""
    side = faces.shape[1]
    center = ((side - 1) / 2, (side - 1) / 2)
    rotations = [
        np.asarray(cv2.getRotationMatrix2D(center, degrees, 1.0), np.float64)
        for degrees in (ROTATION_DEGREES, -ROTATION_DEGREES)
    ]
    return np.stack([_warp(face, rotations[number % 2]) for number, face in enumerate(faces)])


def darken(faces: Faces) -> Faces:
    """Multiply the light by 0.25, rounded to gray levels as a camera does."""
    return np.stack([np.rint(face * LIGHT_FRACTION).astype(np.uint8) for face in faces])


def blur(faces: Faces) -> Faces:
    """Apply a Gaussian blur of 1.5 px at 48 px: out of focus, or in motion."""
    sigma = BLUR_SIGMA_PIXELS * faces.shape[1] / REFERENCE_SIDE_PIXELS
    return np.stack([cv2.GaussianBlur(face, (0, 0), sigma).astype(np.uint8, copy=False) for face in faces])


def add_noise(faces: Faces) -> Faces:
    """Add Gaussian noise of 15 gray levels: a small sensor in the evening."""
    rng = np.random.default_rng(CORRUPTION_SEED)
    noisy = (np.rint(face + rng.normal(0, NOISE_SIGMA_GRAY_LEVELS, face.shape)) for face in faces)
    return np.stack([np.clip(face, 0, 255).astype(np.uint8) for face in noisy])


def reduce_resolution(faces: Faces, pixels: int = LOW_RESOLUTION_PIXELS) -> Faces:
    """Return the faces with the detail of faces that are `pixels` wide in the camera image, at their own size."""
    side = faces.shape[1]
    return np.stack([resample(face, effective_resolution=min(pixels, side), size=side) for face in faces])


def _warp(face: Faces, matrix: NDArray[np.float64], flags: int = 0) -> Faces:
    """Return `face` (side, side[, 3]) under the affine map `matrix` (2, 3), with its border pixels repeated outside."""
    side = face.shape[0]
    warped = cv2.warpAffine(face, matrix, (side, side), flags=cv2.INTER_LINEAR | flags, borderMode=cv2.BORDER_REPLICATE)
    return warped.astype(np.uint8, copy=False)


# Name, as in reports and in JSON -> corruption.
CORRUPTIONS: Mapping[str, Corruption] = {
    "box jitter 10 %": jitter,
    "rotation 15 degrees": rotate,
    "low light (1/4)": darken,
    "blur (sigma 1.5 px)": blur,
    "noise (sigma 15)": add_noise,
    "low resolution (20 px)": reduce_resolution,
}
