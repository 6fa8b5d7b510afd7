"""What the run's process and the screen's process say to one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.types import FaceResult


@dataclass(frozen=True, slots=True)
class Look:
    """How the screen is to look, for the whole run."""

    labels: tuple[str, ...]  # of the model; a label's place gives its color and its petal
    image: bool = True  # False: no camera image reaches the screen's process, only shares and words
    full_screen: bool = True
    rotate: int = 0  # degrees clockwise: 0, 90, 180, 270
    mirror: bool = False  # the image, not the words
    nobody: str = "Look at the camera"  # shown while nobody is there
    unsure: str = "unsure"  # shown in place of a label


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One moment."""

    size: tuple[int, int]  # width and height of the frame, in whose pixels the boxes are
    readings: tuple[FaceResult, ...]
    fps: float  # of the loop
    image: NDArray[np.uint8] | None = None  # (height, width, 3) BGR, perhaps smaller than `size`


@dataclass(frozen=True, slots=True)
class Opened:
    """The screen is there, or has another size now: (width, height) pixels, as one who looks at it sees it."""

    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The last view is on the screen, and it is time for the next one."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Somebody closed the window, or pressed Esc or q."""


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no screen any more, or there never was one."""

    why: str


Word = Opened | Drawn | Closed | Failed
