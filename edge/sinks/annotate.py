"""Boxes, labels and score bars on an image, for every sink that shows one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import FaceResult, FrameResult

FONT = cv2.FONT_HERSHEY_SIMPLEX
SURE, UNSURE, DARK, PALE = (80, 200, 80), (160, 160, 160), (20, 20, 20), (240, 240, 240)  # BGR


def annotate(seen: FrameResult) -> NDArray[np.uint8]:
    """Return a copy of the frame's color image, (height, width, 3) uint8 BGR, with what was read drawn on it."""
    image = seen.frame.color().copy()
    unit = max(image.shape[0] / 480, 0.5)  # line widths and letters are right at 480 rows and grow with the image
    for reading in seen.faces:
        _draw_face(image, reading, unit)
    return image


def _draw_face(image: NDArray[np.uint8], reading: FaceResult, unit: float) -> None:
    box, color = reading.box, SURE if reading.label else UNSURE
    cv2.rectangle(image, (box.x, box.y), (box.x + box.width, box.y + box.height), color, max(1, round(2 * unit)))
    title = f"{reading.label or 'unsure'} {reading.confidence:.0%}"
    _draw_title(image, title, box.x, box.y, color, unit)
    _draw_bars(image, reading, unit)


def _draw_title(image: NDArray[np.uint8], title: str, x: int, y: int, color: tuple[int, int, int], unit: float) -> None:
    """Write `title` on a plate above (x, y), inside the image's border."""
    size, thick = 0.55 * unit, max(1, round(1.2 * unit))
    (width, height), below = cv2.getTextSize(title, FONT, size, thick)
    pad = round(4 * unit)
    left = max(0, min(x, image.shape[1] - width - 2 * pad))
    bottom = max(y, height + below + 2 * pad)
    cv2.rectangle(image, (left, bottom - height - below - pad), (left + width + 2 * pad, bottom), color, cv2.FILLED)
    cv2.putText(image, title, (left + pad, bottom - below), FONT, size, DARK, thick, cv2.LINE_AA)


def _draw_bars(image: NDArray[np.uint8], reading: FaceResult, unit: float) -> None:
    """Draw a bar a label beside the box, where there is room for it: to the right, else to the left."""
    size, row, pad = 0.36 * unit, round(13 * unit), round(4 * unit)
    text = max(cv2.getTextSize(label, FONT, size, 1)[0][0] for label in reading.probabilities)
    width, height = text + round(50 * unit) + 3 * pad, row * len(reading.probabilities) + pad
    box = reading.box
    left = box.x + box.width + pad
    if left + width > image.shape[1]:
        left = box.x - width - pad
    top = max(0, min(box.y, image.shape[0] - height))
    if left < 0 or height > image.shape[0]:
        return
    plate = image[top : top + height, left : left + width]
    plate[:] = plate // 3  # darkened, so that bars and letters are readable on anything
    for number, (label, share) in enumerate(reading.probabilities.items()):
        base = top + row * (number + 1) - pad // 2
        color = SURE if label == reading.label else PALE
        cv2.putText(image, label, (left + pad, base), FONT, size, color, 1, cv2.LINE_AA)
        start = left + text + 2 * pad
        cv2.rectangle(image, (start, base - row // 2), (start + round(50 * unit * share), base), color, cv2.FILLED)
