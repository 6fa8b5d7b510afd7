"""Detection over the complete image in tiles: a few in each frame, and only where something changed.

A scan of the complete image takes as long as many frames. Cut into tiles, of which one or two are searched in each
frame, it delays no frame; and a tile without motion since it was last searched cannot hold a new face.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import SEARCH_WIDTH_PIXELS
from edge.types import Box

FULL_SCAN_SECONDS_IDLE = 0.5  # for all tiles while there is no track: the longest delay of the first face
FULL_SCAN_SECONDS_TRACKING = 1.25  # for all tiles while there is a track: the longest delay of a second face
MAX_TILE_AGE_SECONDS = 4.0  # after which a tile is searched even without motion
SIZE_RATIO = 1.7  # of the largest to the smallest face size of a tile
SIZE_OVERLAP = 1.15  # of the size ranges of two tiles: a size near the limit of one has its neighbors in the other
TILE_PIXELS = 45_000  # about the area of a downscaled tile; more tiles overlap more
CELL_PIXELS = 16  # side of a cell over which changes are averaged; a power of two
MOTION_THRESHOLD = 6.0  # gray levels of a cell's mean; camera noise of 10 levels a pixel changes it by less than 2
SCENE_CUT_THRESHOLD = 14.0  # gray levels of the mean change over all cells from one frame to the next
TRACK_PADDING = 0.4  # of a tracked face's side, around it: motion there is no reason to search


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the image and the face sizes to detect in it."""

    area: Box
    min_size: float  # pixels
    max_size: float  # pixels


def make_tiles(width: int, height: int, min_face_size: float, window: float) -> list[Tile]:
    """Return the tiles that together cover an image for faces of at least `min_face_size` pixels.

    Each face lies inside the area of a tile for its size. A tile has about TILE_PIXELS when it is downscaled.

    Args:
        width, height: of the image in pixels.
        min_face_size: side of the smallest face in pixels.
        window: pixels that the detector downscales a tile's smallest face to.
    """
    tiles = []
    min_size = min_face_size
    while min_size <= min(width, height):
        max_size = min_size * SIZE_RATIO * SIZE_OVERLAP
        side = max(math.sqrt(TILE_PIXELS) * max(1.0, min_size / window), 1.5 * max_size)
        columns, rows = (_spans(length, side, max_size) for length in (width, height))
        areas = [Box(x0, y0, x1 - x0, y1 - y0) for y0, y1 in rows for x0, x1 in columns]
        tiles += [Tile(area, min_size, max_size) for area in areas]
        min_size *= SIZE_RATIO
    return tiles


def _spans(length: int, side: float, overlap: float) -> list[tuple[int, int]]:
    """Return (start, end) of the spans of about `side` pixels that cover `length`, neighbors sharing `overlap`."""
    count = max(1, math.ceil((length - overlap) / (side - overlap / 2)))
    step = (length - overlap) / count
    return [
        (math.floor(number * step), min(length, math.ceil((number + 1) * step + overlap))) for number in range(count)
    ]


class TileScheduler:
    """Selects the tiles to search in each frame.

    Args:
        min_face_size: side of the smallest face, in pixels of an image SEARCH_WIDTH_PIXELS wide; in a narrower image,
            in pixels of the image.
        window: of the detector, see `make_tiles`.
        tiles: (width, height, smallest face) in pixels -> the tiles of an image, in place of `make_tiles`.
    """

    def __init__(
        self, min_face_size: float, window: float, tiles: Callable[[int, int, float], list[Tile]] | None = None
    ) -> None:
        self._min_face_size = min_face_size
        self._make_tiles = tiles or partial(make_tiles, window=window)
        self._shape: tuple[int, ...] = ()
        self._tiles: list[Tile] = []
        self._cells = np.zeros((1, 1), np.float32)  # of the last frame
        self._cells_at_search: list[NDArray[np.float32]] = []  # of each tile
        self._searched_at: list[float] = []  # seconds, of each tile
        self._now = 0.0  # seconds, of the last frame
        self._next = 0  # number of the next tile that comes due
        self._due = 0.0  # tiles that came due but were not yet returned, a fraction

    def select_tiles(self, gray: NDArray[np.uint8], now: float, tracked: Sequence[Box]) -> tuple[list[Tile], bool]:
        """Return the tiles of `gray` (height, width) to search at `now` seconds, and whether this is another scene.

        Motion at the boxes in `tracked` is no reason to search.
        """
        cells = _cell_means(gray)
        if gray.shape != self._shape:
            self._shape, self._tiles, self._next = gray.shape, self.all_tiles(gray.shape), 0
            scene_cut = True
        else:
            change = cells - self._cells
            scene_cut = float(np.abs(change - change.mean()).mean()) > SCENE_CUT_THRESHOLD or now < self._now
        self._cells = cells
        if scene_cut:
            self._now, self._due = now, 0.0
            self._cells_at_search = [cells] * len(self._tiles)
            self._searched_at = [now] * len(self._tiles)
            return self._tiles, True
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
        min_face_size = self._min_face_size * max(1.0, width / SEARCH_WIDTH_PIXELS)
        return self._make_tiles(width, height, min_face_size)

    def _next_due(self, now: float, scan_seconds: float) -> list[int]:
        """Return the numbers of the tiles that are due when a scan of all tiles takes `scan_seconds`."""
        count = len(self._tiles)
        self._due = min(count, self._due + (now - self._now) / scan_seconds * count)
        self._now = now
        due = [(self._next + step) % count for step in range(int(self._due))]
        self._due -= len(due)
        self._next = (self._next + len(due)) % max(1, count)
        return due

    def _has_motion(self, number: int, cells: NDArray[np.float32], now: float, tracked: Sequence[Box]) -> bool:
        """Return whether anything moved in the tile of `number` since it was searched, or could have."""
        if now - self._searched_at[number] >= MAX_TILE_AGE_SECONDS:
            return True
        change = cells - self._cells_at_search[number]
        moved = np.abs(change - np.median(change)) > MOTION_THRESHOLD  # a lamp that is switched on changes all cells
        for box in tracked:
            moved[_covered_cells(box, TRACK_PADDING)] = False
        return bool(moved[_covered_cells(self._tiles[number].area, 0.0)].any())


def _cell_means(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each cell over all of its pixels: with subsampling, camera noise would pass for motion."""
    rows, columns = (max(1, side // CELL_PIXELS) for side in gray.shape)
    cells = gray[: rows * CELL_PIXELS, : columns * CELL_PIXELS]
    # Repeated halving is many times faster than one step: 0.1 ms at 1920 x 1080.
    for _ in range(CELL_PIXELS.bit_length() - 1):
        size = (max(1, cells.shape[1] // 2), max(1, cells.shape[0] // 2))
        cells = cv2.resize(cells, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cells.astype(np.float32)


def _covered_cells(box: Box, padding: float) -> tuple[slice, slice]:
    """Return the (rows, columns) of the cells that `box`, padded by `padding` times its side on each side, touches."""
    dx, dy = box.width * padding, box.height * padding
    x0, y0 = (max(0, math.floor(value / CELL_PIXELS)) for value in (box.x - dx, box.y - dy))
    x1, y1 = (math.ceil(value / CELL_PIXELS) for value in (box.x + box.width + dx, box.y + box.height + dy))
    return slice(y0, max(y0, y1)), slice(x0, max(x0, x1))
