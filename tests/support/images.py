"""Images with faces in known places."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge.capture.synthetic import SyntheticScene
from edge.types import Box

PORTRAIT_FACE = Box(177, 66, 97, 97)  # where a person sees the face in the fixture `portrait`

_scene = cache(SyntheticScene)


def draw_faces(
    *faces: tuple[str, Box] | tuple[str, Box, float], size: tuple[int, int] = (640, 480)
) -> NDArray[np.uint8]:
    """Return the synthetic camera's dim room of `size` (width, height) with faces of these (label, box, roll)."""
    return _scene(*size).draw(*faces)
