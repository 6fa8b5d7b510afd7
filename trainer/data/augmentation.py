"""Augmentation of training faces: camera degradations, an affine map as of a detector's box, lighting, random erasing.

One affine map takes a stored face straight to the model's input size, so the image is interpolated once, as it is in
validation; a larger face is averaged over areas before, as there. Its ranges follow Haar's boxes on FER2013-like
images: a side of 0.71 to 1.16 of the face's (5 % to 95 %) and a center off by 10 %. The degradations follow light,
lens and sensor of a small camera: without them accuracy fell from 69 % to 35 % on blurred, 42 % on tiny, 44 % on noisy
and 55 % on dark faces (`trainer evaluate --corruptions`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.settings import SettingSpec
from edge.errors import SettingsError
from edge.inference.preprocess import resample


def _range(default: Any, help_: str, unit: str = "", *, high: float | None = None) -> Any:
    """Return a dataclass field whose values are 0 to `high`, in `unit`; without `high` it is true or false."""
    low = None if high is None else 0
    return field(default=default, metadata={"spec": SettingSpec(help_, low=low, high=high, unit=unit)})


@dataclass(frozen=True)
class Augmentation:
    """Ranges and probabilities of the augmentation; with all of them 0 and no flip a face is only resized.

    Raises SettingsError naming the one that is out of range.
    """

    flip: bool = _range(True, "Flip horizontally, with probability 0.5.")
    rotate: float = _range(12.0, "Rotation, to either side.", "degrees", high=180)
    shear: float = _range(  # 0 until it is measured to pay
        0.0, "Shear: how far vertical lines lean, to either side.", "degrees", high=60
    )
    shift: float = _range(0.10, "Shift in each direction, as a fraction of the side.", high=1)
    zoom: float = _range(0.15, "Zoom in and out, as a fraction of the side.", high=0.9)
    contrast: float = _range(0.25, "Change of the contrast, as a fraction, up and down.", high=1)
    brightness: float = _range(30.0, "Change of the brightness, up and down.", "gray levels", high=255)
    blur: float = _range(0.25, "Probability of a Gaussian blur or of a lower resolution.", high=1)
    darken: float = _range(0.2, "Probability that 20 % to 85 % of the light is lost.", high=1)
    noise: float = _range(0.25, "Probability of Gaussian noise with a sigma of up to 20 gray levels.", high=1)
    erase: float = _range(  # Zhong et al. 2017
        0.25, "Probability that a rectangle of 4 % to 16 % of the area becomes flat gray.", high=1
    )

    def __post_init__(self) -> None:
        for name, spec in augmentation_specs().items():
            if not spec.is_valid(value := getattr(self, name)):
                raise SettingsError(f"augmentation: {name} is {value}, expected {spec.expected}")


def augmentation_specs() -> dict[str, SettingSpec]:
    """Return the specification of each field of Augmentation, by its name."""
    return {each.name: each.metadata["spec"] for each in fields(Augmentation)}


NO_AUGMENTATION = Augmentation(
    flip=False, rotate=0, shear=0, shift=0, zoom=0, contrast=0, brightness=0, blur=0, darken=0, noise=0, erase=0
)


def augment(face: NDArray[np.uint8], size: int, ranges: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an augmented copy, (size, size[, 3]) uint8, of `face` (side, side[, 3]), drawn by `rng`."""
    face = corrupt(face, ranges, rng)
    if face.shape[0] > size:  # the affine map takes pixels here and there: the detail between them would be noise
        face = resample(face, effective_resolution=size, size=size)
    moved = cv2.warpAffine(
        face,
        affine_matrix(face.shape[0], size, ranges, rng),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8, copy=False)
    return erase_rectangle(adjust_lighting(moved, ranges, rng), ranges, rng)


def affine_matrix(side: int, size: int, ranges: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the (2, 3) map from pixels of the (size, size) result to pixels of the (side, side) face.

    Pixel i covers i - 0.5 to i + 0.5, as in cv2.resize, so that without augmentation the face is only resized.
    """
    angle = np.deg2rad(rng.uniform(-ranges.rotate, ranges.rotate))
    scale = side / size * (1 + rng.uniform(-ranges.zoom, ranges.zoom))
    mirror = -1.0 if ranges.flip and rng.random() < 0.5 else 1.0
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    if ranges.shear:  # without it no number is drawn: the images of a seed stay what they were
        linear = linear @ [[1, np.tan(np.deg2rad(rng.uniform(-ranges.shear, ranges.shear)))], [0, 1]]
    center = (side - 1) / 2 + rng.uniform(-ranges.shift, ranges.shift, 2) * side
    return np.column_stack([linear, center - linear @ np.full(2, (size - 1) / 2)])


def corrupt(face: NDArray[np.uint8], ranges: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return `face` (side, side[, 3]) with camera degradations: blur, darkness and noise, each with its probability.

    Blur is a Gaussian of up to 2 px of a side of 48, or a resolution of 16 to 40 of 48.
    """
    blurred, darkened, noisy = rng.random(3) < (ranges.blur, ranges.darken, ranges.noise)
    side = face.shape[0]
    if blurred and rng.random() < 0.5:
        sigma = rng.uniform(0.4, 2.0) * side / 48
        face = cv2.GaussianBlur(face, (0, 0), sigma).astype(np.uint8, copy=False)
    elif blurred:
        resolution = max(1, round(rng.uniform(16, 40) * side / 48))
        face = resample(face, effective_resolution=resolution, size=side)
    if not darkened and not noisy:
        return face
    light = rng.uniform(0.15, 0.8) if darkened else 1.0
    noise = rng.normal(0, rng.uniform(3, 20), face.shape) if noisy else 0.0
    levels: NDArray[Any] = face * light + noise
    corrupted: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return corrupted


def adjust_lighting(face: NDArray[np.uint8], ranges: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return `face` with another contrast and brightness, clipped to 0 to 255."""
    gain = 1 + rng.uniform(-ranges.contrast, ranges.contrast)
    mean = cv2.mean(face)[0] if face.ndim == 2 else face.mean()
    levels = (np.arange(256) - mean) * gain + mean + rng.uniform(-ranges.brightness, ranges.brightness)
    return cv2.LUT(face, np.clip(np.rint(levels), 0, 255).astype(np.uint8)).astype(np.uint8, copy=False)


def erase_rectangle(face: NDArray[np.uint8], ranges: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return `face`, changed in place with probability `ranges.erase`: a rectangle gets one random gray level."""
    if rng.random() >= ranges.erase:
        return face
    size = face.shape[0]
    area, aspect = rng.uniform(0.04, 0.16), np.exp(rng.uniform(-0.7, 0.7))
    height, width = (max(1, int(size * np.sqrt(x))) for x in (area * aspect, area / aspect))
    top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
    face[top : top + height, left : left + width] = rng.integers(0, 256)
    return face
