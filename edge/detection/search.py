"""Detection in several tiles, and in a complete image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE
from edge.detection.haar import WINDOW_PIXELS, HaarDetector
from edge.detection.tile_scheduler import Tile, TileScheduler
from edge.types import Detection

NMS_IOU = 0.3  # above which two detections, of overlapping tiles, are the same face
# The lowest score of a face in a single image, where no second frame can confirm it; the search is dense.
IMAGE_SCORE = 6


def detect_tiles(
    detector: HaarDetector, gray: NDArray[np.uint8], tiles: Iterable[Tile], window: float = WINDOW_PIXELS
) -> list[Detection]:
    """Return the faces in `tiles` of `gray` (height, width), each face once.

    Args:
        window: see HaarDetector.detect.
    """
    detections = (detector.detect(gray, tile.area, tile.min_size, tile.max_size, window) for tile in tiles)
    return non_max_suppression([detection for of_tile in detections for detection in of_tile])


def detect_image(
    detector: HaarDetector, gray: NDArray[np.uint8], min_face_size: float = MIN_FACE_SIZE
) -> list[Detection]:
    """Return the faces in `gray` (height, width), a single image, the largest first.

    Args:
        min_face_size: side of the smallest face to detect, see TileScheduler.
    """
    tiles = TileScheduler(min_face_size, WINDOW_PIXELS).all_tiles(gray.shape)
    detections = detect_tiles(detector, gray, tiles, detector.dense_window)
    confirmed = [detection for detection in detections if detection.score >= IMAGE_SCORE]
    return sorted(confirmed, key=lambda detection: -detection.box.width)


def non_max_suppression(detections: Sequence[Detection]) -> list[Detection]:
    """Return `detections`, the highest score first, without those whose IoU with a better one exceeds NMS_IOU."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda detection: -detection.score):
        if not any(detection.box.iou(other.box) > NMS_IOU for other in kept):
            kept.append(detection)
    return kept
