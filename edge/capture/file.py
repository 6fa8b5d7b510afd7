"""A video, an image, a folder of images, or a pattern such as 'faces/*.png'.

Argument: the path. No frame is lost: the next one is read when the last one is done. A damaged frame, or an image in a
folder that does not decode, is left out, which shows as a gap in `index`.
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

from edge.errors import CameraError, SourceNotFound
from edge.types import Frame

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
IMAGE_SECONDS = 1.0  # between two images: longer than the tracker remembers, so that they are not averaged together


def frames(argument: str) -> Generator[Frame, None, None]:
    """Yield the frames of the video or the images that `argument` names.

    Raises SourceNotFound when nothing is there, CameraError when it cannot be decoded.
    """
    try:
        return _found(argument)
    except (SourceNotFound, CameraError):
        raise
    except OSError as error:  # a folder that we may not look into, a name that is too long
        raise CameraError(f"{argument}: cannot be read ({error.strerror})") from error


def live(argument: str) -> bool:  # noqa: ARG001 (as every camera's)
    """Return False: no frame is lost, however long one takes."""
    return False


def has_images(argument: str) -> bool:
    """Return whether `argument` names images, not a video."""
    path = Path(argument).expanduser()
    return path.is_dir() or not path.exists() or path.suffix.lower() in IMAGE_SUFFIXES


def _found(argument: str) -> Generator[Frame, None, None]:
    path = Path(argument).expanduser()
    if path.is_dir():
        images = [file for file in sorted(path.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES]
        if not images:
            raise SourceNotFound(f"{path}: a folder without images ({', '.join(IMAGE_SUFFIXES)})")
        return _images(images)
    if path.exists():
        return _images([path]) if path.suffix.lower() in IMAGE_SUFFIXES else _video(path)
    matches = [Path(name) for name in sorted(glob.glob(str(path)))]  # noqa: PTH207 (pathlib takes no absolute pattern)
    if not matches:
        raise SourceNotFound(
            f"{argument}: no such file, folder or pattern; name one that is there, a camera, or 'synthetic'"
        )
    return _images(matches)


def _images(paths: list[Path]) -> Generator[Frame, None, None]:
    decoded = 0
    for index, path in enumerate(paths):
        color = _decode(path)
        if color is None:
            continue
        decoded += 1
        yield _frame(color, index * IMAGE_SECONDS, index, path.name)
    if not decoded:
        what = str(paths[0]) if len(paths) == 1 else f"{paths[0].parent}: none of {len(paths)} files"
        raise CameraError(f"{what}: does not decode as an image; is it one, and whole?")


def _decode(path: Path) -> NDArray[np.uint8] | None:
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise CameraError(f"{path}: cannot be read ({error.strerror})") from error
    color = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    return None if color is None else color.astype(np.uint8, copy=False)


def _video(path: Path) -> Generator[Frame, None, None]:
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind.startswith("text/"):  # FFmpeg would show it as letters on a screen
        raise CameraError(f"{path}: a text file; name a video, an image or a folder of images")
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise CameraError(f"{path}: cannot be decoded as a video; is it one, and whole?")
        fps = capture.get(cv2.CAP_PROP_FPS)
        fps = fps if math.isfinite(fps) and fps > 0 else 25.0
        total = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        index, before, failed = -1, -1.0 / fps, 0
        # A decoder gives no image for a damaged frame and goes on with the next, so only as many failures as the
        # container has frames left mean the end. How many were lost is told by the time stamps where it has good ones.
        while index + failed + 1 < max(total, 1) or not failed:
            good, color = capture.read()
            if not good:
                failed += 1
                continue
            now = _position(capture, before, failed, fps)
            index += max(failed, round((now - before) * fps) - 1) + 1 if failed else 1
            before, failed = now, 0
            yield _frame(color.astype(np.uint8, copy=False), now, index, "")
        if index < 0:
            raise CameraError(f"{path}: not one frame could be decoded; is the video whole?")
    finally:
        capture.release()


def _position(capture: cv2.VideoCapture, before: float, failed: int, fps: float) -> float:
    """Return the time of the frame just read in seconds, always later than that of the last one, `before`."""
    now = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    return now if math.isfinite(now) and now > before else before + (failed + 1) / fps


def _frame(color: NDArray[np.uint8], seconds: float, index: int, name: str) -> Frame:
    start = time.perf_counter()
    gray = cv2.cvtColor(color, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    return Frame(gray, lambda: color, seconds, index, name, time.perf_counter() - start)
