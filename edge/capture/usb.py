"""A USB camera, or any other V4L2 device that captures video.

Argument: its number (`0`), or its path (`/dev/video0`).
"""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from edge.capture import v4l2
from edge.errors import CameraError, UsageError
from edge.types import Frame

# Every USB camera has this size. A larger one only costs time: the model gets at most 48 x 48 pixels of a face.
IMAGE_WIDTH_PIXELS, IMAGE_HEIGHT_PIXELS = 640, 480
# Motion JPEG lets a USB 2 camera send 30 frames per second. By default OpenCV uses BGR, which its version 4.11 returns
# as one flat row.
PREFERRED_FORMATS = ("MJPG", "YUYV")

CAN_RECONNECT = True


def detect() -> tuple[str | None, str]:
    """Return the path of the first USB camera, or None, and a description."""
    camera = next((node for node in v4l2.video_nodes() if node.is_camera), None)
    return (str(camera.path), f"found {camera.name} at {camera.path}") if camera else (None, "no USB camera")


def frames(argument: str) -> Generator[Frame, None, None]:
    """Yield frames as they come. Raises CameraError if the device is absent, in use, or stops delivering."""
    path = argument
    if not argument.startswith("/"):
        if argument and not argument.isdecimal():
            raise UsageError(f"usb:{argument}: expected a number (usb:0) or a device (usb:/dev/video0)")
        path = f"/dev/video{argument or 0}"
    capture = _open(path)
    start, index = time.monotonic(), 0
    try:
        while True:
            success, color = capture.read()
            if not success:
                problem = "stopped delivering" if index else "delivers no images"
                raise CameraError(
                    f"{path}: the camera {problem} after {index} frames; check the plug and the cable, and whether "
                    "another program uses it"
                )
            arrived = time.monotonic()
            image = color.astype(np.uint8, copy=False)
            gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
            convert = time.monotonic() - arrived
            yield Frame(
                gray,
                partial(np.asarray, image),
                arrived - start,
                index,
                convert_seconds=convert,
                captured_at=arrived,
            )
            index += 1
    finally:
        capture.release()


def is_live(argument: str) -> bool:  # noqa: ARG001 (every camera has it)
    """Return True: frames come at the camera's pace."""
    return True


def _open(path: str) -> cv2.VideoCapture:
    if not Path(path).exists():
        devices = ", ".join(str(node.path) for node in v4l2.video_nodes()) or "no video device"
        raise CameraError(f"{path}: no such camera; found {devices}")
    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            f"{path}: cannot be opened; it is in use by another program, this user is not in the group 'video', or it "
            "is no camera"
        )
    for name in PREFERRED_FORMATS:
        code = cv2.VideoWriter.fourcc(*name)
        capture.set(cv2.CAP_PROP_FOURCC, code)  # returns True even if the camera has chosen another format
        if int(capture.get(cv2.CAP_PROP_FOURCC)) == code:
            break
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, IMAGE_WIDTH_PIXELS)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, IMAGE_HEIGHT_PIXELS)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # of frames: a longer queue delivers old ones
    return capture
