"""Boxes, labels and score bars on a picture, for every sink that shows one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Observation, Reading

FONT = cv2.FONT_HERSHEY_SIMPLEX
SURE, UNSURE, DARK, PALE = (80, 200, 80), (160, 160, 160), (20, 20, 20), (240, 240, 240)  # BGR


def annotate(seen: Observation) -> NDArray[np.uint8]:
    """Return a copy of the frame's colour picture, (height, width, 3) uint8 BGR, with what was read drawn on it."""
    picture = seen.frame.colour().copy()
    unit = max(picture.shape[0] / 480, 0.5)  # line widths and letters are right at 480 rows and grow with the picture
    for reading in seen.readings:
        _draw_face(picture, reading, unit)
    return picture


def _draw_face(picture: NDArray[np.uint8], reading: Reading, unit: float) -> None:
    box, colour = reading.box, SURE if reading.label else UNSURE
    cv2.rectangle(picture, (box.x, box.y), (box.x + box.width, box.y + box.height), colour, max(1, round(2 * unit)))
    title = f"{reading.label or 'unsure'} {reading.confidence:.0%}"
    _draw_title(picture, title, box.x, box.y, colour, unit)
    _draw_bars(picture, reading, unit)


def _draw_title(
    picture: NDArray[np.uint8], title: str, x: int, y: int, colour: tuple[int, int, int], unit: float
) -> None:
    """Write `title` on a plate above (x, y), inside the picture's border."""
    size, thick = 0.55 * unit, max(1, round(1.2 * unit))
    (width, height), below = cv2.getTextSize(title, FONT, size, thick)
    pad = round(4 * unit)
    left = max(0, min(x, picture.shape[1] - width - 2 * pad))
    bottom = max(y, height + below + 2 * pad)
    cv2.rectangle(picture, (left, bottom - height - below - pad), (left + width + 2 * pad, bottom), colour, cv2.FILLED)
    cv2.putText(picture, title, (left + pad, bottom - below), FONT, size, DARK, thick, cv2.LINE_AA)


def _draw_bars(picture: NDArray[np.uint8], reading: Reading, unit: float) -> None:
    """Draw a bar a label beside the box, where there is room for it: to the right, else to the left."""
    size, row, pad = 0.36 * unit, round(13 * unit), round(4 * unit)
    text = max(cv2.getTextSize(label, FONT, size, 1)[0][0] for label in reading.scores)
    width, height = text + round(50 * unit) + 3 * pad, row * len(reading.scores) + pad
    box = reading.box
    left = box.x + box.width + pad
    if left + width > picture.shape[1]:
        left = box.x - width - pad
    top = max(0, min(box.y, picture.shape[0] - height))
    if left < 0 or height > picture.shape[0]:
        return
    plate = picture[top : top + height, left : left + width]
    plate[:] = plate // 3  # darkened, so that bars and letters are readable on anything
    for number, (label, share) in enumerate(reading.scores.items()):
        base = top + row * (number + 1) - pad // 2
        colour = SURE if label == reading.label else PALE
        cv2.putText(picture, label, (left + pad, base), FONT, size, colour, 1, cv2.LINE_AA)
        start = left + text + 2 * pad
        cv2.rectangle(picture, (start, base - row // 2), (start + round(50 * unit * share), base), colour, cv2.FILLED)
