"""Processes the frames of several files, one file after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from edge.types import Frame, FrameResult, InferenceStats

if TYPE_CHECKING:
    from edge.pipeline import FrameProcessor


class FileProcessor:
    """Processes each video anew, so that nobody is taken for a person of the video before. Successive images share one
    processor, which keeps nothing from image to image.

    Args:
        make_processor: called with whether the next frames are images; returns what processes them.
    """

    def __init__(self, make_processor: Callable[[bool], FrameProcessor]) -> None:
        self._make_processor = make_processor
        self._processor: FrameProcessor | None = None
        self._file: tuple[str | None, bool] = (None, False)  # of the last frame: its name, and whether it is an image
        self._last_id = self._first_id = 0  # the highest track id so far; the same when the processor was made
        self._inference = self._inference_before = InferenceStats()  # so far; the same when the processor was made

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`; its track ids are those of no other file."""
        file = (frame.source_name, frame.is_image)
        if self._processor is None or (file != self._file and not (frame.is_image and self._file[1])):
            self._processor = self._make_processor(frame.is_image)
            self._first_id, self._inference_before = self._last_id, self._inference
        self._file = file
        # On the clock of the file: the same sums of seconds whatever was read before, and so the same results.
        of_file = replace(frame, time=frame.file.time) if frame.file else frame
        result = self._processor.process(of_file, capture_seconds)
        begin = frame.time - of_file.time
        faces = tuple(
            replace(face, track_id=face.track_id + self._first_id, since=face.since + begin) for face in result.faces
        )
        tracks = tuple(
            replace(track, track_id=track.track_id + self._first_id if track.track_id else 0) for track in result.tracks
        )
        ids = [face.track_id for face in faces] + [track.track_id for track in tracks]
        self._last_id = max([self._last_id, *ids])
        before, now = asdict(self._inference_before), asdict(result.stats.inference)
        self._inference = InferenceStats(**{name: before[name] + now[name] for name in now})
        stats = replace(result.stats, inference=self._inference)
        return replace(result, frame=frame, faces=faces, tracks=tracks, stats=stats)
