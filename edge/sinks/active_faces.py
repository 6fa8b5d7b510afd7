"""The faces that are present: one comes with its first frame, and goes a second after its last, so that a missed
detection is no change."""

from __future__ import annotations

from collections.abc import Sequence

from edge.types import FaceResult

GONE_AFTER_SECONDS = 1.0  # without a result


class ActiveFaces:
    """Keeps the newest result of each face that is present."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, FaceResult]] = {}  # track id -> time of the newest result, and the result

    def update(self, now: float, faces: Sequence[FaceResult]) -> tuple[FaceResult, ...]:
        """Return the faces that are present at `now` seconds, by track id, given those of the current frame."""
        self._last |= {face.track_id: (now, face) for face in faces}
        for track_id in [track_id for track_id, (last, _) in self._last.items() if now - last > GONE_AFTER_SECONDS]:
            del self._last[track_id]
        return tuple(face for _, (_, face) in sorted(self._last.items()))

    def clear(self) -> None:
        """Remove all faces."""
        self._last.clear()
