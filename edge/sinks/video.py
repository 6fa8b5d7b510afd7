"""Writes the annotated images: `video:FILE.mp4` (also .avi, .webm), or `video:FILE.png` (also .jpg) for images.

This sink stores faces. A video plays at the source's speed: what came late or was skipped is shown as a standing
image. Several images become FILE.png, FILE-2.png, FILE-3.png and so on. Where a camera is faster than the machine
can write and QUEUE images wait, the oldest is left out; how many were is said in the end. Where the disk has less
than ROOM left the recording ends, with an error, and is whole up to there: the rest is for everything else on the
machine. A file that could not be written whole is not there, and one of that name from before is as it was.
"""

from __future__ import annotations

import math
import shutil
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import SinkError, UsageError
from edge.sinks.annotate import annotate
from edge.sinks.background_writer import BackgroundWriter
from edge.system.atomic_file import atomic_write
from edge.system.native_output import suppress_native_output
from edge.types import FrameResult, RunInfo

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP90"}  # those that OpenCV's wheels can write
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FASTEST = 60.0  # frames a second of a written video
QUEUE = 30  # images of a camera that may wait: 27 MB at 640 x 480
GRACE, IN_HAND = 2.5, 2.0  # seconds at the end to write them, and the one in hand; the service has 5 to stop
ROOM = 32_000_000  # bytes that are left free on the disk; a video's index at its end takes some of it
LEARNING = 8  # frames whose median distance tells the speed: a live camera's first ones come unevenly


class Sink:
    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        self._path = Path(argument).expanduser()
        kind = self._path.suffix.lower()
        if kind not in (*CODECS, *IMAGES):
            kinds = ", ".join((*CODECS, *IMAGES))
            raise UsageError(f"video:{argument}: name a file that ends in one of {kinds}")
        self._target: _Images | _Video = _Images(self._path) if kind in IMAGES else _Video(self._path)
        self._outbox = BackgroundWriter(
            f"video:{self._path}",
            self._add,
            live=run.live,
            size=QUEUE,
            grace=GRACE,
            in_hand=IN_HAND,
            what="images",
        )

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"video:{self._path}: cannot be opened ({error.strerror})") from error
        self._outbox.__enter__()
        return self

    def write(self, seen: FrameResult) -> None:
        self._outbox.put(seen)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._target.hurry_from = time.monotonic() + GRACE
        try:
            self._outbox.__exit__(kind, error, trace)
        finally:
            self._close()

    def _close(self) -> None:
        if self._outbox.stuck:  # the writer is not for two threads
            raise SinkError(f"video:{self._path}: not finished, as the disk takes more than {IN_HAND:g} s for an image")
        self._target.close()

    def _add(self, seen: FrameResult) -> None:
        disk = shutil.disk_usage(self._path.parent)
        if disk.free < min(ROOM, disk.total):
            what = "what was recorded before is kept" if self._target.any else "nothing was recorded"
            raise SinkError(f"video:{self._path}: less than {ROOM / 1e6:.0f} MB left on the disk; {what}")
        self._target.add(annotate(seen), seen.frame.time, seen.frame.index)


class _Images:
    """Image files, one a frame."""

    hurry_from = math.inf

    def __init__(self, path: Path) -> None:
        self._path, self._count = path, 0

    @property
    def any(self) -> bool:
        """Whether something was written."""
        return self._count > 0

    def add(self, image: NDArray[np.uint8], seconds: float, index: int) -> None:  # noqa: ARG002 (as _Video.add)
        self._count += 1
        path = self._path if self._count == 1 else self._path.with_stem(f"{self._path.stem}-{self._count}")
        good, content = cv2.imencode(path.suffix, image)
        if not good:
            raise SinkError(f"video:{path}: cannot be encoded as {path.suffix}")
        atomic_write(path, content.tobytes())

    def close(self) -> None:
        pass


class _Video:
    """A video file, written aside and renamed when it is whole."""

    hurry_from = math.inf  # seconds, monotonic: when there is no more time for standing images

    def __init__(self, path: Path) -> None:
        self._path, self._aside = path, path.with_name(f".part.{path.name}")
        self._writer: cv2.VideoWriter | None = None
        self._waiting: list[tuple[NDArray[np.uint8], float, int]] = []
        self._fps, self._start, self._written = 25.0, 0.0, 0
        self._size = (0, 0)

    @property
    def any(self) -> bool:
        """Whether there is something to write, or was."""
        return bool(self._waiting) or self._writer is not None

    def add(self, image: NDArray[np.uint8], seconds: float, index: int) -> None:
        if self._writer is not None:
            self._show(image, seconds)
            return
        self._waiting.append((image, seconds, index))
        if len(self._waiting) == LEARNING:
            self._begin()

    def close(self) -> None:
        if self._waiting:
            self._begin()
        if self._writer is None:
            return
        self._writer.release()
        if not self._is_whole():  # OpenCV's writer reports nothing
            self._aside.unlink(missing_ok=True)
            raise SinkError(f"video:{self._path}: could not be written to its end; is the disk full?")
        self._aside.replace(self._path)

    def _begin(self) -> None:
        """Open the file at the speed of the frames that have come so far, and write them."""
        waiting, self._waiting = self._waiting, []
        steps = [(after[1] - before[1]) / max(1, after[2] - before[2]) for before, after in pairwise(waiting)]
        step = median(steps) if steps else 0.0
        if step > 0:
            self._fps = min(FASTEST, 1 / step)
        first, self._start, _ = waiting[0]
        self._size = first.shape[1], first.shape[0]
        self._writer = self._open()
        for image, seconds, _ in waiting:
            self._show(image, seconds)

    def _open(self) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        with suppress_native_output(2):  # it doubts aloud whether WebM may hold VP9
            writer = cv2.VideoWriter(str(self._aside), codec, self._fps, self._size)
        if not writer.isOpened():
            what = "does the folder exist, is the disk full?"
            raise SinkError(f"video:{self._path}: cannot be opened for writing; {what}")
        return writer

    def _show(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Write `image` at its time; the last one stands until then."""
        due = round((seconds - self._start) * self._fps) + 1
        for _ in range(due - self._written - 1):
            if time.monotonic() > self.hurry_from:
                break
            self._put(self._last)
        if due > self._written:
            self._put(image)

    def _is_whole(self) -> bool:
        """Return whether the file says that it has all frames, and the last one is really there."""
        capture = cv2.VideoCapture(str(self._aside))
        counted = capture.get(cv2.CAP_PROP_FRAME_COUNT) >= self._written
        capture.set(cv2.CAP_PROP_POS_FRAMES, self._written - 1)
        last = capture.grab()
        capture.release()
        return counted and last

    def _put(self, image: NDArray[np.uint8]) -> None:
        assert self._writer is not None
        self._writer.write(_fit(image, self._size))
        self._last = image
        self._written += 1


def _fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return `image` within `size` (width, height), its shape kept, on black."""
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas
