"""The frames of several files are processed one file after the other."""

from dataclasses import replace

from edge.file_processor import FileProcessor
from edge.types import FrameResult, Track
from tests.support import fakes


def test_tracks_of_several_files_have_ids_of_their_own():
    class Followed:
        def process(self, frame, capture_seconds=0.0):  # noqa: ARG002 (of FrameProcessor)
            tracks = tuple(Track(track_id, fakes.FACE_BOX) for track_id in (1, 4, 0))
            return FrameResult(frame, (fakes.face_result(track_id=2),), {}, tracks=tracks)

    processor = FileProcessor(lambda _: Followed())
    ids = []
    for name in ("a.mp4", "b.mp4"):
        result = processor.process(replace(fakes.frame(source_name=name), is_image=False))
        ids.append([face.track_id for face in result.faces] + [track.track_id for track in result.tracks])
    assert ids == [[2, 1, 4, 0], [6, 5, 8, 0]]  # 0: perhaps no face
