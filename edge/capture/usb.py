"""A USB camera, or any other V4L2 device that captures video.

Argument: its number (`0`), or its path (`/dev/video0`).
"""

from __future__ import annotations

import fcntl
import struct
import time
from collections.abc import Generator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import CameraError, UsageError
from edge.types import Frame

WIDTH, HEIGHT = 640, 480  # every USB camera has it, and more pixels only cost time: the model sees 48 of a face

CAN_RECONNECT = True  # a plug that was pulled leaves nothing behind

# ioctl VIDIOC_QUERYCAP and the flags of its answer, from linux/videodev2.h.
_QUERYCAP, _QUERYCAP_SIZE = 0x80685600, 104
_VIDEO_CAPTURE, _DEVICE_CAPS = 0x00000001, 0x80000000
# The Pi's own camera receivers and image processors also look like capture devices; their images are raw sensor data.
_NOT_CAMERAS = ("unicam", "bcm2835-isp", "rp1-cfe", "pisp", "rpi-hevc-dec", "bcm2835-codec")


def present() -> tuple[str | None, str]:
    """Return the path of the first USB camera, or None, and one that was found in words."""
    for path in sorted(Path("/dev").glob("video[0-9]*"), key=lambda path: int(path.name[5:])):
        card = _camera_name(path)
        if card is not None:
            return str(path), f"found {card} at {path}"
    return None, "no USB camera"


def frames(argument: str) -> Generator[Frame, None, None]:
    """Yield frames as they come. Raises CameraError when the device is not there, is taken, or stops delivering."""
    path = _path(argument)
    capture = _open(path)
    start, index = time.monotonic(), 0
    try:
        while True:
            good, color = capture.read()
            if not good:
                what = "stopped delivering" if index else "delivers no images"
                raise CameraError(
                    f"{path}: the camera {what} after {index} frames; check plug and cable, or other users of it"
                )
            arrived = time.monotonic()
            image = color.astype(np.uint8, copy=False)
            gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
            convert = time.monotonic() - arrived
            yield Frame(
                gray, partial(_same, image), arrived - start, index, convert_seconds=convert, captured_at=arrived
            )
            index += 1
    finally:
        capture.release()


def live(argument: str) -> bool:  # noqa: ARG001 (as every camera's)
    """Return True: it films on, whoever looks."""
    return True


def _same(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


def _path(argument: str) -> str:
    if argument.startswith("/"):
        return argument
    if not argument.isdecimal() and argument:
        raise UsageError(f"usb:{argument}: expected a number (usb:0) or a device (usb:/dev/video0)")
    return f"/dev/video{argument or 0}"


def _open(path: str) -> cv2.VideoCapture:
    if not Path(path).exists():
        found = ", ".join(sorted(str(device) for device in Path("/dev").glob("video*"))) or "no video device at all"
        raise CameraError(f"{path}: no such camera; found {found}")
    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            f"{path}: cannot be opened; taken by another program, no permission (group 'video'), or no camera"
        )
    _choose_format(capture)
    for setting, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, WIDTH),
        (cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT),
        (cv2.CAP_PROP_BUFFERSIZE, 1),  # keeps the image fresh
    ):
        capture.set(setting, value)
    return capture


def _choose_format(capture: cv2.VideoCapture) -> None:
    """Ask for Motion JPEG, which lets a USB 2 camera send 30 frames a second; for YUYV where there is none.

    Left alone, OpenCV prefers BGR, and its version 4.11 hands that over as one flat row.
    """
    for name in ("MJPG", "YUYV"):
        wanted = cv2.VideoWriter.fourcc(*name)
        capture.set(cv2.CAP_PROP_FOURCC, wanted)  # returns True also where the camera has chosen otherwise
        if int(capture.get(cv2.CAP_PROP_FOURCC)) == wanted:
            return


def _camera_name(path: Path) -> str | None:
    """Return what the driver calls the camera at `path`, None for anything that is no USB-like camera."""
    answer = bytearray(_QUERYCAP_SIZE)
    try:
        with path.open("rb", buffering=0) as device:
            fcntl.ioctl(device, _QUERYCAP, answer)
    except OSError:
        return None
    driver, card = (text.split(b"\0")[0].decode(errors="replace") for text in (answer[:16], answer[16:48]))
    capabilities, device_caps = struct.unpack_from("<II", answer, 84)
    flags = device_caps if capabilities & _DEVICE_CAPS else capabilities
    return card if flags & _VIDEO_CAPTURE and not driver.startswith(_NOT_CAMERAS) else None
