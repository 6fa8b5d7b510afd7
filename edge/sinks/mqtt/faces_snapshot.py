"""Who is there at one moment, and whether that has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edge.sinks.active_faces import ActiveFaces
from edge.types import FaceResult, Frame


class Scene(NamedTuple):
    """The faces that were there at one moment. Not the frame, whose image would stay in memory."""

    moment: float  # seconds since 1970
    clock: float  # seconds: the same moment on the source's own clock
    size: tuple[int, int]  # (width, height) in pixels, of the image
    faces: tuple[FaceResult, ...]  # by their id: who has been there longest comes first
    changed: bool = False  # since the scene before: somebody came or went, or has another label
    name: str = ""  # of the image's file, where each frame is one


class Watch:
    """Makes scenes of frames."""

    def __init__(self) -> None:
        self._presence = ActiveFaces()
        self._labels: dict[int, str | None] | None = None

    def update(self, frame: Frame, readings: Sequence[FaceResult], moment: float) -> Scene:
        """Return the scene at `moment`, seconds since 1970, given what was read in `frame`."""
        if frame.source_name:  # an image of its own has nothing to do with the one before
            self._presence.clear()
            self._labels = None
        faces = self._presence.update(frame.time, readings)
        labels = {reading.track_id: reading.label for reading in faces}
        changed, self._labels = labels != self._labels, labels
        height, width = frame.gray.shape
        return Scene(moment, frame.time, (width, height), faces, changed, frame.source_name)

    def forget(self) -> None:
        """Have everybody gone: no more frames come."""
        self._presence.clear()
        self._labels = {}
