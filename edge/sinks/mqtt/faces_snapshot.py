"""The faces that are present at one moment, and whether they changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edge.sinks.active_faces import ActiveFaces
from edge.types import FaceResult, Frame


class FacesSnapshot(NamedTuple):
    """The faces that are present at one moment. Without the frame, whose image would stay in memory."""

    taken_at: float  # seconds since 1970
    source_time: float  # the same moment in seconds on the source's clock
    size: tuple[int, int]  # (width, height) of the image in pixels
    faces: tuple[FaceResult, ...]  # by track id: the one that has been present longest comes first
    changed: bool = False  # since the snapshot before: a face came or went, or has another label
    source_name: str = ""  # name of the image or video file; empty: a camera


class ChangeDetector:
    """Makes a snapshot of each frame, and compares it with the one before."""

    def __init__(self) -> None:
        self._active_faces = ActiveFaces()
        self._labels: dict[int, str | None] | None = None  # track id -> label; None: before the first frame

    def update(self, frame: Frame, faces: Sequence[FaceResult], taken_at: float) -> FacesSnapshot:
        """Return the snapshot of `frame`, taken at `taken_at` seconds since 1970, with `faces` in it."""
        if frame.is_image:  # image files are unrelated to each other
            self._active_faces.clear()
            self._labels = None
        present = self._active_faces.update(frame.time, faces)
        labels = {face.track_id: face.label for face in present}
        changed, self._labels = labels != self._labels, labels
        height, width = frame.gray.shape
        return FacesSnapshot(taken_at, frame.time, (width, height), present, changed, frame.source_name)

    def clear(self) -> None:
        """Remove all faces, when frames have ended."""
        self._active_faces.clear()
        self._labels = {}
