"""What the detectors share that run a network: its file, its search of single images, and its boxes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE, SEARCH_WIDTH_PIXELS
from edge.detection.detector import Detector
from edge.detection.search import non_max_suppression
from edge.detection.tile_scheduler import Tile
from edge.errors import ModelError
from edge.system.bounded_read import read_at_most
from edge.types import Box, Detection

MAX_FILE_BYTES = 64_000_000  # BlazeFace and YuNet have less than a hundredth of this


class TileSearch:
    """Detects faces in single images tile by tile.

    Args:
        detector: searches each tile.
        make_tiles: (width, height, smallest face) in pixels -> the tiles of an image.
    """

    def __init__(self, detector: Detector, make_tiles: Callable[[int, int, float], list[Tile]]) -> None:
        self._detector, self._make_tiles = detector, make_tiles

    def detect(self, gray: NDArray[np.uint8], min_face_size: float = MIN_FACE_SIZE) -> list[Detection]:
        """Return the faces in `gray` (height, width), the largest first; see ImageDetector."""
        height, width = gray.shape
        tiles = self._make_tiles(width, height, min_face_size * max(1.0, width / SEARCH_WIDTH_PIXELS))
        found = (self._detector.detect(gray, tile.area, tile.min_size, tile.max_size) for tile in tiles)
        faces = non_max_suppression([detection for of_tile in found for detection in of_tile])
        return sorted(faces, key=lambda face: -face.box.width)


def head_roll(right_eye: NDArray[np.floating], left_eye: NDArray[np.floating]) -> float:
    """Return the roll of a head in degrees, clockwise positive, -90 to 90, from the (x, y) of the person's eyes.

    The person's right eye is on the left side of the image.
    """
    dx, dy = left_eye - right_eye
    return min(max(math.degrees(math.atan2(dy, dx)), -90.0), 90.0)


def square_box(center: NDArray[np.floating], side: float, rise: float, roll: float) -> Box:
    """Return the square box of `side` pixels whose center is `rise` sides above `center`, along a head of `roll`."""
    angle = math.radians(roll)
    x = center[0] + rise * side * math.sin(angle) - side / 2
    y = center[1] - rise * side * math.cos(angle) - side / 2
    return Box(round(float(x)), round(float(y)), round(side), round(side))


def read_network(path: Path) -> bytes:
    """Return the content of a network's file. Raises ModelError: it cannot be read, or has over MAX_FILE_BYTES."""
    try:
        return read_at_most(path, MAX_FILE_BYTES)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}), expected a network for face detection") from error
