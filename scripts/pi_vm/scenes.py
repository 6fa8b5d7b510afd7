"""What the emulated board's counts and comparisons are made on: images of the synthetic camera with sensor noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge.capture.synthetic import SyntheticScene
from edge.types import Box

Image = NDArray[np.uint8]  # (480, 640) gray

NOISE = 4.0  # standard deviation, gray levels
NOISE_FIELDS = 8  # different images of noise, each of them shifted at random for each frame
CALM_SIDE = 200  # pixels of the face in `calm` and `talking`
SYLLABLES_PER_SECOND = 4.0  # of `talking`: as many as fluent speech has

_room = SyntheticScene(face_count=1)


def nobody(seconds: float) -> Image:  # noqa: ARG001 (every scene has it)
    """Return the image of the empty room."""
    return _room.draw()


def calm(seconds: float) -> Image:
    """Return a neutral face that sways by 3 pixels to each side, as a person who stands and looks."""
    return _room.draw(("neutral", _calm_box(seconds)))


def talking(seconds: float) -> Image:
    """Return the face of `calm` with a mouth that opens and closes: below the nose it fades to the surprised face.

    That changes more than lips do: it is meant as an upper bound of what talking costs.
    """
    box = _calm_box(seconds)
    closed, opened = (_room.draw((emotion, box)) for emotion in ("neutral", "surprise"))
    openness = math.sin(math.pi * SYLLABLES_PER_SECOND * seconds) ** 2
    rows = (np.arange(_room.height) - box.y) / box.height  # 0 at the top of the face, 1 at the chin
    mouth = np.clip((rows - 0.6) / 0.08, 0, 1)[:, np.newaxis] * openness
    return (closed + mouth * (opened.astype(np.float32) - closed)).round().astype(np.uint8)


def _calm_box(seconds: float) -> Box:
    x = _room.width / 2 - CALM_SIDE / 2 + 3 * math.sin(2 * math.pi * seconds / 4)
    y = _room.height / 2 - CALM_SIDE / 2 + 2 * math.sin(2 * math.pi * seconds / 3)
    return Box(round(x), round(y), CALM_SIDE, CALM_SIDE)


# Name -> seconds -> image without noise. The last three are the synthetic camera's own: its faces move all over the
# image, grow, shrink, and show another emotion every 3 s.
SCENES: dict[str, Callable[[float], Image]] = {
    "nobody": nobody,
    "calm": calm,
    "talking": talking,
    "one_face": SyntheticScene(face_count=1).image,
    "two_faces": SyntheticScene(face_count=2).image,
    "four_faces": SyntheticScene(face_count=4).image,
}


def draw(scene: str, fps: float, frames: int) -> list[Image]:
    """Return the first `frames` images of `scene` at `fps` frames per second, with noise: the same in each call."""
    rng = np.random.default_rng(1)
    shape = _room.height, _room.width
    fields = [rng.normal(0, NOISE, shape).round().astype(np.int16) for _ in range(NOISE_FIELDS)]
    images = []
    for index in range(frames):
        shift = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        noise = np.roll(fields[index % NOISE_FIELDS], shift, axis=(0, 1))
        images.append(np.clip(SCENES[scene](index / fps) + noise, 0, 255).astype(np.uint8))
    return images
