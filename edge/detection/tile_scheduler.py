"""The whole picture, searched a piece at a time, where something changed.

A full-frame search takes as long as dozens of frames are apart. Cut into pieces, of which one or two are searched in
each frame, it takes no frame hostage; and a piece in which nothing moved since it was searched cannot hold a new face.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Box

SEARCH_WIDTH = 640  # pixels; in a wider picture the smallest face grows along: cost does not grow with the camera
ALONE = 0.5  # seconds for the whole picture while nobody is known: the longest that the first face waits
COMPANY = 1.25  # seconds for the whole picture while somebody is known: the longest that a second face waits
REST = 4.0  # seconds after which a piece is searched even if nothing seems to have changed
BAND = 1.7  # largest by smallest face of a piece
OVERLAP = 1.15  # by which two bands of sizes overlap: a size near the edge of one has its neighbours in the other
PIECE = 45_000  # pixels of a piece as it is searched, about; more pieces overlap more
CELL = 16  # pixels a side over which changes are averaged; a power of two
CHANGED = 6.0  # grey levels of a cell's mean; a camera's noise of 10 levels a pixel moves it by less than 2
CUT = 14.0  # grey levels of the mean change over all cells from one frame to the next that make another scene


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the picture and the sizes of faces to search for in it."""

    area: Box
    smallest: float  # pixels
    largest: float


def pieces(width: int, height: int, min_face: float, window: float) -> list[Piece]:
    """Return the pieces that together are the search of a picture for faces of at least `min_face` pixels.

    Args:
        width, height: of the picture in pixels.
        min_face: side of the smallest face in pixels.
        window: side in pixels to which the detector shrinks the smallest face of a piece.
    """
    found = []
    smallest = min_face
    while smallest <= min(width, height):
        largest = smallest * BAND * OVERLAP
        found += [Piece(area, smallest, largest) for area in _tiles(width, height, largest, smallest / window)]
        smallest *= BAND
    return found


def _tiles(width: int, height: int, overlap: float, shrink: float) -> Iterator[Box]:
    """Yield areas of about PIECE pixels each after shrinking; a face of `overlap` pixels lies wholly inside one."""
    shrink = max(1.0, shrink)
    side = max(math.sqrt(PIECE) * shrink, 1.5 * overlap)
    columns, rows = (max(1, math.ceil((length - overlap) / (side - overlap / 2))) for length in (width, height))
    for row in range(rows):
        for column in range(columns):
            x0, x1 = _span(column, columns, width, overlap)
            y0, y1 = _span(row, rows, height, overlap)
            yield Box(x0, y0, x1 - x0, y1 - y0)


def _span(number: int, count: int, length: int, overlap: float) -> tuple[int, int]:
    step = (length - overlap) / count
    return math.floor(number * step), min(length, math.ceil((number + 1) * step + overlap))


class Sweep:
    """Says for each frame which pieces to search.

    Args:
        min_face: side of the smallest face, in pixels of a picture SEARCH_WIDTH wide; of the picture where narrower.
        window: of the detector.
    """

    def __init__(self, min_face: float, window: float) -> None:
        self._min_face, self._window = min_face, window
        self._shape: tuple[int, ...] = ()
        self._cells = np.zeros((1, 1), np.float32)  # of the last frame

    def look(self, grey: NDArray[np.uint8], now: float, known: Sequence[Box]) -> tuple[list[Piece], bool]:
        """Return the pieces of `grey` (height, width) to search at `now` seconds, and whether the scene is another one.

        What moves at the place of the faces `known` is no reason to search.
        """
        cells = _cells(grey)
        if grey.shape != self._shape:
            self._begin(grey.shape, now)
            return self._all(cells, now), True
        jump = cells - self._cells
        another = float(np.abs(jump - jump.mean()).mean()) > CUT or now < self._now
        self._cells = cells
        if another:
            return self._all(cells, now), True
        turn = self._next(now, COMPANY if known else ALONE)
        chosen = [place for place in turn if self._stirred(place, cells, now, known)]
        self._note(chosen, cells, now)
        return [self._pieces[place] for place in chosen], False

    def lose(self, box: Box) -> None:
        """Have the pieces at `box` searched again though nothing changes: somebody was there a moment ago."""
        for place, piece in enumerate(self._pieces):
            if box.overlap(piece.area):
                self._searched[place] = -math.inf

    def whole(self, grey: NDArray[np.uint8]) -> list[Piece]:
        """Return all pieces of a picture on its own; the next `look` begins anew."""
        self._shape = ()
        return self._cut(grey.shape)

    def _cut(self, shape: tuple[int, ...]) -> list[Piece]:
        height, width = shape
        return pieces(width, height, self._min_face * max(1.0, width / SEARCH_WIDTH), self._window)

    def _begin(self, shape: tuple[int, ...], now: float) -> None:
        self._shape = shape
        self._pieces = self._cut(shape)
        self._searched = [now] * len(self._pieces)
        self._place, self._owed, self._now = 0, 0.0, now

    def _all(self, cells: NDArray[np.float32], now: float) -> list[Piece]:
        self._cells, self._now, self._owed = cells, now, 0.0
        self._before = [cells] * len(self._pieces)
        self._searched = [now] * len(self._pieces)
        return self._pieces

    def _next(self, now: float, seconds: float) -> list[int]:
        """Return the places of the pieces whose turn it is when all of them have `seconds`."""
        count = len(self._pieces)
        self._owed = min(count, self._owed + (now - self._now) / seconds * count)
        self._now = now
        turn = [(self._place + step) % count for step in range(int(self._owed))]
        self._owed -= len(turn)
        self._place = (self._place + len(turn)) % max(1, count)
        return turn

    def _stirred(self, place: int, cells: NDArray[np.float32], now: float, known: Sequence[Box]) -> bool:
        if now - self._searched[place] >= REST:
            return True
        change = cells - self._before[place]
        changed = np.abs(change - np.median(change)) > CHANGED  # a lamp that is switched on changes all cells
        for box in known:
            changed[_cover(box, 0.4)] = False
        return bool(changed[_cover(self._pieces[place].area, 0.0)].any())

    def _note(self, chosen: list[int], cells: NDArray[np.float32], now: float) -> None:
        for place in chosen:
            self._before[place], self._searched[place] = cells, now


def _cells(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each cell: of all its pixels, or a camera's noise would seem to move."""
    rows, columns = (max(1, side // CELL) for side in grey.shape)
    cells = grey[: rows * CELL, : columns * CELL]
    for _ in range(CELL.bit_length() - 1):  # halving is many times faster than one step: 0.1 ms at 1920 x 1080
        size = (max(1, cells.shape[1] // 2), max(1, cells.shape[0] // 2))
        cells = cv2.resize(cells, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cells.astype(np.float32)


def _cover(box: Box, margin: float) -> tuple[slice, slice]:
    """Return the cells that `box`, widened by `margin` of its side, touches."""
    wide, high = box.width * margin, box.height * margin
    x0, y0 = (max(0, math.floor(value / CELL)) for value in (box.x - wide, box.y - high))
    x1, y1 = (math.ceil(value / CELL) for value in (box.x + box.width + wide, box.y + box.height + high))
    return slice(y0, max(y0, y1)), slice(x0, max(x0, x1))
