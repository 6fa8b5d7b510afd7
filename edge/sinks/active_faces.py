"""Who is there: faces come at once, and go when they were not found for a second, so that a blink is no change."""

from __future__ import annotations

from collections.abc import Sequence

from edge.types import FaceResult

GONE_SECONDS = 1.0  # without being found, after which a face has gone


class ActiveFaces:
    """Keeps the newest reading of each face that is there."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, FaceResult]] = {}  # face -> when it was found last, and how it was

    def update(self, now: float, readings: Sequence[FaceResult]) -> tuple[FaceResult, ...]:
        """Return the faces that are there at `now` seconds, given what was just read; who came first comes first."""
        self._last |= {reading.track_id: (now, reading) for reading in readings}
        for track_id in [track_id for track_id, (last, _) in self._last.items() if now - last > GONE_SECONDS]:
            del self._last[track_id]
        return tuple(reading for _, (_, reading) in sorted(self._last.items()))

    def clear(self) -> None:
        """Have everybody gone."""
        self._last.clear()
