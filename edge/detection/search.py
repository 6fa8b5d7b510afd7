"""Detection in several tiles, each face once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.detection.detector import Detector
from edge.detection.haar import WINDOW_PIXELS
from edge.detection.tile_scheduler import Tile
from edge.types import Detection

NMS_IOU = 0.3  # above which two detections, of overlapping tiles, are the same face


def detect_tiles(
    detector: Detector, gray: NDArray[np.uint8], tiles: Iterable[Tile], window: float = WINDOW_PIXELS
) -> list[Detection]:
    """Return the faces in `tiles` of `gray` (height, width), each face once.

    Args:
        window: see Detector.detect.
    """
    detections = (detector.detect(gray, tile.area, tile.min_size, tile.max_size, window, tile.roll) for tile in tiles)
    return non_max_suppression([detection for of_tile in detections for detection in of_tile])


def non_max_suppression(detections: Sequence[Detection]) -> list[Detection]:
    """Return `detections`, the highest score first, without those whose IoU with a better one exceeds NMS_IOU."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda detection: -detection.score):
        if not any(detection.box.iou(other.box) > NMS_IOU for other in kept):
            kept.append(detection)
    return kept
