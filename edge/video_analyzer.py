"""Results of a camera or of files, frame by frame, for a program that imports this package."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from edge import app
from edge.capture import registry as cameras
from edge.capture.file import read_files
from edge.capture.latest_frame import LatestFrame
from edge.config.defaults import DETECTOR, HALF_LIFE_SECONDS, MIN_FACE_SIZE
from edge.config.settings import RunSettings
from edge.errors import UsageError
from edge.pipeline import process_frames
from edge.types import Frame, FrameResult


def analyze_video(
    source: str | os.PathLike[str] | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    prior: str | None = None,
    detector: str = DETECTOR,
    min_face_size: int = MIN_FACE_SIZE,
    min_confidence: float | None = None,
    half_life: float = HALF_LIFE_SECONDS,
    calibrate_neutral: bool = False,
    threads: int = 1,
) -> Generator[FrameResult, None, None]:
    """Return the results of a video or a camera, one for each frame, as `edge run` has them.

    A face keeps its `track_id` from frame to frame; its probabilities are averaged over time. Of a file no frame is
    skipped. Of a camera each result is that of the newest frame; `stats.skipped` counts those that came while the
    caller was busy. The source is opened at the first frame, and closed when the generator ends: with the file, with an
    error, by its `close()`, or when nothing refers to it any more.

        from edge import analyze_video

        for result in analyze_video("film.mp4"):
            for face in result.faces:
                print(result.frame.time, face.track_id, face.label, face.confidence)

    Args:
        source: as of `edge run`: the path of a video, an image, a folder or a pattern; or a camera, such as "usb:0" or
            "synthetic"; None: the first camera found, else the synthetic one.
        model: name or path, as of `edge run --model`; None: the default one.
        prior: expected frequencies of the emotions, as of `edge run --prior`; None: the default of the model's card.
        detector: as of `edge run --detector`.
        min_face_size: side of the smallest face to detect, 16 to 640 pixels of an image 640 pixels wide.
        min_confidence: probability below which a face gets no label, 0 to 1; None: that of the model's card.
        half_life: seconds, of the average over time, 0 to 60; 0: no average.
        calibrate_neutral: learn what each face shows at rest, as `edge run --calibrate-neutral`.
        threads: of the model and of face detection, 1 to 64.

    Raises:
        UsageError: no camera, model or detector has that name, or the source is a number, such as 0 of OpenCV.
        SourceNotFoundError: there is no such file.
        SettingsError: a value is out of range or of another type, or the prior does not fit the model.
        ModelError: the file is not a model with a card.
        CameraError: with a frame: the source cannot be opened or decoded, or is lost. All others come before it.
    """
    if isinstance(source, os.PathLike):
        source = str(Path(source).absolute())  # a path, even if it has the name of a camera
    if source is not None and not (isinstance(source, str) and source.strip()):
        found = repr(source) if isinstance(source, str | int) else f"a {type(source).__name__}"
        raise UsageError(f"source is {found}, expected the path of a video, or a camera; a USB camera is 'usb:0'")
    settings = RunSettings(
        source=app.detect_source() if source is None else source,
        model=None if model is None else os.fspath(model),
        prior=prior,
        detector=detector,
        min_face_size=min_face_size,
        min_confidence=min_confidence,
        half_life=half_life,
        calibrate_neutral=calibrate_neutral,
        threads=threads,
    )
    files = app.list_files(settings)
    name = settings.source or ""
    live = cameras.is_live(name)
    classifier = app.make_classifier(settings, live=live)
    processor = (
        app.make_file_processor(settings, classifier) if files else app.make_processor(settings, classifier, live=live)
    )

    def results() -> Generator[FrameResult, None, None]:
        frames: LatestFrame | closing[Generator[Frame, None, None]]
        if live:
            frames = LatestFrame(cameras.undecoded_frames(name))
        else:
            frames = closing(read_files(files, []) if files else cameras.frames(name))
        with frames as opened:
            yield from process_frames(processor, opened)

    return results()
