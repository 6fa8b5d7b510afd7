"""Messages between the process of the run and the process that draws the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.types import FaceResult


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """What the window shows and how, for all of the run. The first message to the window's process."""

    labels: tuple[str, ...]  # of the model; the index of a label determines its color and its petal
    image: bool = True  # False: the window's process gets no camera image, only probabilities and labels
    full_screen: bool = True
    rotate: int = 0  # degrees clockwise: 0, 90, 180, 270
    mirror: bool = False  # the image, not the text
    nobody: str = "Look at the camera"  # shown while there is no face
    uncertain: str = "uncertain"  # shown where a face has no label


@dataclass(frozen=True, slots=True, eq=False)
class DisplayFrame:
    """One frame to show. To the window's process; None in its place ends it."""

    size: tuple[int, int]  # (width, height) of the camera's frame in pixels, to which the boxes refer
    faces: tuple[FaceResult, ...]
    fps: float  # processed frames per second
    image: NDArray[np.uint8] | None = None  # (height, width, 3) BGR, possibly smaller than `size`


@dataclass(frozen=True, slots=True)
class SizeChanged:
    """The window is open, or was resized. From the window's process, as all that follow."""

    size: tuple[int, int]  # (width, height) in pixels, after rotation


@dataclass(frozen=True, slots=True)
class FrameRequested:
    """The last frame is on the screen and the window can show the next one."""


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """The user closed the window, or pressed Esc or q."""


@dataclass(frozen=True, slots=True)
class DisplayFailed:
    """The window could not be opened, or cannot be drawn to any more."""

    reason: str


DisplayEvent = SizeChanged | FrameRequested | CloseRequested | DisplayFailed
