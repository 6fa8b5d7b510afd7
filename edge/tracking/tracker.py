"""Who is where: the search near known faces often and elsewhere in turn, and who is who from frame to frame.

All times are in seconds, so that a slow board behaves like a fast one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.detection.haar import DENSE, MIN_FACE, SCALE, WINDOW, Detector
from edge.detection.tile_scheduler import Piece, Sweep
from edge.tracking.template_matching import follow, memorise
from edge.types import Box, Find, Sighting

CHECK = 0.1  # seconds between two searches near a face that is followed all the while
NEAR = 0.5  # of its side, around a face, that such a search covers
SHRUNK, GROWN = SCALE**-3, SCALE**3  # sizes, of the face's last one, that it looks for: three steps down and up
SETTLE = 0.1  # seconds after which the size of the last find counts half: Haar's sizes waver more than faces do
SAME = 0.3  # intersection over union from which a find is the face that was there before
TWICE = 0.6  # intersection over union from which two faces are one; of one half behind another it is less
HOLD = 1.0  # seconds for which a face that is followed but no longer found is still believed
MEMORY = 2.0  # seconds for which somebody who is out of sight keeps the identity
AWAY = 1.0  # sides of the face, within which somebody comes back to
CONVINCING = 6  # hits that make a face at once
STILL = 6  # hits that make a face in a picture on its own, which has no second look but is searched with all care
LASTING = 3  # searches that have to find a less convincing one


@dataclass(eq=False)
class _Track:
    """One person in front of the camera."""

    id: int  # 0 until the face is believed
    box: Box
    face: NDArray[np.uint8]  # what it is followed by
    found: float  # seconds, of the last search that found it
    searched: float  # seconds, of the last search for it
    finds: int  # searches that found it
    convinced: bool

    @property
    def believed(self) -> bool:
        return self.convinced or self.finds >= LASTING


class Tracker:
    """Keeps an eye on everybody.

    Args:
        detector: finds faces in a part of a picture.
        min_face: side of the smallest face, in pixels of a picture SEARCH_WIDTH wide; of the picture where narrower.
    """

    def __init__(self, detector: Detector, min_face: int = MIN_FACE) -> None:
        self._detector = detector
        self._sweep = Sweep(min_face, WINDOW)
        # Near a known face either none of the sizes is tried at every place, or all are. When some were, most hits came
        # from these, the larger ones, and their mean was 5 % too large.
        self._sparse, self._dense = detector.own, detector.own * DENSE
        self._tracks: list[_Track] = []
        self._gone: list[_Track] = []
        self._last_id = 0

    def still(self, grey: NDArray[np.uint8]) -> tuple[Sighting, ...]:
        """Return the faces in `grey` (height, width), a picture on its own, the largest first."""
        self._tracks, self._gone = [], []
        finds = self._search(grey, self._sweep.whole(grey), self._dense)
        finds = [find for find in finds if find.support >= STILL]
        first, self._last_id = self._last_id + 1, self._last_id + len(finds)
        boxes = sorted((find.box for find in finds), key=lambda box: -box.width)
        return tuple(Sighting(number, box) for number, box in enumerate(boxes, start=first))

    def update(self, grey: NDArray[np.uint8], now: float) -> tuple[Sighting, ...]:
        """Return the faces in `grey` (height, width), the picture of `now` seconds, those known longest first."""
        pieces, another = self._sweep.look(grey, now, [track.box for track in self._tracks])
        if another:
            self._tracks, self._gone = [], []
        finds = self._search(grey, pieces)
        nearby: list[Find] = []
        for track in self._tracks:
            self._see(track, finds, nearby, grey, now)
        self._drop(now)
        for find in finds:
            if not any(track.box.overlap(find.box) > SAME for track in self._tracks):
                self._begin(find, grey, now)
        return tuple(Sighting(track.id, track.box) for track in self._tracks if track.id)

    def _search(self, grey: NDArray[np.uint8], pieces: Sequence[Piece], window: float = WINDOW) -> list[Find]:
        find = self._detector.find
        finds = (find(grey, piece.area, piece.smallest, piece.largest, window) for piece in pieces)
        return apart([found for some in finds for found in some])

    def _take(self, track: _Track, box: Box, finds: list[Find]) -> Find | None:
        """Return which of `finds` is `track`, thought to be in `box`, and take it off them; None if none is."""
        best = max(finds, key=lambda find: box.overlap(find.box), default=None)
        if best is None or box.overlap(best.box) < SAME:
            return None
        others = (other.box for other in self._tracks if other is not track)
        if any(other.overlap(best.box) > box.overlap(best.box) for other in others):
            return None  # it is who stands before this one
        finds.remove(best)
        return best

    def _see(self, track: _Track, finds: list[Find], nearby: list[Find], grey: NDArray[np.uint8], now: float) -> None:
        """Find `track` again, by what the sweep found, by a look near it, or by following it.

        What else the looks near faces find comes to be in `nearby`, for those that stand close together. Nobody new is
        made of it: in leaves or letters a look would lead to another without end.
        """
        find = self._take(track, track.box, finds) or self._take(track, track.box, nearby)
        there = follow(grey, track.box, track.face) if find is None else None
        if find is None and (there is None or now - track.searched >= CHECK):
            nearby += self._near(track, there or track.box, grey)
            find = self._take(track, there or track.box, nearby)
            track.searched = now
        if find is not None:
            self._confirm(track, find, grey, now)
        elif there is not None:
            track.box = there
        else:
            track.found = -np.inf  # neither found nor followed: out of sight

    def _near(self, track: _Track, box: Box, grey: NDArray[np.uint8]) -> list[Find]:
        """Search around `box`: cheaply, and with more care for somebody nearly believed, where nobody is found."""
        extra = round(box.width * NEAR)
        area = Box(box.x - extra, box.y - extra, box.width + 2 * extra, box.height + 2 * extra)
        sizes = box.width * SHRUNK, box.width * GROWN
        finds = self._detector.find(grey, area, *sizes, self._sparse)
        if not finds and (track.believed or track.finds >= LASTING - 1):
            finds = self._detector.find(grey, area, *sizes, self._dense)
        return finds

    def _confirm(self, track: _Track, find: Find, grey: NDArray[np.uint8], now: float) -> None:
        track.box = _settled(track.box, find.box, now - track.found) if track.finds else find.box
        track.face = memorise(grey, track.box)
        track.found = track.searched = now
        track.finds += 1
        track.convinced |= find.support >= CONVINCING
        if track.believed and not track.id:
            track.id = self._identity(track.box)

    def _begin(self, find: Find, grey: NDArray[np.uint8], now: float) -> None:
        track = _Track(0, find.box, memorise(grey, find.box), now, now, 0, convinced=False)
        self._confirm(track, find, grey, now)
        self._tracks.append(track)

    def _identity(self, box: Box) -> int:
        """Return the identity of somebody who was here a moment ago, or a new one."""
        near = [track for track in self._gone if _distance(track.box, box) <= AWAY]
        if near:
            back = min(near, key=lambda track: _distance(track.box, box))
            self._gone.remove(back)
            return back.id
        self._last_id += 1
        return self._last_id

    def _drop(self, now: float) -> None:
        """Let go of who is out of sight, and of the less sure of two tracks that came to be on one face."""
        kept: list[_Track] = []
        for track in sorted(self._tracks, key=lambda track: (-track.found, track.id)):
            held = HOLD if track.believed else CHECK * 2
            seen = now - track.found <= held
            if seen and not any(track.box.overlap(other.box) > TWICE for other in kept):
                kept.append(track)
            elif track.id:
                track.found = now
                self._gone.append(track)
                self._sweep.lose(track.box)
        self._tracks = [track for track in self._tracks if track in kept]
        self._gone = [track for track in self._gone if now - track.found <= MEMORY]


def apart(finds: Sequence[Find]) -> list[Find]:
    """Return `finds` without those that are another one's face once more, from an overlapping piece."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda find: -find.support):
        if not any(find.box.overlap(other.box) > SAME for other in kept):
            kept.append(find)
    return kept


def _settled(before: Box, found: Box, seconds: float) -> Box:
    """Return the square `found`, its size averaged with that of `before`, found so many `seconds` earlier."""
    kept = 0.5 ** (max(0.0, seconds) / SETTLE)
    side = round(before.width**kept * found.width ** (1 - kept))
    return Box(round(found.x + (found.width - side) / 2), round(found.y + (found.height - side) / 2), side, side)


def _distance(box: Box, other: Box) -> float:
    """Return how far apart two boxes' centres are, in sides of the larger."""
    dx = box.x + box.width / 2 - other.x - other.width / 2
    dy = box.y + box.height / 2 - other.y - other.height / 2
    return float(np.hypot(dx, dy)) / max(box.width, other.width)
