"""Who is who from frame to frame, and what they show, steadied over time. All times in seconds, never in frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.values import Box, Face

OVERLAP = 0.3  # intersection over union from which a find is the face that was there before
LEAD = 0.1  # share by which another label must be ahead before it takes over: two near labels do not flicker
SLACK = 0.05  # share below `unsure` down to which a label that was given stays


@dataclass
class _Track:
    """One person in front of the camera."""

    id: int
    box: Box
    scores: NDArray[np.float32]
    label: int | None
    seen: float


class Tracker:
    """Keeps identities and averages scores.

    Args:
        unsure: share below which a face gets no label, 0 to 1.
        half_life: seconds after which an old score counts half; 0 takes each frame's scores as they are.
        memory: seconds for which a face that is not found keeps its identity.
    """

    def __init__(self, unsure: float = 0.0, half_life: float = 0.3, memory: float = 0.7) -> None:
        self._unsure, self._half_life, self._memory = unsure, half_life, memory
        self._tracks: list[_Track] = []
        self._next_id = 1

    def update(self, found: Sequence[tuple[Box, NDArray[np.float32]]], seconds: float) -> tuple[Face, ...]:
        """Return the faces `found` at `seconds`, in their order, each with its identity and steadied scores."""
        self._tracks = [track for track in self._tracks if seconds - track.seen <= self._memory]
        free = list(self._tracks)
        faces = []
        for box, scores in found:
            track = max(free, key=lambda track: track.box.overlap(box), default=None)
            if track is not None and track.box.overlap(box) >= OVERLAP:
                free.remove(track)
                self._follow(track, box, scores, seconds)
            else:
                track = self._begin(box, scores, seconds)
            faces.append(Face(track.box, track.scores, track.id, track.label))
        return tuple(faces)

    def _begin(self, box: Box, scores: NDArray[np.float32], seconds: float) -> _Track:
        track = _Track(self._next_id, box, scores, self._label(None, scores), seconds)
        self._next_id += 1
        self._tracks.append(track)
        return track

    def _follow(self, track: _Track, box: Box, scores: NDArray[np.float32], seconds: float) -> None:
        keep = 0.5 ** ((seconds - track.seen) / self._half_life) if self._half_life > 0 else 0.0
        track.scores = (keep * track.scores + (1 - keep) * scores).astype(np.float32)
        track.box, track.seen = box, seconds
        track.label = self._label(track.label, track.scores)

    def _label(self, before: int | None, scores: NDArray[np.float32]) -> int | None:
        """Return the label that `scores` give a face that had `before`: changed only for a clear lead."""
        strongest = int(scores.argmax())
        if before is None or scores[strongest] - scores[before] > LEAD:
            return strongest if scores[strongest] >= self._unsure else None
        return before if scores[before] >= self._unsure - SLACK else None
