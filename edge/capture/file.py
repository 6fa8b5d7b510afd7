"""Frames from a video, an image, a folder of images, or a pattern such as 'faces/*.png'.

Argument: the path. No frame is skipped: the next one is read when the loop asks for it. A damaged frame of a video, and
an image file of a folder that cannot be decoded, are left out, which shows as a gap in `index`.
"""

from __future__ import annotations

import glob
import math
import mimetypes
import time
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.image_formats import IMAGE_SUFFIXES
from edge.errors import CameraError, ImageError, SourceNotFoundError
from edge.system.bounded_read import read_at_most
from edge.system.image_decoding import decode_image
from edge.types import Frame

IMAGE_INTERVAL_SECONDS = 1.0  # between the times of two images: each is a scene of its own
MAX_IMAGE_FILE_BYTES = 200_000_000  # an uncompressed image of the most pixels that are decoded
DEFAULT_VIDEO_FPS = 25.0  # of a container that states no frame rate


def frames(argument: str) -> Generator[Frame, None, None]:
    """Return the frames of the video or the images that `argument` names.

    Raises SourceNotFoundError if there is no such file; CameraError if it cannot be read, and with the first frame if
    nothing can be decoded.
    """
    path = Path(argument).expanduser()
    try:
        if path.is_dir():
            paths = [file for file in sorted(path.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES]
            if not paths:
                raise SourceNotFoundError(f"{path}: a folder without images ({', '.join(IMAGE_SUFFIXES)})")
            return _image_frames(paths)
        if path.exists():
            return _image_frames([path]) if path.suffix.lower() in IMAGE_SUFFIXES else _video_frames(path)
        paths = [Path(name) for name in sorted(glob.glob(str(path)))]  # noqa: PTH207 (pathlib takes no absolute pattern)
    except SourceNotFoundError:
        raise
    except OSError as error:  # a folder without read permission, a name that is too long
        raise CameraError(f"{argument}: cannot be read ({error.strerror})") from error
    if not paths:
        raise SourceNotFoundError(
            f"{argument}: no such file, folder or pattern; name an existing one, a camera, or 'synthetic'"
        )
    return _image_frames(paths)


def is_live(argument: str) -> bool:  # noqa: ARG001 (every camera has it)
    """Return False: the source waits for the loop."""
    return False


def has_images(argument: str) -> bool:
    """Return whether `argument` names images, not a video."""
    path = Path(argument).expanduser()
    return path.is_dir() or not path.exists() or path.suffix.lower() in IMAGE_SUFFIXES


def _image_frames(paths: list[Path]) -> Generator[Frame, None, None]:
    decoded, reason = 0, ""
    for index, path in enumerate(paths):
        try:
            color = decode_image(read_at_most(path, MAX_IMAGE_FILE_BYTES))
        except OSError as error:
            raise CameraError(f"{path}: cannot be read ({error.strerror})") from error
        except ImageError as error:
            reason = reason or str(error)
            continue
        decoded += 1
        yield _make_frame(color, index * IMAGE_INTERVAL_SECONDS, index, path.name)
    if not decoded:
        files = str(paths[0]) if len(paths) == 1 else f"{paths[0].parent}: none of {len(paths)} files"
        raise CameraError(f"{files}: does not decode as an image ({reason}); check that it is a complete image file")


def _video_frames(path: Path) -> Generator[Frame, None, None]:
    if (mimetypes.guess_type(path.name)[0] or "").startswith("text/"):  # FFmpeg would render it as a video of letters
        raise CameraError(f"{path}: a text file; name a video, an image or a folder of images")
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise CameraError(f"{path}: cannot be decoded as a video; check that it is a complete video file")
        fps = capture.get(cv2.CAP_PROP_FPS)
        fps = fps if math.isfinite(fps) and fps > 0 else DEFAULT_VIDEO_FPS
        frame_count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        index, last_time, failed = -1, -1.0 / fps, 0
        # The decoder reports a damaged frame as a failed read and goes on with the next one. So the video has ended
        # only after as many failed reads as the container has frames left. Time stamps show how many frames were lost.
        while index + failed + 1 < max(frame_count, 1) or not failed:
            success, color = capture.read()
            if not success:
                failed += 1
                continue
            now = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not (math.isfinite(now) and now > last_time):  # no usable time stamp
                now = last_time + (failed + 1) / fps
            index += max(failed, round((now - last_time) * fps) - 1) + 1 if failed else 1
            last_time, failed = now, 0
            yield _make_frame(color.astype(np.uint8, copy=False), now, index)
        if index < 0:
            raise CameraError(f"{path}: no frame could be decoded; check that it is a complete video file")
    finally:
        capture.release()


def _make_frame(color: NDArray[np.uint8], seconds: float, index: int, source_name: str = "") -> Frame:
    start = time.perf_counter()
    gray = cv2.cvtColor(color, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    return Frame(gray, lambda: color, seconds, index, source_name, time.perf_counter() - start)
