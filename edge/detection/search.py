"""Detection over several tiles, and over a whole image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE
from edge.detection.haar import WINDOW, HaarDetector
from edge.detection.tile_scheduler import Tile, TileScheduler
from edge.types import Detection

NMS_IOU = 0.3  # from which two detections of overlapping tiles are the same face
# Score that makes a face in an image on its own, which has no second frame to confirm it but is searched densely.
IMAGE_SCORE = 6


def detect_tiles(
    detector: HaarDetector, gray: NDArray[np.uint8], tiles: Iterable[Tile], window: float = WINDOW
) -> list[Detection]:
    """Return the faces that `detector` finds in `tiles` of `gray` (height, width), each face once."""
    found = (detector.detect(gray, tile.area, tile.min_size, tile.max_size, window) for tile in tiles)
    return non_max_suppression([detection for detections in found for detection in detections])


def detect_image(
    detector: HaarDetector, gray: NDArray[np.uint8], min_face_size: float = MIN_FACE_SIZE
) -> list[Detection]:
    """Return the faces in `gray` (height, width), an image on its own, the largest first.

    Args:
        min_face_size: see TileScheduler.
    """
    tiles = TileScheduler(min_face_size, WINDOW).all_tiles(gray.shape)
    detections = detect_tiles(detector, gray, tiles, detector.dense_window)
    confirmed = [detection for detection in detections if detection.score >= IMAGE_SCORE]
    return sorted(confirmed, key=lambda detection: -detection.box.width)


def non_max_suppression(detections: Sequence[Detection]) -> list[Detection]:
    """Return `detections`, the highest score first, without those that overlap a better one by more than NMS_IOU."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda detection: -detection.score):
        if not any(detection.box.iou(other.box) > NMS_IOU for other in kept):
            kept.append(detection)
    return kept
