"""A built-in camera that needs no hardware: faces that are nobody's, on a known timetable.

Argument: comma-separated, all optional: `fast` (as quickly as asked for, instead of in real time), `faces=N` (1 to 8),
`size=WIDTHxHEIGHT`, `fps=N`.

Each face shows one emotion after the other for 3 s, wandering, growing and shrinking; then it leaves the image for a
while and comes back. The faces are caricatured means of 40 FER2013 images each, made by benchmarks/make_synthetic_faces.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.types import Box, Frame

EMOTION_SECONDS = 3.0
AWAY_SECONDS = 3.0  # one to go, one out of sight, one to come back


@dataclass(frozen=True, slots=True)
class Actor:
    """What is true of one face at one moment."""

    box: Box  # pixels; may lie partly or wholly outside the image
    emotion: str
    visible: bool  # wholly inside the image


class Stage:
    """Draws the faces of any moment, and tells where they are.

    Args:
        width, height: of the image in pixels.
        faces: how many people, 1 to 8.
    """

    def __init__(self, width: int = 640, height: int = 480, faces: int = 1) -> None:
        self.width, self.height, self.faces = width, height, faces
        with np.load(Path(__file__).with_name("faces.npz")) as data:
            self._faces: dict[str, NDArray[np.uint8]] = {name: data[name] for name in data.files}
        self.emotions = tuple(self._faces)
        self.period = EMOTION_SECONDS * len(self.emotions) + AWAY_SECONDS  # seconds until everything comes again
        self._columns = 1 if faces == 1 else math.ceil(faces / (1 if faces <= 3 else 2))
        self._rows = math.ceil(faces / self._columns)
        self._background = _background(width, height)
        self._mask = _mask(self._faces[self.emotions[0]].shape[0])

    def actors(self, seconds: float) -> tuple[Actor, ...]:
        """Return what is true at `seconds` from the start, one Actor a face, in the same order each time."""
        return tuple(self._actor(number, seconds) for number in range(self.faces))

    def image(self, seconds: float) -> NDArray[np.uint8]:
        """Return the (height, width) uint8 image of the moment `seconds`."""
        image = self._background.copy()
        for actor in self.actors(seconds):
            _paste(image, self._faces[actor.emotion], self._mask, actor.box)
        return image

    def _actor(self, number: int, seconds: float) -> Actor:
        # Several faces show different emotions, and do not leave together.
        shown = len(self.emotions)
        now = (seconds + number * self.period / self.faces) % self.period
        emotion = self.emotions[min(int(now / EMOTION_SECONDS), shown - 1)]
        wide, high = self.width / self._columns, self.height / self._rows
        room = min(wide, high)
        side = room * (0.36 + 0.16 * math.sin(2 * math.pi * now * 2 / self.period))
        x = (number % self._columns + 0.5) * wide + 0.5 * (wide - room * 0.6) * math.sin(
            2 * math.pi * now * 3 / self.period
        )
        row = number // self._columns
        y = (row + 0.5) * high + 0.18 * high * math.sin(2 * math.pi * now * 5 / self.period)
        # The upper row leaves over the upper edge, the lower (or only) one over the lower edge.
        out = -side if row < self._rows - 1 else self.height + side
        away = _away(now - EMOTION_SECONDS * shown)
        box = Box(round(x - side / 2), round(y + (out - y) * away - side / 2), round(side), round(side))
        inside = box.x >= 0 and box.y >= 0 and box.x + box.width <= self.width and box.y + box.height <= self.height
        return Actor(box, emotion, inside)


def frames(argument: str) -> Generator[Frame, None, None]:
    """Yield frames for ever. In real time, frames that nobody asked for in time are left out (a gap in `index`)."""
    fast, fps, stage = _parse(argument)
    start, index = time.monotonic(), 0
    while True:
        gray = stage.image(index / fps)
        yield Frame(gray, partial(_color, gray), index / fps, index)
        index += 1
        if not fast:
            index = max(index, math.floor((time.monotonic() - start) * fps))
            time.sleep(max(0.0, start + index / fps - time.monotonic()))


def live(argument: str) -> bool:
    """Return whether it runs in real time, as it does without `fast`."""
    return not _parse(argument)[0]


def _color(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(gray[..., np.newaxis], 3, axis=2)


def _parse(argument: str) -> tuple[bool, float, Stage]:
    values = {"faces": "1", "size": "640x480", "fps": "30"}
    words = [word for word in argument.split(",") if word]
    for word in words:
        key, _, value = word.partition("=")
        if word != "fast" and key not in values:
            raise UsageError(f"synthetic: unknown option {word!r}; there are fast, faces=N, size=WIDTHxHEIGHT, fps=N")
        values[key] = value
    try:
        width, height = (int(number) for number in values["size"].split("x"))
        faces, fps = int(values["faces"]), float(values["fps"])
    except ValueError:
        raise UsageError(
            f"synthetic: {argument!r} has a value that is not a number; e.g. faces=2,size=640x480,fps=30"
        ) from None
    if not (1 <= faces <= 8 and 160 <= width <= 7680 and 120 <= height <= 4320 and 1 <= fps <= 1000):
        raise UsageError(
            f"synthetic: {argument!r} is out of range: faces 1 to 8, size 160x120 to 7680x4320, fps 1 to 1000"
        )
    return "fast" in words, fps, Stage(width, height, faces)


def _away(seconds: float) -> float:
    """Return how far out of the image a face is, 0 to 1, `seconds` after its last emotion ended."""
    third = AWAY_SECONDS / 3
    return min(1.0, max(0.0, seconds / third)) * min(1.0, max(0.0, (AWAY_SECONDS - seconds) / third))


def _background(width: int, height: int) -> NDArray[np.uint8]:
    """Return a dim room: light falling off from the upper left, soft vertical folds, a little fixed grain."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    light = 120 - 55 * x - 35 * y + 6 * np.sin(40 * x + 2 * y)
    grain = np.random.default_rng(0).normal(0, 2, (height, width))
    room: NDArray[np.uint8] = np.clip(light + grain, 0, 255).astype(np.uint8)
    return room


def _mask(side: int) -> NDArray[np.float32]:
    """Return a (side, side) soft mask, 1 on the face and 0 at the border of its square, rounder than that."""
    across = np.abs(np.linspace(-1, 1, side, dtype=np.float32))
    radius = (across[np.newaxis, :] ** 4 + across[:, np.newaxis] ** 4) ** 0.25
    mask: NDArray[np.float32] = np.clip((1 - radius) / 0.15, 0, 1).astype(np.float32)
    return mask


def _paste(image: NDArray[np.uint8], face: NDArray[np.uint8], mask: NDArray[np.float32], box: Box) -> None:
    """Blend `face` into `image` at `box`, as much of it as lies inside."""
    x0, y0 = max(box.x, 0), max(box.y, 0)
    x1, y1 = min(box.x + box.width, image.shape[1]), min(box.y + box.height, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    cut = np.s_[y0 - box.y : y1 - box.y, x0 - box.x : x1 - box.x]
    shown = cv2.resize(face, (box.width, box.height), interpolation=cv2.INTER_LINEAR)[cut]
    share = cv2.resize(mask, (box.width, box.height), interpolation=cv2.INTER_LINEAR)[cut]
    behind = image[y0:y1, x0:x1]
    behind[:] = behind + share * (shown.astype(np.float32) - behind)
