"""Detection over the complete image in tiles: a few in each frame, and only where something changed.

A scan of the complete image takes as long as many frames. Cut into tiles, of which one or two are searched in each
frame, it delays no frame; and a tile without motion since it was last searched cannot hold a new face.

The tiles reach beyond the image, so that a face is found that the border cuts. After motion a tile is also searched
for a head that is tilted to one side and, when it comes due again, to the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import SEARCH_WIDTH_PIXELS
from edge.types import Box

FULL_SCAN_SECONDS_IDLE = 0.5  # for all tiles while there is no track: the longest delay of the first face
FULL_SCAN_SECONDS_TRACKING = 1.25  # for all tiles while there is a track: the longest delay of a second face
MAX_TILE_AGE_SECONDS = 10.0  # after which a tile is searched even without motion
SIZE_RATIO = 1.7  # of the largest to the smallest face size of a tile
SIZE_OVERLAP = 1.15  # of the size ranges of two tiles: a size near the limit of one has its neighbors in the other
TILE_PIXELS = 45_000  # about the area of a downscaled tile; more tiles overlap more
CELL_PIXELS = 16  # side of a cell over which changes are averaged; a power of two
MOTION_THRESHOLD = 6.0  # gray levels of a cell's mean; camera noise of 10 levels a pixel changes it by less than 2
MOTION_PADDING = 0.8  # of a tile's largest face, around the cells that moved: how far a search reaches
UPRIGHT_SEARCHES = 3  # of a tile in which the motion goes on, before each turned one
MEDIAN_SAMPLES = 150  # cells of which the median is taken
SCENE_CUT_THRESHOLD = 14.0  # gray levels of the mean change over all cells from one frame to the next
TRACK_PADDING = 0.4  # of a tracked face's side, around it: motion there is no reason to search


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the image and the face sizes to detect in it."""

    area: Box
    min_size: float  # pixels
    max_size: float  # pixels
    roll: float = 0.0  # degrees by which the heads to detect are tilted, see Detection


def make_tiles(width: int, height: int, min_face_size: float, window: float, border: float = 0.0) -> list[Tile]:
    """Return the tiles that together cover an image for faces of at least `min_face_size` pixels.

    Each face lies inside the area of a tile for its size. A tile has about TILE_PIXELS when it is downscaled.

    Args:
        width, height: of the image in pixels.
        min_face_size: side of the smallest face in pixels.
        window: pixels that the detector downscales a tile's smallest face to.
        border: how far tiles reach beyond the image, as a fraction of their largest face.
    """
    tiles = []
    min_size = min_face_size
    while min_size <= min(width, height):
        max_size = min_size * SIZE_RATIO * SIZE_OVERLAP
        side = max(math.sqrt(TILE_PIXELS) * max(1.0, min_size / window), 1.5 * max_size)
        pad = round(border * max_size)
        columns, rows = (make_spans(length + 2 * pad, side, max_size) for length in (width, height))
        areas = [Box(x0 - pad, y0 - pad, x1 - x0, y1 - y0) for y0, y1 in rows for x0, x1 in columns]
        tiles += [Tile(area, min_size, max_size) for area in areas]
        min_size *= SIZE_RATIO
    return tiles


def make_spans(length: int, side: float, overlap: float) -> list[tuple[int, int]]:
    """Return (start, end) of the spans of about `side` pixels that cover `length`, neighbors sharing `overlap`."""
    count = max(1, math.ceil((length - overlap) / (side - overlap / 2)))
    step = (length - overlap) / count
    return [
        (math.floor(number * step), min(length, math.ceil((number + 1) * step + overlap))) for number in range(count)
    ]


@dataclass(eq=False)
class _TileState:
    """What the scheduler keeps of one tile."""

    tile: Tile
    cells: NDArray[np.float32]  # of the complete image, when the tile was last searched; at a tracked face older ones
    searched_at: float  # seconds
    unexplained: NDArray[np.bool_]  # of its cells, what moved last and was not yet searched for tilted heads
    is_invalid: bool = False  # whether it is searched even without motion
    upright_searches: int = 0  # since the last turned one
    turned_searches: int = 0  # while the motion went on


class TileScheduler:
    """Selects the tiles to search in each frame.

    Args:
        min_face_size: side of the smallest face, in pixels of an image SEARCH_WIDTH_PIXELS wide; in a narrower image,
            in pixels of the image.
        window: of the detector, see `make_tiles`.
        tiles: (width, height, smallest face) in pixels -> the tiles of an image, in place of `make_tiles`.
        rolls: degrees, of the turned searches that the detector needs to find tilted heads.
    """

    def __init__(
        self,
        min_face_size: float,
        window: float,
        tiles: Callable[[int, int, float], list[Tile]] | None = None,
        rolls: Sequence[float] = (),
    ) -> None:
        self._min_face_size, self._rolls = min_face_size, tuple(rolls)
        self._make_tiles = tiles or partial(make_tiles, window=window)
        self._shape: tuple[int, ...] = ()
        self._states: list[_TileState] = []  # of each tile
        self._cells = np.zeros((1, 1), np.float32)  # of the last frame
        self._tracked_at = np.zeros((1, 1))  # seconds, of each cell: when a tracked face was last there
        self._now = 0.0  # seconds, of the last frame
        self._next = 0  # number of the next tile that comes due
        self._due = 0.0  # tiles that came due but were not yet returned, a fraction

    def select_tiles(self, gray: NDArray[np.uint8], now: float, tracked: Sequence[Box]) -> tuple[list[Tile], bool]:
        """Return the tiles of `gray` (height, width) to search at `now` seconds, and whether this is another scene.

        Motion at the boxes in `tracked` is no reason to search.
        """
        cells = _cell_means(gray)
        scene_cut = gray.shape != self._shape or now < self._now or _is_scene_cut(self._cells, cells)
        self._cells = cells
        if scene_cut:
            is_first = gray.shape != self._shape
            if is_first:
                self._shape, self._next = gray.shape, 0
            self._now, self._due = now, 0.0
            tiles = self.all_tiles(gray.shape)
            # A film may have a cut every second: there, tilted heads are searched only where something moves.
            self._states = [
                _TileState(tile, cells, now, np.full_like(cells[_cells_of(tile)], is_first, np.bool_)) for tile in tiles
            ]
            self._tracked_at = np.full(cells.shape, -np.inf)
            return tiles, True
        for box in tracked:
            self._tracked_at[_covered_cells(box, TRACK_PADDING)] = now
        due = self._next_due(now, FULL_SCAN_SECONDS_TRACKING if tracked else FULL_SCAN_SECONDS_IDLE)
        return [tile for state in due for tile in self._select_searches(state, cells, now)], False

    def invalidate(self, box: Box) -> None:
        """Have the tiles at `box` searched again even without motion: a face was lost there."""
        for state in self._states:
            if box.iou(state.tile.area):
                state.is_invalid = True
        self._tracked_at[_covered_cells(box, TRACK_PADDING)] = -np.inf  # what moves there now may be the same face

    def all_tiles(self, shape: tuple[int, ...]) -> list[Tile]:
        """Return all tiles of an image of `shape` (height, width)."""
        height, width = shape
        min_face_size = self._min_face_size * max(1.0, width / SEARCH_WIDTH_PIXELS)
        return self._make_tiles(width, height, min_face_size)

    def _select_searches(self, state: _TileState, cells: NDArray[np.float32], now: float) -> list[Tile]:
        """Return the searches of a tile that is due, if it needs any, and note them in `state`.

        After motion an upright search comes first; when the tile is due again, all turned ones. While the motion goes
        on, one turned search, each roll in turn, comes after each UPRIGHT_SEARCHES. Where a tracked face was since the
        last search, its leaving explains the motion: such places are not searched for tilted heads.

        Args:
            cells: means of all cells of the image.
        """
        tracked_at = self._tracked_at[_cells_of(state.tile)]
        moved = _moved_cells(state, cells) & (tracked_at < now)
        upright_due = moved.any() or state.is_invalid or now - state.searched_at >= MAX_TILE_AGE_SECONDS
        unexplained = moved & (tracked_at < state.searched_at)
        if unexplained.any():
            state.unexplained = unexplained
        turned_due = bool(self._rolls) and state.unexplained.any()
        if upright_due and turned_due and state.upright_searches >= UPRIGHT_SEARCHES:
            state.upright_searches, state.turned_searches = 0, state.turned_searches + 1
            roll = self._rolls[state.turned_searches % len(self._rolls)]
            return [_part_around(state.tile, state.unexplained, roll)]
        if upright_due:
            state.upright_searches += 1
            state.searched_at, state.is_invalid = now, False
            # Behind a tracked face the cells stay: when it leaves, the room is compared with what it was before.
            state.cells = np.where(self._tracked_at < now, cells, state.cells)
            return [_part_around(state.tile, moved) if moved.any() else state.tile]
        if not turned_due:
            return []
        searches = [_part_around(state.tile, state.unexplained, roll) for roll in self._rolls]
        state.unexplained, state.upright_searches = np.zeros_like(state.unexplained), 0
        return searches

    def _next_due(self, now: float, scan_seconds: float) -> list[_TileState]:
        """Return the tiles that are due when a scan of all tiles takes `scan_seconds`."""
        count = len(self._states)
        self._due = min(count, self._due + (now - self._now) / scan_seconds * count)
        self._now = now
        due = [self._states[(self._next + step) % count] for step in range(int(self._due))]
        self._due -= len(due)
        self._next = (self._next + len(due)) % max(1, count)
        return due


def _is_scene_cut(before: NDArray[np.float32], cells: NDArray[np.float32]) -> bool:
    """Return whether the image changed so much, apart from its brightness, that it shows another scene."""
    change = cells - before
    change -= cv2.mean(change)[0]  # on so few values OpenCV takes a tenth of NumPy's instructions
    return cv2.norm(change, cv2.NORM_L1) / change.size > SCENE_CUT_THRESHOLD


def _moved_cells(state: _TileState, cells: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which cells of a tile moved since it was searched."""
    change = cells - state.cells
    change -= _median(change)  # a lamp that is switched on changes all cells
    moved: NDArray[np.bool_] = np.abs(change[_cells_of(state.tile)]) > MOTION_THRESHOLD
    return moved


def _part_around(tile: Tile, moved: NDArray[np.bool_], roll: float = 0.0) -> Tile:
    """Return the part of `tile` around those of its cells that `moved`."""
    area = tile.area
    rows, columns = _cells_of(tile)
    pad = MOTION_PADDING * min(tile.max_size, max(area.width, area.height))
    x0, x1 = _span(np.any(moved, axis=0), columns.start, pad, area.x, area.x + area.width)
    y0, y1 = _span(np.any(moved, axis=1), rows.start, pad, area.y, area.y + area.height)
    return replace(tile, area=Box(x0, y0, x1 - x0, y1 - y0), roll=roll)


def _span(moved: NDArray[np.bool_], offset: int, pad: float, start: int, end: int) -> tuple[int, int]:
    """Return (first, last) pixel of the cells that `moved`, the first of which is `offset`, padded and clipped."""
    (places,) = np.nonzero(moved)
    first, last = (offset + int(places[0])) * CELL_PIXELS, (offset + int(places[-1]) + 1) * CELL_PIXELS
    return max(start, math.floor(first - pad)), min(end, math.ceil(last + pad))


def _median(values: NDArray[np.float32]) -> float:
    """Return the median of about MEDIAN_SAMPLES of `values`: of all 1200 cells it took 260,000 instructions."""
    sample = values.ravel()[:: values.size // MEDIAN_SAMPLES + 1]
    return float(np.partition(sample, sample.size // 2)[sample.size // 2])


def _cell_means(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each cell over every second row: with fewer pixels, camera noise would pass for motion."""
    rows, columns = (max(1, side // CELL_PIXELS) for side in gray.shape)
    cells = gray[: rows * CELL_PIXELS : 2, : columns * CELL_PIXELS]
    # Repeated halving takes a tenth of the instructions of one step.
    while cells.shape != (rows, columns):
        size = max(columns, cells.shape[1] // 2), max(rows, cells.shape[0] // 2)
        cells = cv2.resize(cells, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cells.astype(np.float32)


def _cells_of(tile: Tile) -> tuple[slice, slice]:
    """Return the (rows, columns) of the cells of `tile`."""
    return _covered_cells(tile.area, 0.0)


def _covered_cells(box: Box, padding: float) -> tuple[slice, slice]:
    """Return the (rows, columns) of the cells that `box`, padded by `padding` times its side on each side, touches."""
    dx, dy = box.width * padding, box.height * padding
    x0, y0 = (max(0, math.floor(value / CELL_PIXELS)) for value in (box.x - dx, box.y - dy))
    x1, y1 = (math.ceil(value / CELL_PIXELS) for value in (box.x + box.width + dx, box.y + box.height + dy))
    return slice(y0, max(y0, y1)), slice(x0, max(x0, x1))
