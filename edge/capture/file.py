"""Frames from videos and images: one file, a folder, or a pattern such as 'faces/*.png'.

Argument: the path. No frame is skipped: the next one is read when the loop asks for it. A damaged frame of a video is
left out, which shows as a gap in `index`. A file that cannot be read is left out and named, if there are others.
"""

from __future__ import annotations

import logging
import math
import mimetypes
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.file_list import ListedFile, are_images, list_files
from edge.errors import CameraError, EmotionEdgeError, ImageError, SourceNotFoundError
from edge.system.bounded_read import read_at_most
from edge.system.image_decoding import decode_image
from edge.system.paths import display_name, native_name
from edge.system.video_header import explain_undecodable
from edge.types import FilePosition, Frame

MAX_IMAGE_FILE_BYTES = 200_000_000  # an uncompressed image of the most pixels that are decoded
DEFAULT_VIDEO_FPS = 25.0  # of a container that states no frame rate
TEXT_SAMPLE_BYTES = 4096
MAX_FAILED_READS = 10_000  # in succession, of a video whose container states more frames than it has

_log = logging.getLogger(__name__)


def frames(argument: str) -> Generator[Frame, None, None]:
    """Return the frames of the files that `argument` names.

    Raises what `list_files` raises; CameraError, with the first frame, if nothing can be decoded.
    """
    return read_files(list_files([argument]), [])


def is_live(argument: str) -> bool:  # noqa: ARG001 (every camera has it)
    """Return False: the source waits for the loop."""
    return False


def has_images(argument: str) -> bool:
    """Return whether `argument` names only images; so does a pattern that matches nothing."""
    try:
        return are_images(list_files([argument]))
    except SourceNotFoundError:
        return True


def read_files(files: Sequence[ListedFile], left_out: list[str]) -> Generator[Frame, None, None]:
    """Yield the frames of `files`, in their order, with increasing times and indices.

    Args:
        left_out: the names of files that are left out are added to it, and logged with the reason.

    Raises CameraError if no file can be read.
    """
    begin, first_index = 0.0, 0
    sizes = [file.size() for file in files]
    total, read = max(1, sum(sizes)), 0
    for file, size in zip(files, sizes, strict=True):
        problem, end, index = file.problem, begin, first_index - 1
        try:
            if not problem:
                for frame, share in _image_frames(file.path) if file.is_image else _video_frames(file.path):
                    end = begin + frame.time + file.interval_seconds
                    index = first_index + frame.index
                    yield replace(
                        frame,
                        time=begin + frame.time,
                        index=index,
                        source_name=file.name,
                        is_image=file.is_image,
                        file=FilePosition(frame.time, frame.index, (read + size * share) / total),
                    )
        except EmotionEdgeError as error:
            if len(files) == 1:
                raise
            problem = str(error).removeprefix(f"{display_name(file.path)}: ")
        begin, first_index, read = end, index + 1, read + size
        if problem:
            left_out.append(file.name)
            _log.warning("edge: %s: left out (%s)", file.name, problem)
    if len(left_out) == len(files):
        raise CameraError(f"none of {len(files)} files can be read, see the reasons above")


def is_text(path: Path) -> bool:
    """Return whether the file at `path` is a text by its name, and by its content: .ts is also a video."""
    if not (mimetypes.guess_type(path.name)[0] or "").startswith("text/"):
        return False
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(TEXT_SAMPLE_BYTES)
    except OSError as error:
        raise CameraError(f"{display_name(path)}: cannot be read ({error.strerror})") from error


def _image_frames(path: Path) -> Generator[tuple[Frame, float], None, None]:
    """Yield the image at `path`, and the share of the file that has been read, 0 to 1."""
    try:
        color = decode_image(read_at_most(path, MAX_IMAGE_FILE_BYTES))
    except OSError as error:
        raise CameraError(f"{display_name(path)}: cannot be read ({error.strerror})") from error
    except ImageError as error:
        raise CameraError(
            f"{display_name(path)}: does not decode as an image ({error}); check that it is a complete image file"
        ) from error
    yield _make_frame(color, 0.0, 0), 1.0


def _video_frames(path: Path) -> Generator[tuple[Frame, float], None, None]:
    """Yield the frames of the video at `path`, each with the share of the file that has been read, 0 to 1."""
    if is_text(path):  # FFmpeg would render it as a video of letters
        raise CameraError(f"{display_name(path)}: a text file; name a video, an image or a folder of images")
    capture = cv2.VideoCapture(native_name(path))
    try:
        if not capture.isOpened():
            raise CameraError(f"{display_name(path)}: cannot be decoded as a video ({explain_undecodable(path)})")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # videos of phones; OpenCV 4.11 does not turn them by itself
        fps = capture.get(cv2.CAP_PROP_FPS)
        fps = fps if math.isfinite(fps) and fps > 0 else DEFAULT_VIDEO_FPS
        frame_count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        index, last_time, failed = -1, -1.0 / fps, 0
        # The decoder reports a damaged frame as a failed read and goes on with the next one. So the video has ended
        # only after as many failed reads as the container has frames left. Time stamps show how many frames were lost.
        while failed <= MAX_FAILED_READS and (index + failed + 1 < max(frame_count, 1) or not failed):
            success, color = capture.read()
            if not success:
                failed += 1
                continue
            now = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not (math.isfinite(now) and now > last_time):  # no usable time stamp
                now = last_time + (failed + 1) / fps
            index += max(failed, round((now - last_time) * fps) - 1) + 1 if failed else 1
            last_time, failed = now, 0
            share = min(1.0, (index + 1) / frame_count) if frame_count > 0 else 0.0
            yield _make_frame(color.astype(np.uint8, copy=False), now, index), share
        if index < 0:
            raise CameraError(f"{display_name(path)}: no frame could be decoded ({explain_undecodable(path)})")
    finally:
        capture.release()


def _make_frame(color: NDArray[np.uint8], seconds: float, index: int) -> Frame:
    start = time.perf_counter()
    gray = cv2.cvtColor(color, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    return Frame(gray, lambda: color, seconds, index, convert_seconds=time.perf_counter() - start)
