"""A built-in camera without hardware: artificial faces whose boxes and emotions are known at each moment.

Argument: comma-separated, all optional: `fast` (as fast as frames are asked for, instead of in real time), `faces=N`
(1 to 8), `size=WIDTHxHEIGHT`, `fps=N`, `tilt=DEGREES` (heads tilt to both sides by so much, at most 45),
`border=FRACTION` (the outer faces move beyond the left and right border by so much of their side, at most 0.5, and stay
there for a while), `rest=EMOTION` (each other emotion is shown between two times of 9 s with this one), `bias=EMOTION`
(with `rest`: a person whose face resembles this emotion in everything it shows).

Each face shows one emotion after the other for 3 s, moving, growing and shrinking; then it leaves the image for a while
and returns; with `rest` it stays. The faces are exaggerated means of 40 FER2013 images each, made by
benchmarks/make_synthetic_faces.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.types import Box, Frame

EMOTION_SECONDS = 3.0
REST_SECONDS = 9.0  # before each emotion, with `rest`: most of the time a face is at rest
ABSENCE_SECONDS = 3.0  # a third each to leave, to be out of sight, and to return
BIAS_FRACTION = 0.47  # of the way from the face at rest to the emotion: a sad one makes most labels at rest sad
TILT_SECONDS = 6.0  # in which a head tilts to one side, to the other, and back
EXAMPLE = "faces=2,size=640x480,fps=30,tilt=20,border=0.3"
BORDER_STAY = 2.0  # how far a face would go beyond its place at the border if it did not stay there


@dataclass(frozen=True, slots=True)
class SyntheticFace:
    """The ground truth of one face at one moment."""

    box: Box  # pixels; may lie partly or completely outside the image
    emotion: str
    visible: bool  # completely inside the image
    roll: float = 0.0  # degrees by which the head is tilted, clockwise positive


class SyntheticScene:
    """Draws the faces of any moment, and gives their ground truth.

    Args:
        width, height: of the image in pixels.
        face_count: 1 to 8.
        tilt: degrees by which heads tilt to both sides, once in TILT_SECONDS.
        border: fraction of a face's side, 0 to 0.5, by which the faces at the left and right border move beyond it; 0:
            they stay inside.
        rest: emotion that is shown for REST_SECONDS before each other one, and nobody leaves; empty: none.
        bias: emotion that each face resembles, with `rest`: the difference between this emotion and the one at rest is
            added to everything the face shows; empty: none.
        bias_fraction: of that difference, 0 to 1.
    """

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        face_count: int = 1,
        tilt: float = 0.0,
        border: float = 0.0,
        rest: str = "",
        bias: str = "",
        bias_fraction: float = BIAS_FRACTION,
    ) -> None:
        self.width, self.height, self.face_count = width, height, face_count
        self.tilt, self.border = tilt, border
        self._face_images = _load_faces(rest, bias, bias_fraction)
        self.emotions = tuple(self._face_images)
        # (emotion, seconds) in their order; in the seconds that are left of a period, the face is absent.
        self._timetable = [(emotion, EMOTION_SECONDS) for emotion in self.emotions]
        if rest:
            others = [emotion for emotion in self.emotions if emotion != rest]
            self._timetable = [part for each in others for part in ((rest, REST_SECONDS), (each, EMOTION_SECONDS))]
        self._present_seconds = sum(seconds for _, seconds in self._timetable)
        self.period = self._present_seconds + (0.0 if rest else ABSENCE_SECONDS)  # seconds until everything repeats
        self._columns = 1 if face_count == 1 else math.ceil(face_count / (1 if face_count <= 3 else 2))
        self._rows = math.ceil(face_count / self._columns)
        # A dim room: light that falls off from the upper left, soft vertical folds, and fixed grain.
        x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
        light = 120 - 55 * x - 35 * y + 6 * np.sin(40 * x + 2 * y)
        grain = np.random.default_rng(0).normal(0, 2, (height, width))
        self._background: NDArray[np.uint8] = np.clip(light + grain, 0, 255).astype(np.uint8)
        # (side, side) opacity of a face: 1 at the center, 0 at the border of a rounded square.
        side = np.abs(np.linspace(-1, 1, len(self._face_images[self.emotions[0]]), dtype=np.float32))
        radius = (side[np.newaxis, :] ** 4 + side[:, np.newaxis] ** 4) ** 0.25
        self._opacity: NDArray[np.float32] = np.clip((1 - radius) / 0.15, 0, 1).astype(np.float32)

    def faces(self, seconds: float) -> tuple[SyntheticFace, ...]:
        """Return the ground truth at `seconds` from the start, always in the same order."""
        faces = []
        cell_width, cell_height = self.width / self._columns, self.height / self._rows
        cell_side = min(cell_width, cell_height)
        sway = 0.5 * (cell_width - cell_side * 0.6)
        for number in range(self.face_count):
            column, row = number % self._columns, number // self._columns
            # Several faces show different emotions, and do not leave together.
            now = (seconds + number * self.period / self.face_count) % self.period
            emotion = self._emotion(now)
            side = cell_side * (0.36 + 0.16 * math.sin(2 * math.pi * now * 2 / self.period))
            swing = math.sin(2 * math.pi * now * 3 / self.period)
            center_x = (column + 0.5) * cell_width + sway * swing
            if self.border and column == (0 if swing < 0 else self._columns - 1):
                reach = cell_width / 2 + (self.border - 0.5) * side
                center_x = (column + 0.5) * cell_width + reach * max(-1.0, min(1.0, BORDER_STAY * swing))
            center_y = (row + 0.5) * cell_height + 0.18 * cell_height * math.sin(2 * math.pi * now * 5 / self.period)
            # The upper row leaves over the upper edge, the lower (or only) one over the lower edge.
            outside_y = -side if row < self._rows - 1 else self.height + side
            third, absent = ABSENCE_SECONDS / 3, now - self._present_seconds
            away = min(1.0, max(0.0, absent / third)) * min(1.0, max(0.0, (ABSENCE_SECONDS - absent) / third))
            top = center_y + (outside_y - center_y) * away - side / 2
            box = Box(round(center_x - side / 2), round(top), round(side), round(side))
            inside_x, inside_y = 0 <= box.x <= self.width - box.width, 0 <= box.y <= self.height - box.height
            roll = self.tilt * math.sin(2 * math.pi * now / TILT_SECONDS)
            faces.append(SyntheticFace(box, emotion, inside_x and inside_y, roll))
        return tuple(faces)

    def _emotion(self, seconds: float) -> str:
        """Return the emotion at `seconds` of a period; while the face is absent, the last one."""
        for emotion, duration in self._timetable:
            if seconds < duration:
                return emotion
            seconds -= duration
        return self._timetable[-1][0]

    def image(self, seconds: float) -> NDArray[np.uint8]:
        """Return the (height, width) uint8 image at `seconds` from the start."""
        return self.draw(*((face.emotion, face.box, face.roll) for face in self.faces(seconds)))

    def draw(self, *faces: tuple[str, Box] | tuple[str, Box, float]) -> NDArray[np.uint8]:
        """Return the (height, width) uint8 image with faces of these (emotion, box, roll), as far as inside it."""
        image = self._background.copy()
        for emotion, box, *roll in faces:
            x0, y0 = max(box.x, 0), max(box.y, 0)
            x1, y1 = min(box.x + box.width, self.width), min(box.y + box.height, self.height)
            if x0 >= x1 or y0 >= y1:
                continue
            inside = np.s_[y0 - box.y : y1 - box.y, x0 - box.x : x1 - box.x]
            size = box.width, box.height
            face, opacity = (
                _tilted(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), *roll)[inside]
                for part in (self._face_images[emotion], self._opacity)
            )
            behind = image[y0:y1, x0:x1]
            behind[:] = behind + opacity * (face.astype(np.float32) - behind)
        return image


def _load_faces(rest: str, bias: str, bias_fraction: float) -> dict[str, NDArray[np.uint8]]:
    """Return emotion -> face; arguments as of SyntheticScene. Raises UsageError if there is no such emotion."""
    with np.load(Path(__file__).with_name("faces.npz")) as data:
        faces = {name: data[name] for name in data.files}
    for name in filter(None, (rest, bias)):
        if name not in faces:
            raise UsageError(f"synthetic: unknown emotion {name!r}; there are {', '.join(faces)}")
    if bias and not rest:
        raise UsageError(f"synthetic: bias={bias} needs rest=EMOTION, what most of the time is shown")
    if not bias:
        return faces
    difference = bias_fraction * (faces[bias].astype(np.float32) - faces[rest])
    return {name: np.clip(np.rint(face + difference), 0, 255).astype(np.uint8) for name, face in faces.items()}


def _tilted(part: NDArray[Any], roll: float = 0.0) -> NDArray[Any]:
    """Return `part` (height, width) turned by `roll` degrees clockwise; its border pixels fill the corners."""
    if not roll:
        return part
    height, width = part.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -roll, 1.0)
    return cv2.warpAffine(part, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


def frames(argument: str) -> Generator[Frame, None, None]:
    """Yield frames without end. In real time, frames that were not asked for in time are skipped (a gap in `index`)."""
    fast, fps, scene = _parse(argument)
    start, index = time.monotonic(), 0
    while True:
        gray = scene.image(index / fps)
        yield Frame(gray, partial(np.repeat, gray[..., np.newaxis], 3, 2), index / fps, index)
        index += 1
        if not fast:
            index = max(index, math.floor((time.monotonic() - start) * fps))
            time.sleep(max(0.0, start + index / fps - time.monotonic()))


def is_live(argument: str) -> bool:
    """Return whether it runs in real time, as it does without `fast`."""
    return not _parse(argument)[0]


def _parse(argument: str) -> tuple[bool, float, SyntheticScene]:
    values = {"faces": "1", "size": "640x480", "fps": "30", "tilt": "0", "border": "0", "rest": "", "bias": ""}
    words = [word for word in argument.split(",") if word]
    for word in words:
        key, _, value = word.partition("=")
        if word != "fast" and key not in values:
            raise UsageError(
                f"synthetic: unknown option {word!r}; there are fast, faces=N, size=WIDTHxHEIGHT, fps=N, tilt=DEGREES, "
                "border=FRACTION, rest=EMOTION, bias=EMOTION"
            )
        if word != "fast" and not value:
            raise UsageError(f"synthetic: {word!r} has no value; e.g. {EXAMPLE}")
        values[key] = value
    try:
        width, height = (int(number) for number in values["size"].split("x"))
        face_count, fps = int(values["faces"]), float(values["fps"])
        tilt, border = float(values["tilt"]), float(values["border"])
    except ValueError:
        raise UsageError(f"synthetic: {argument!r} has a value that is not a number; e.g. {EXAMPLE}") from None
    in_range = 1 <= face_count <= 8 and 160 <= width <= 7680 and 120 <= height <= 4320 and 1 <= fps <= 1000
    if not (in_range and 0 <= tilt <= 45 and 0 <= border <= 0.5):
        raise UsageError(
            f"synthetic: {argument!r} is out of range: faces 1 to 8, size 160x120 to 7680x4320, fps 1 to 1000, "
            "tilt 0 to 45, border 0 to 0.5"
        )
    scene = SyntheticScene(width, height, face_count, tilt, border, values["rest"], values["bias"])
    return "fast" in words, fps, scene
