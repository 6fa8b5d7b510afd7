"""What the cameras share whose video FFmpeg decodes, which OpenCV contains."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import cv2
import numpy as np

from edge.capture.encoded_frame import EncodedFrame
from edge.capture.stream_url import StreamUrl
from edge.errors import CameraError

_LOG_VARIABLE, _LOG_QUIET = "OPENCV_FFMPEG_LOGLEVEL", "-8"  # FFmpeg's AV_LOG_QUIET


def suppress_log() -> None:
    """Keep FFmpeg and OpenCV from logging, for all of the process: their messages may contain an address with its
    password.

    OpenCV reads the variable once, when it opens the first video.
    """
    os.environ[_LOG_VARIABLE] = _LOG_QUIET
    if hasattr(cv2.utils, "logging"):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    else:  # OpenCV 4.11, on 32-bit systems
        cv2.setLogLevel(0)  # type: ignore[attr-defined] # silent


def read_frames(capture: cv2.VideoCapture, url: StreamUrl) -> Generator[EncodedFrame, None, None]:
    """Yield the frames of the open `capture` as they come, and release it at the end.

    Raises CameraError when no more come.
    """
    start, index = time.monotonic(), 0
    try:
        while True:
            success, image = capture.read()
            if not success:
                raise CameraError(f"{url}: the camera stopped delivering after {index} frames")
            arrived = time.monotonic()
            to_gray: Callable[[], Any] = partial(cv2.cvtColor, image, cv2.COLOR_BGR2GRAY)  # if the loop takes the frame
            yield EncodedFrame(to_gray, partial(np.asarray, image), arrived - start, index, arrived)
            index += 1
    finally:
        capture.release()
