"""Boxes, labels and probability bars drawn on an image, for each sink that shows one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import FaceResult, FrameResult

REFERENCE_HEIGHT_PIXELS = 480  # line widths and letters are designed for it, and grow with the image
CERTAIN_COLOR, UNCERTAIN_COLOR, TITLE_COLOR, BAR_COLOR = (80, 200, 80), (160, 160, 160), (20, 20, 20), (240, 240, 240)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotate(result: FrameResult) -> NDArray[np.uint8]:
    """Return a copy of the frame's color image, (height, width, 3) uint8 BGR, with the faces drawn on it."""
    image = result.frame.color().copy()
    scale = max(image.shape[0] / REFERENCE_HEIGHT_PIXELS, 0.5)
    for face in result.faces:
        box, color = face.box, CERTAIN_COLOR if face.label else UNCERTAIN_COLOR
        cv2.rectangle(image, (box.x, box.y), (box.x + box.width, box.y + box.height), color, max(1, round(2 * scale)))
        _draw_title(image, face, color, scale)
        _draw_bars(image, face, scale)
    return image


def _draw_title(image: NDArray[np.uint8], face: FaceResult, background: tuple[int, int, int], scale: float) -> None:
    """Write the label and the confidence above the box, inside the image."""
    title = f"{face.label or 'uncertain'} {face.confidence:.0%}"
    size, thickness, padding = 0.55 * scale, max(1, round(1.2 * scale)), round(4 * scale)
    (width, height), baseline = cv2.getTextSize(title, _FONT, size, thickness)
    left = max(0, min(face.box.x, image.shape[1] - width - 2 * padding))
    bottom = max(face.box.y, height + baseline + 2 * padding)
    corner = left + width + 2 * padding, bottom
    cv2.rectangle(image, (left, bottom - height - baseline - padding), corner, background, cv2.FILLED)
    cv2.putText(image, title, (left + padding, bottom - baseline), _FONT, size, TITLE_COLOR, thickness, cv2.LINE_AA)


def _draw_bars(image: NDArray[np.uint8], face: FaceResult, scale: float) -> None:
    """Draw a bar for each label to the right of the box, or to the left; none where neither side has room."""
    size, row, padding, full_bar = 0.36 * scale, round(13 * scale), round(4 * scale), 50 * scale
    text_width = max(cv2.getTextSize(label, _FONT, size, 1)[0][0] for label in face.probabilities)
    width, height = text_width + round(full_bar) + 3 * padding, row * len(face.probabilities) + padding
    left = face.box.x + face.box.width + padding
    if left + width > image.shape[1]:
        left = face.box.x - width - padding
    top = max(0, min(face.box.y, image.shape[0] - height))
    if left < 0 or height > image.shape[0]:
        return
    panel = image[top : top + height, left : left + width]
    panel[:] = panel // 3  # darkened, so that bars and letters are readable on any image
    for number, (label, probability) in enumerate(face.probabilities.items()):
        base = top + row * (number + 1) - padding // 2
        color = CERTAIN_COLOR if label == face.label else BAR_COLOR
        cv2.putText(image, label, (left + padding, base), _FONT, size, color, 1, cv2.LINE_AA)
        start = left + text_width + 2 * padding
        cv2.rectangle(image, (start, base - row // 2), (start + round(full_bar * probability), base), color, cv2.FILLED)
