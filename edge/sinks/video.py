"""Writes the annotated images: to a video, `video:FILE.mp4` (.avi, .webm), or to image files, `video:FILE.png` (.jpg).

`video:FOLDER` writes a video that is named by the time at which the run started; so does a service, whose name is
FILE-TIME.mp4, because it is restarted. No other run's file is replaced without `overwrite`.

This sink stores images of faces. `video:FILE.mp4,blur` pixelates those that are found, and a face that was lost for a
second longer. A video plays at the source's speed: the last image is repeated where frames came late or were skipped.
Several image files are FILE.png, FILE-2.png, FILE-3.png and so on. If a camera is faster than the disk and
MAX_QUEUED_IMAGES wait, the oldest is dropped; the number of dropped images is logged at the end. If the disk has less
than MIN_FREE_DISK_BYTES left, the recording ends with an error and is complete up to there: the rest is for other
programs. A video that could not be completed is deleted, and an earlier file with its name is kept.
"""

from __future__ import annotations

import difflib
import logging
import math
import os
import re
import shutil
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.image_formats import COLOR_IMAGE_SUFFIXES
from edge.errors import SinkError, UsageError
from edge.sinks.annotate import annotate
from edge.sinks.background_writer import BackgroundWriter
from edge.sinks.face_blur import FaceBlur
from edge.sinks.output_file import at_start_time, check_new, make_output_folder, numbered
from edge.system.atomic_file import PartialFile, atomic_write, remove_left_files
from edge.system.native_output import suppress_native_output
from edge.system.paths import display_name, expand_path, native_name
from edge.types import Disclosure, FrameResult, RunInfo

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP90"}  # those that OpenCV's wheels can write
FOLDER_NAME = "video.mp4"  # of the videos of `video:FOLDER`, to which the time is added
MAX_VIDEO_FPS = 60.0
MAX_QUEUED_IMAGES = 30  # of a camera: 27 MB at 640 x 480
# At the end, for the queued images and the one in progress: systemd allows the service 5 s to stop.
VIDEO_DRAIN_SECONDS, VIDEO_FINISH_SECONDS = 2.5, 2.0
MIN_FREE_DISK_BYTES = 32_000_000  # to leave free; the index at the end of a video takes some of it
SPEED_ESTIMATE_FRAMES = 8  # whose median interval gives the speed: a live camera's first frames come unevenly

_log = logging.getLogger(__name__)


class ImageWriter(Protocol):
    """Writes images to one or several files."""

    end_by: float  # seconds, monotonic clock: after it, no image is repeated
    has_images: bool  # whether an image was added

    def add(self, image: NDArray[np.uint8], seconds: float, index: int) -> None:
        """Add the (height, width, 3) BGR image of frame `index`, at `seconds` on the source's clock."""

    def close(self) -> None:
        """Complete the files. Raises SinkError."""


def split_blur(argument: str) -> tuple[str, bool]:
    """Return the path in `argument`, which may have commas, and whether the option `blur` follows it.

    Raises UsageError if the path seems to have an option: whoever misspells `blur` would store faces.
    """
    path, comma, option = argument.rpartition(",")
    has_blur = bool(comma) and option == "blur"
    path = path if has_blur else argument
    if re.search(r",\s*blur\b", path, re.IGNORECASE):
        raise UsageError(f"video:{display_name(argument)}: the option blur comes once, at the end: video:FILE.mp4,blur")
    _, comma, end = path.rpartition(",")
    if comma and not Path(end).suffix and "/" not in end and not Path(path).is_dir():
        near = difflib.get_close_matches(end, ["blur"], 1)
        hint = "did you mean blur?" if near else "the option is blur"
        raise UsageError(f"sink video: unknown option {display_name(end)!r}; {hint}")
    return path, has_blur


class Sink:
    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        if not argument:
            raise UsageError("sink video: no file found, expected video:FILE.mp4 or video:FOLDER")
        argument, has_blur = split_blur(argument)
        self._blur = FaceBlur() if has_blur else None
        self._run, self._path = run, expand_path(argument)
        self.output = self._path
        self._is_folder = argument.endswith("/") or self._path.is_dir()
        suffix = Path(FOLDER_NAME).suffix if self._is_folder else self._path.suffix.lower()
        if suffix not in (*CODECS, *COLOR_IMAGE_SUFFIXES):
            known = ", ".join((*CODECS, *COLOR_IMAGE_SUFFIXES))
            raise UsageError(f"video:{argument}: expected a folder, or a file name that ends in one of {known}")
        self._is_video = suffix in CODECS
        self._output: ImageWriter
        self._writer = BackgroundWriter(
            f"video:{self._path}",
            self._add,
            live=run.live,
            max_items=MAX_QUEUED_IMAGES,
            drain_timeout=VIDEO_DRAIN_SECONDS,
            finish_timeout=VIDEO_FINISH_SECONDS,
            unit="images",
        )

    def disclose(self) -> Disclosure:
        where = f"in {display_name(self._path)}, until you delete it"
        images = "IMAGES, the faces that are found pixelated" if self._blur else "IMAGES of the faces"
        return Disclosure(kept=(f"{where}: {images}, with boxes, labels and probabilities",))

    def __enter__(self) -> Self:
        native_name(self._path)
        try:
            make_output_folder("video", self._path if self._is_folder else self._path.parent)
            if self._is_folder:
                self._path = at_start_time(self._path / FOLDER_NAME)
            elif self._run.is_service and not self._run.overwrite:
                self._path = at_start_time(self._path)
            remove_left_files(self._path.parent)
        except OSError as error:
            raise SinkError(f"video:{self._path}: cannot be opened ({error.strerror})") from error
        self._output = VideoFile(self._path, self._run) if self._is_video else ImageFiles(self._path, self._run)
        self._writer.__enter__()
        return self

    def write(self, result: FrameResult) -> None:
        self._writer.put(self._blur.hide(result) if self._blur else result)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.end_by = time.monotonic() + VIDEO_DRAIN_SECONDS
        try:
            self._writer.__exit__(kind, error, trace)
        finally:
            self._close()

    def _close(self) -> None:
        if self._writer.stuck:  # the thread uses the output, which is not thread-safe
            raise SinkError(
                f"video:{self._path}: incomplete, as the disk took more than {VIDEO_FINISH_SECONDS:g} s for an image"
            )
        self._output.close()

    def _add(self, result: FrameResult) -> None:
        disk = shutil.disk_usage(self._path.parent)
        if disk.free < min(MIN_FREE_DISK_BYTES, disk.total):
            kept = "the recording up to here is kept" if self._output.has_images else "nothing was recorded"
            raise SinkError(
                f"video:{self._path}: less than {MIN_FREE_DISK_BYTES / 1e6:.0f} MB left on the disk; {kept}"
            )
        self._output.add(annotate(result), result.frame.time, result.frame.index)


class ImageFiles:
    """Image files, one for each frame."""

    end_by = math.inf

    def __init__(self, path: Path, run: RunInfo) -> None:
        self._path, self._run, self._count = path, run, 0
        self.has_images = False
        name = re.compile(rf"{re.escape(path.stem)}(-\d+)?{re.escape(path.suffix)}", re.DOTALL)
        for file in sorted(path.parent.iterdir()):
            if name.fullmatch(file.name):
                check_new("video", file, run)

    def add(self, image: NDArray[np.uint8], seconds: float, index: int) -> None:  # noqa: ARG002 (as VideoFile.add)
        self._count += 1
        path = numbered(self._path, self._count)
        check_new("video", path, self._run)
        success, content = cv2.imencode(path.suffix, image)
        if not success:
            raise SinkError(f"video:{path}: cannot be encoded as {path.suffix}")
        atomic_write(path, content.tobytes())
        self.has_images = True

    def close(self) -> None:
        pass


class VideoFile:
    """A video file, written under another name and renamed when it is complete."""

    end_by = math.inf

    def __init__(self, path: Path, run: RunInfo) -> None:
        check_new("video", path, run)
        self._path, self._run = path, run
        self._partial: PartialFile | None = None
        self._writer: cv2.VideoWriter | None = None
        self._pending: list[tuple[NDArray[np.uint8], float, int]] = []  # until the speed is known
        self._last: NDArray[np.uint8] = np.empty(0, np.uint8)  # the image written last
        self._fps, self._start, self._written = 25.0, 0.0, 0
        self._size = (0, 0)  # width, height in pixels
        self.has_images = False

    def add(self, image: NDArray[np.uint8], seconds: float, index: int) -> None:
        self.has_images = True
        if self._writer is not None:
            self._write_at(image, seconds)
            return
        self._pending.append((image, seconds, index))
        if len(self._pending) == SPEED_ESTIMATE_FRAMES:
            self._begin()

    def close(self) -> None:
        if self._pending:
            self._begin()
        if self._writer is None:
            return
        self._writer.release()
        # OpenCV's writer reports no error: check that the file states all frames and that the last one can be read.
        assert self._partial
        capture = cv2.VideoCapture(native_name(self._partial.path))
        has_count = capture.get(cv2.CAP_PROP_FRAME_COUNT) >= self._written
        capture.set(cv2.CAP_PROP_POS_FRAMES, self._written - 1)
        has_last = capture.grab()
        capture.release()
        if not (has_count and has_last):
            self._partial.discard()
            raise SinkError(f"video:{self._path}: could not be completed; is the disk full?")
        if os.path.lexists(self._path) and not self._run.overwrite:  # since the run began
            self._partial.target = at_start_time(self._path)
            _log.warning("edge: video:%s: the file exists by now; written to %s", self._path, self._partial.target)
        self._partial.replace()

    def _begin(self) -> None:
        """Open the file with the frame rate of the pending images, and write them."""
        pending, self._pending = self._pending, []
        intervals = [(later[1] - sooner[1]) / max(1, later[2] - sooner[2]) for sooner, later in pairwise(pending)]
        interval = median(intervals) if intervals else 0.0
        if interval > 0:
            self._fps = min(MAX_VIDEO_FPS, 1 / interval)
        first, self._start, _ = pending[0]
        self._size = first.shape[1], first.shape[0]
        codec = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        try:
            self._partial = PartialFile(self._path)
        except OSError as error:
            raise SinkError(f"video:{self._path}: cannot be written ({error.strerror})") from error
        with suppress_native_output(2):  # FFmpeg warns about VP9 in WebM
            self._writer = cv2.VideoWriter(native_name(self._partial.path), codec, self._fps, self._size)
        if not self._writer.isOpened():
            self._writer = None
            self._partial.discard()
            raise SinkError(f"video:{self._path}: cannot be opened for writing; check the folder and the disk")
        for image, seconds, _ in pending:
            self._write_at(image, seconds)

    def _write_at(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Write `image` at its time; the last one is repeated until then."""
        assert self._writer is not None
        due = round((seconds - self._start) * self._fps) + 1
        while self._written < due - 1 and time.monotonic() <= self.end_by:
            self._writer.write(self._last)
            self._written += 1
        if self._written < due:
            height, width = image.shape[:2]
            if (width, height) != self._size:  # scaled to fit, and centered on black
                scale = min(self._size[0] / width, self._size[1] / height)
                scaled = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                scaled = scaled[: self._size[1], : self._size[0]]
                right, bottom = self._size[0] - scaled.shape[1], self._size[1] - scaled.shape[0]
                border = bottom // 2, bottom - bottom // 2, right // 2, right - right // 2
                image = cv2.copyMakeBorder(scaled, *border, cv2.BORDER_CONSTANT).astype(np.uint8, copy=False)
            self._last = image
            self._writer.write(image)
            self._written += 1
