"""What the tracker and the image analyzer need of a face detector."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE
from edge.detection.tile_scheduler import Tile
from edge.types import Box, Detection


class Detector(Protocol):
    """Finds faces in gray images (height, width)."""

    # Values for the parameter `window` of `detect`: the least thorough search and the most thorough one. They are
    # equal where there is only one.
    sparse_window: float
    dense_window: float
    confirm_score: float  # of a detection in a video that needs no second one to be believed
    rolls: tuple[float, ...]  # degrees, of the searches for tilted heads; none where every search finds them

    def make_tiles(self, width: int, height: int, min_face_size: float) -> list[Tile]:
        """Return what to search in an image of a video, part by part, for faces of at least `min_face_size` pixels."""

    def detect(
        self,
        gray: NDArray[np.uint8],
        area: Box | None = None,
        min_size: float = MIN_FACE_SIZE,
        max_size: float | None = None,
        window: float = 0.0,
        roll: float = 0.0,
    ) -> list[Detection]:
        """Return the faces in `area`, the highest score first.

        Args:
            gray: the complete image.
            area: the part of it to search, which may reach beyond the image. None: the complete image.
            min_size, max_size: sides of the smallest and largest face to detect, in pixels of `gray`.
            window: how thorough the search is, see above.
            roll: degrees, clockwise positive, of the heads to find, for a detector that finds only upright ones.
        """

    def detect_profiles(self, gray: NDArray[np.uint8], area: Box, min_size: float, max_size: float) -> list[Detection]:
        """Return the heads in `area` that are turned to one side, for a detector whose `detect` finds none of them."""


class ImageDetector(Protocol):
    """Finds faces in single images, where no second frame can confirm one."""

    def detect(self, gray: NDArray[np.uint8], min_face_size: float = MIN_FACE_SIZE) -> list[Detection]:
        """Return the faces in `gray` (height, width), the largest first.

        Args:
            min_face_size: side of the smallest face to detect, in pixels of an image SEARCH_WIDTH_PIXELS wide; in a
                narrower image, in pixels of the image.
        """
