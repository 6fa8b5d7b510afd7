"""Training images made anew each epoch: some spoiled as small cameras do, then moved as Haar's boxes do, and re-lit.

One affine map takes a stored face straight to the model's input size, so the image is interpolated once, as it is for
validation. Its ranges imitate what Haar boxes do on FER2013-like images: a side of 0.71 to 1.16 of the face's
(5 % to 95 %) and a center off by 10 %. What comes before it imitates light, lens and sensor: without it the first model
fell from 69 % to 35 % on blurred, 42 % on tiny, 44 % on noisy and 55 % on dark faces (`trainer evaluate --robust`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.preprocess import resample


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be changed; 0 everywhere (and no flip) leaves it as it is."""

    flip: bool = True  # mirrored, every other time
    rotate: float = 12.0  # degrees, to either side
    shift: float = 0.10  # of the side, in each direction
    zoom: float = 0.15  # of the side, in and out
    contrast: float = 0.25  # share, up and down, around the image's own mean
    brightness: float = 30.0  # gray levels of 0 to 255, up and down
    soften: float = 0.25  # chance of a blur or of a loss of pixels, as out of focus, in motion or far away
    dim: float = 0.2  # chance that 20 % to 85 % of the light is gone
    noise: float = 0.25  # chance of a sensor's noise, of up to 20 gray levels
    erase: float = 0.25  # chance that a rectangle of 4 % to 16 % of the image becomes flat gray (Zhong et al. 2017)


OFF = Augmentation(flip=False, rotate=0, shift=0, zoom=0, contrast=0, brightness=0, soften=0, dim=0, noise=0, erase=0)


def augment(face: NDArray[np.uint8], size: int, how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one changed copy, (size, size) uint8, of `face` (side, side), drawn by `rng`."""
    moved = cv2.warpAffine(
        spoil(face, how, rng),
        affine(face.shape[0], size, how, rng),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8, copy=False)
    return erase(relight(moved, how, rng), how, rng)


def affine(side: int, size: int, how: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the (2, 3) map from pixels of the (size, size) result to pixels of the (side, side) face.

    Pixel i covers i - 0.5 to i + 0.5, as in cv2.resize, so that with everything off the face is just enlarged.
    """
    angle = np.deg2rad(rng.uniform(-how.rotate, how.rotate))
    scale = side / size * (1 + rng.uniform(-how.zoom, how.zoom))
    mirror = -1.0 if how.flip and rng.random() < 0.5 else 1.0
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    turn = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    center = (side - 1) / 2 + rng.uniform(-how.shift, how.shift, 2) * side
    return np.column_stack([turn, center - turn @ np.full(2, (size - 1) / 2)])


def spoil(face: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return `face` (side, side) as a poor lens, little light and a noisy sensor would give it, each at its chance."""
    softened, dimmed, noisy = rng.random(3) < (how.soften, how.dim, how.noise)
    if softened:
        face = soften(face, rng)
    if not dimmed and not noisy:
        return face
    light = rng.uniform(0.15, 0.8) if dimmed else 1.0
    grain = rng.normal(0, rng.uniform(3, 20), face.shape) if noisy else 0.0
    levels: NDArray[Any] = face * light + grain
    corrupted: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return corrupted


def soften(face: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return `face` without its fine detail: blurred by up to 2 px of 48, or from 16 to 40 px of 48."""
    side = face.shape[0]
    if rng.random() < 0.5:
        sigma = rng.uniform(0.4, 2.0) * side / 48
        return cv2.GaussianBlur(face, (0, 0), sigma).astype(np.uint8, copy=False)
    return resample(face, detail=max(1, round(rng.uniform(16, 40) * side / 48)), size=side)


def relight(face: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return `face` with another contrast and brightness, cut off at 0 and 255."""
    gain = 1 + rng.uniform(-how.contrast, how.contrast)
    mean = cv2.mean(face)[0]
    levels = (np.arange(256) - mean) * gain + mean + rng.uniform(-how.brightness, how.brightness)
    return cv2.LUT(face, np.clip(np.rint(levels), 0, 255).astype(np.uint8)).astype(np.uint8, copy=False)


def erase(face: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return `face` with, at the chance `how.erase`, one rectangle of a flat random gray."""
    if rng.random() >= how.erase:
        return face
    size = face.shape[0]
    area, aspect = rng.uniform(0.04, 0.16), np.exp(rng.uniform(-0.7, 0.7))
    high, wide = (max(1, int(size * np.sqrt(x))) for x in (area * aspect, area / aspect))
    top, left = rng.integers(0, size - high + 1), rng.integers(0, size - wide + 1)
    face[top : top + high, left : left + wide] = rng.integers(0, 256)
    return face
