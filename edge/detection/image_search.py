"""Detection in a single image, where no second frame can confirm a face.

The cascade finds upright frontal faces inside the image. Three other searches find more:

- Every search reaches beyond the image, where border pixels are repeated, for faces that the border cuts.
- Turned searches find tilted heads, and OpenCV's profile cascade finds heads that are half turned away. Over the
  complete image they take five times as long as the upright search. They run there only if that finds no face.
- In an image with faces they run only near doubtful hits, as a second opinion: those of the upright search with a low
  score, and those of a sparse turned search for faces about as large as those found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE, SEARCH_WIDTH_PIXELS
from edge.detection.detector import ImageDetector
from edge.detection.haar import WINDOW_PIXELS, HaarDetector
from edge.detection.search import NMS_IOU
from edge.detection.tile_scheduler import Tile, TileScheduler
from edge.types import Box, Detection

ROLLS = (-15.0, 15.0, -30.0, 30.0)  # degrees, of the turned searches; the cascade tolerates about 10 more each way
BORDER_FRACTION = 0.25  # of a tile's largest face, by which a search reaches beyond the image
WIDE_BORDER_FRACTION = 0.5  # in the searches of an image without a face so far
# The lowest scores of a face, chosen on web photographs (benchmarks/wild_faces.py).
UPRIGHT_SCORE = 6
CERTAIN_SCORE = 15  # of an upright hit; one with less may be a tilted head, which a turned search finds better
SECOND_SCORE = 8  # of the searches that follow: they try more positions, so that chance hits are more frequent
# Of the shorter side of an image without a face so far: the smallest face of the searches that follow. They are for an
# image's subject; smaller faces take many times as long and are mostly chance hits.
MIN_FACE_FRACTION = 1 / 6
GROUP_ROLLS = (-25.0, 25.0)  # degrees, of the search for tilted heads in an image in which others are upright
GROUP_SCALE = 1.7  # of the face sizes of that search, below the smallest face found and above the largest one
NEARBY_PADDING = 0.5  # of a weak hit's side, around it, in which a second search looks
NEARBY_SCALE = 1.35  # of the face sizes of that search, up and down

Search = Callable[[NDArray[np.uint8], Tile], list[Detection]]


def make_image_detector(file: Path | None, threads: int) -> ImageDetector:
    """Return the detector haar for single images, with the cascade in `file`; None: the built-in one."""
    return ImageSearch(HaarDetector(file, threads))


class ImageSearch:
    """Detects faces in single images.

    Args:
        detector: of upright frontal faces, and of profiles.
    """

    def __init__(self, detector: HaarDetector) -> None:
        self._detector = detector

    def detect(self, gray: NDArray[np.uint8], min_face_size: float = MIN_FACE_SIZE) -> list[Detection]:
        """Return the faces in `gray` (height, width), the largest first.

        Args:
            min_face_size: side of the smallest face to detect, see TileScheduler.
        """
        hits = _best_of_each_face(_search_image(self._upright, gray, min_face_size))
        faces = [hit for hit in hits if hit.score >= UPRIGHT_SCORE]
        if faces:
            certain = [face for face in faces if face.score >= CERTAIN_SCORE]
            doubtful = [hit for hit in hits if hit.score < CERTAIN_SCORE] + self._tilted_hits(gray, faces)
            for hit in _best_of_each_face(doubtful):
                if not any(_is_same_face(hit.box, face.box) for face in certain):
                    tile = _tile_near(hit.box)
                    faces += _turned_faces(self._turned(gray, tile), hits) or self._profiles(gray, tile)
        else:
            shorter = min(gray.shape) / max(1.0, gray.shape[1] / SEARCH_WIDTH_PIXELS)
            min_size = max(min_face_size, shorter * MIN_FACE_FRACTION)
            hits = _search_image(self._upright, gray, min_size, WIDE_BORDER_FRACTION)
            faces = [hit for hit in hits if hit.score >= SECOND_SCORE]
            faces = faces or _turned_faces(_search_image(self._turned, gray, min_size, WIDE_BORDER_FRACTION), hits)
            faces = faces or _search_image(self._profiles, gray, min_size, WIDE_BORDER_FRACTION)
        return sorted(_best_of_each_face(faces), key=lambda face: -face.box.width)

    def _tilted_hits(self, gray: NDArray[np.uint8], faces: Sequence[Detection]) -> list[Detection]:
        """Return the hits of a sparse turned search for faces about as large as `faces`."""
        widths = [face.box.width for face in faces]
        smallest, largest = min(widths) / GROUP_SCALE, max(widths) * GROUP_SCALE

        def search(gray: NDArray[np.uint8], tile: Tile) -> list[Detection]:
            low, high = max(tile.min_size, smallest), min(tile.max_size, largest)
            if low >= high:
                return []
            detect, window = self._detector.detect, self._detector.sparse_window
            return [hit for roll in GROUP_ROLLS for hit in detect(gray, tile.area, low, high, window, roll)]

        scale = max(1.0, gray.shape[1] / SEARCH_WIDTH_PIXELS)
        return _search_image(search, gray, smallest / scale)

    def _upright(self, gray: NDArray[np.uint8], tile: Tile, roll: float = 0.0) -> list[Detection]:
        return self._detector.detect(gray, tile.area, tile.min_size, tile.max_size, self._detector.dense_window, roll)

    def _turned(self, gray: NDArray[np.uint8], tile: Tile) -> list[Detection]:
        return [hit for roll in ROLLS for hit in self._upright(gray, tile, roll)]

    def _profiles(self, gray: NDArray[np.uint8], tile: Tile) -> list[Detection]:
        window = self._detector.dense_window
        return self._detector.detect_profiles(gray, tile.area, tile.min_size, tile.max_size, window)


def _search_image(
    search: Search, gray: NDArray[np.uint8], min_face_size: float, border_fraction: float = BORDER_FRACTION
) -> list[Detection]:
    """Return the hits of `search` in all tiles of `gray`, each tile at a border extended beyond it."""
    height, width = gray.shape
    hits = []
    for tile in TileScheduler(min_face_size, WINDOW_PIXELS).all_tiles(gray.shape):
        area, border = tile.area, round(border_fraction * tile.max_size)
        x0, y0 = (start - border if start == 0 else start for start in (area.x, area.y))
        x1, y1 = (
            end + border if end == side else end
            for end, side in ((area.x + area.width, width), (area.y + area.height, height))
        )
        hits += search(gray, replace(tile, area=Box(x0, y0, x1 - x0, y1 - y0)))
    return hits


def _turned_faces(turned: Sequence[Detection], upright: Sequence[Detection]) -> list[Detection]:
    """Return the faces among the hits of turned searches, each with the mean roll of its hits, weighted by score.

    The step from one roll to the next is 15 degrees; a mean that includes the `upright` hits is nearer to the head's.
    """
    faces = []
    for face in _best_of_each_face([hit for hit in turned if hit.score >= SECOND_SCORE]):
        hits = [hit for hit in (*turned, *upright) if _is_same_face(hit.box, face.box)]
        roll = sum(hit.score * hit.roll for hit in hits) / sum(hit.score for hit in hits)
        faces.append(replace(face, roll=roll))
    return faces


def _tile_near(box: Box) -> Tile:
    """Return the tile around `box` in which a second search looks for the same face."""
    area = box.padded(round(NEARBY_PADDING * box.width))
    return Tile(area, box.width / NEARBY_SCALE, box.width * NEARBY_SCALE)


def _best_of_each_face(hits: Sequence[Detection]) -> list[Detection]:
    """Return `hits`, the highest score first, without those of a face that a better one has.

    Non-maximum suppression by IoU alone leaves a small box inside a large one.
    """
    kept: list[Detection] = []
    for hit in sorted(hits, key=lambda hit: -hit.score):
        if not any(_is_same_face(hit.box, other.box) for other in kept):
            kept.append(hit)
    return kept


def _is_same_face(box: Box, other: Box) -> bool:
    """Return whether the IoU exceeds NMS_IOU, or the larger box contains the center of the smaller one."""
    half = max(box.width, other.width) / 2
    dx = abs(box.x + box.width / 2 - other.x - other.width / 2)
    dy = abs(box.y + box.height / 2 - other.y - other.height / 2)
    return box.iou(other) > NMS_IOU or max(dx, dy) < half
