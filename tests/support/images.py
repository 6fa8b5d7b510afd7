"""Images with faces in known places."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge.capture import synthetic
from edge.types import Box

PORTRAIT_FACE = Box(177, 66, 97, 97)  # where a person sees the face in the fixture `portrait`


@cache
def _stage(width: int, height: int) -> synthetic.Stage:
    return synthetic.Stage(width, height)


def draw_faces(*faces: tuple[str, Box], size: tuple[int, int] = (640, 480)) -> NDArray[np.uint8]:
    """Return the dim room of the synthetic camera, `size` (width, height), with faces of these labels in these boxes."""
    stage = _stage(*size)
    image = stage._background.copy()
    for label, box in faces:
        synthetic._paste(image, stage._faces[label], stage._mask, box)
    return image
