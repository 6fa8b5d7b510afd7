"""Search of the whole image in tiles, a few in each frame, where something changed.

A full search takes as long as many frames. Cut into tiles, of which one or two are searched in each frame, it delays no
frame; and a tile in which nothing has moved since it was searched cannot hold a new face.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Box

SEARCH_WIDTH = 640  # pixels; in a wider image the smallest face grows along: cost does not grow with the camera
FULL_SCAN_SECONDS_IDLE = 0.5  # for all tiles while there is no track: the longest delay of the first face
FULL_SCAN_SECONDS_TRACKING = 1.25  # for all tiles while there is a track: the longest delay of a second face
MAX_TILE_AGE_SECONDS = 4.0  # after which a tile is searched even without motion
SIZE_RATIO = 1.7  # largest by smallest face size of a tile
SIZE_OVERLAP = 1.15  # of the size ranges of two tiles: a size near the limit of one has its neighbors in the other
TILE_PIXELS = 45_000  # of a tile after downscaling, about; more tiles overlap more
CELL = 16  # pixels a side over which changes are averaged; a power of two
MOTION_THRESHOLD = 6.0  # gray levels of a cell's mean; camera noise of 10 levels a pixel moves it by less than 2
SCENE_CUT_THRESHOLD = 14.0  # gray levels of the mean change over all cells from one frame to the next


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the image and the face sizes to search it for."""

    area: Box
    min_size: float  # pixels
    max_size: float


def make_tiles(width: int, height: int, min_face_size: float, window: float) -> list[Tile]:
    """Return the tiles that together search an image for faces of at least `min_face_size` pixels.

    Args:
        width, height: of the image in pixels.
        min_face_size: side of the smallest face in pixels.
        window: pixels that the detector downscales a tile's smallest face to.
    """
    tiles = []
    min_size = min_face_size
    while min_size <= min(width, height):
        max_size = min_size * SIZE_RATIO * SIZE_OVERLAP
        tiles += [Tile(area, min_size, max_size) for area in _areas(width, height, max_size, min_size / window)]
        min_size *= SIZE_RATIO
    return tiles


def _areas(width: int, height: int, overlap: float, factor: float) -> Iterator[Box]:
    """Yield areas of about TILE_PIXELS each after downscaling; a face of `overlap` pixels lies wholly inside one."""
    factor = max(1.0, factor)
    side = max(math.sqrt(TILE_PIXELS) * factor, 1.5 * overlap)
    columns, rows = (max(1, math.ceil((length - overlap) / (side - overlap / 2))) for length in (width, height))
    for row in range(rows):
        for column in range(columns):
            x0, x1 = _span(column, columns, width, overlap)
            y0, y1 = _span(row, rows, height, overlap)
            yield Box(x0, y0, x1 - x0, y1 - y0)


def _span(number: int, count: int, length: int, overlap: float) -> tuple[int, int]:
    step = (length - overlap) / count
    return math.floor(number * step), min(length, math.ceil((number + 1) * step + overlap))


class TileScheduler:
    """Selects the tiles to search in each frame.

    Args:
        min_face_size: side of the smallest face, in pixels of an image SEARCH_WIDTH wide; of the image where narrower.
        window: of the detector, see `make_tiles`.
    """

    def __init__(self, min_face_size: float, window: float) -> None:
        self._min_face_size, self._window = min_face_size, window
        self._shape: tuple[int, ...] = ()
        self._cells = np.zeros((1, 1), np.float32)  # of the last frame

    def select_tiles(self, gray: NDArray[np.uint8], now: float, tracked: Sequence[Box]) -> tuple[list[Tile], bool]:
        """Return the tiles of `gray` (height, width) to search at `now` seconds, and whether the scene was cut.

        Motion at the boxes in `tracked` is no reason to search.
        """
        cells = _cell_means(gray)
        if gray.shape != self._shape:
            self._restart(gray.shape, now)
            return self._select_all(cells, now), True
        change = cells - self._cells
        scene_cut = float(np.abs(change - change.mean()).mean()) > SCENE_CUT_THRESHOLD or now < self._now
        self._cells = cells
        if scene_cut:
            return self._select_all(cells, now), True
        due = self._next_due(now, FULL_SCAN_SECONDS_TRACKING if tracked else FULL_SCAN_SECONDS_IDLE)
        selected = [number for number in due if self._has_motion(number, cells, now, tracked)]
        for number in selected:
            self._cells_at_search[number], self._searched_at[number] = cells, now
        return [self._tiles[number] for number in selected], False

    def invalidate(self, box: Box) -> None:
        """Have the tiles at `box` searched again even without motion: a face was lost there."""
        for number, tile in enumerate(self._tiles):
            if box.iou(tile.area):
                self._searched_at[number] = -math.inf

    def all_tiles(self, shape: tuple[int, ...]) -> list[Tile]:
        """Return all tiles of an image of `shape` (height, width)."""
        height, width = shape
        min_face_size = self._min_face_size * max(1.0, width / SEARCH_WIDTH)
        return make_tiles(width, height, min_face_size, self._window)

    def _restart(self, shape: tuple[int, ...], now: float) -> None:
        self._shape = shape
        self._tiles = self.all_tiles(shape)
        self._searched_at = [now] * len(self._tiles)
        self._next, self._due, self._now = 0, 0.0, now

    def _select_all(self, cells: NDArray[np.float32], now: float) -> list[Tile]:
        self._cells, self._now, self._due = cells, now, 0.0
        self._cells_at_search = [cells] * len(self._tiles)
        self._searched_at = [now] * len(self._tiles)
        return self._tiles

    def _next_due(self, now: float, scan_seconds: float) -> list[int]:
        """Return the numbers of the tiles that are due when a scan of all of them takes `scan_seconds`."""
        count = len(self._tiles)
        self._due = min(count, self._due + (now - self._now) / scan_seconds * count)
        self._now = now
        due = [(self._next + step) % count for step in range(int(self._due))]
        self._due -= len(due)
        self._next = (self._next + len(due)) % max(1, count)
        return due

    def _has_motion(self, number: int, cells: NDArray[np.float32], now: float, tracked: Sequence[Box]) -> bool:
        if now - self._searched_at[number] >= MAX_TILE_AGE_SECONDS:
            return True
        change = cells - self._cells_at_search[number]
        moved = np.abs(change - np.median(change)) > MOTION_THRESHOLD  # a lamp that is switched on changes all cells
        for box in tracked:
            moved[_covered_cells(box, 0.4)] = False
        return bool(moved[_covered_cells(self._tiles[number].area, 0.0)].any())


def _cell_means(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each cell, over all of its pixels: subsampling would let camera noise look like motion."""
    rows, columns = (max(1, side // CELL) for side in gray.shape)
    cells = gray[: rows * CELL, : columns * CELL]
    for _ in range(CELL.bit_length() - 1):  # repeated halving is many times faster than one step: 0.1 ms at 1920 x 1080
        size = (max(1, cells.shape[1] // 2), max(1, cells.shape[0] // 2))
        cells = cv2.resize(cells, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cells.astype(np.float32)


def _covered_cells(box: Box, padding: float) -> tuple[slice, slice]:
    """Return the cells that `box`, padded on each side by `padding` times its side, touches."""
    dx, dy = box.width * padding, box.height * padding
    x0, y0 = (max(0, math.floor(value / CELL)) for value in (box.x - dx, box.y - dy))
    x1, y1 = (math.ceil(value / CELL) for value in (box.x + box.width + dx, box.y + box.height + dy))
    return slice(y0, max(y0, y1)), slice(x0, max(x0, x1))
