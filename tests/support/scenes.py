"""Images of scenes with known faces, each of which the device finds or misses for a known reason."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from edge.types import Box
from tests.support.images import draw_faces

PORTRAIT = np.ascontiguousarray(astronaut()[..., ::-1], np.uint8)
# A smiling face that covers the center and a third of the width.
CLOSE_UP = np.ascontiguousarray(PORTRAIT[:260, 95:355])
# The same face at a fifth of the width, beside the center: only an extra face.
DISTANT = PORTRAIT
ROOM = draw_faces(size=(320, 240))
# A large face in the middle, and a smaller one at the left.
TWO_FACES = draw_faces(("happy", Box(220, 120, 240, 240)), ("happy", Box(40, 300, 120, 120)))

# Of each class: a face that is read correctly, or one that is missed, mistaken or not alone.
KNOWN = {
    "happy": [CLOSE_UP, DISTANT, TWO_FACES],  # right, missed with an extra face, right with an extra face
    "sad": [CLOSE_UP, ROOM],  # wrong, missed
}


def write_scenes(folder: Path, scenes: dict[str, list[NDArray[np.uint8]]], *, class_folders: bool = False) -> Path:
    """Write the images of each class as CLASS/<n>.png or as <class>-<n>.png; return `folder`."""
    for name, images in scenes.items():
        for number, image in enumerate(images, start=1):
            path = folder / (f"{name}/{number}.png" if class_folders else f"{name}-{number:04}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), image)
    return folder
