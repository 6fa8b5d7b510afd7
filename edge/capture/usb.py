"""A USB camera, or any other V4L2 device that captures video; on macOS and Windows any camera of the system.

Argument: its number (`0`), or on Linux its path (`/dev/video0`, `/dev/v4l/by-id/...`, or a name that udev has been
told).

The gray image is the luma that the camera sends; color is made only if a sink asks for it. OpenCV would convert each
image to color, and that would be converted to gray: docs/runtime.md has what that costs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture import v4l2
from edge.capture.encoded_frame import EncodedFrame
from edge.capture.jpeg import decode_jpeg
from edge.errors import CameraError, UsageError

# Every USB camera has this size. A larger one only costs time: the model gets at most 48 x 48 pixels of a face.
IMAGE_WIDTH_PIXELS, IMAGE_HEIGHT_PIXELS = 640, 480
# Motion JPEG lets a USB 2 camera send 30 frames per second. By default OpenCV uses BGR, which its version 4.11 returns
# as one flat row.
PREFERRED_FORMATS = ("MJPG", "YUYV")
# Of the driver: it fills one while the other is read. OpenCV keeps a buffer until it is asked for the next frame, and
# Linux's driver uvcvideo loses a frame that begins while it has none: with a single one that may be every second frame.
# A longer queue would deliver older frames after a delay.
BUFFERS = 2
# YUYV's luma is 16 (black) to 235 (white), ITU-R BT.601. Stretched to 0 to 255 it is what OpenCV's conversion to color
# and then to gray gives, within one gray level, but where a saturated color exceeds the range.
BLACK, WHITE = 16, 235

HAS_V4L2 = sys.platform == "linux"

Image = NDArray[np.uint8]

CAN_RECONNECT = True


def detect() -> tuple[str | None, str]:
    """Return the path of the first USB camera, or None, and a description; where none are listed, "0" if that opens."""
    if not HAS_V4L2:
        try:
            _open_number(0).release()
        except CameraError:
            return None, "no camera"
        return "0", "found a camera"
    camera = next((node for node in v4l2.video_nodes() if node.is_camera), None)
    return (str(camera.path), f"found {camera.name} at {camera.path}") if camera else (None, "no USB camera")


def frames(argument: str) -> Generator[EncodedFrame, None, None]:
    """Yield frames as they come. Raises CameraError if the device is absent, in use, or stops delivering."""
    path = argument
    if not (HAS_V4L2 and argument.startswith("/")):
        if argument and not argument.isdecimal():
            device = " or a device (usb:/dev/video0)" if HAS_V4L2 else ""
            raise UsageError(f"usb:{argument}: expected a number (usb:0){device}")
        path = f"/dev/video{argument or 0}" if HAS_V4L2 else f"usb:{argument or 0}"
    capture = _open(path) if HAS_V4L2 else _open_number(int(argument or 0))
    start, index = time.monotonic(), 0
    try:
        camera_format = SentFormat.of(capture)
        while True:
            if not capture.grab():
                problem = "stopped delivering" if index else "delivers no images"
                raise CameraError(
                    f"{path}: the camera {problem} after {index} frames; check the plug and the cable, and whether "
                    "another program uses it"
                )
            arrived = time.monotonic()
            decode_gray, color = make_decoders(path, camera_format, capture.retrieve()[1])
            yield EncodedFrame(decode_gray, color, arrived - start, index, arrived)
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
        node = v4l2.query(Path(path))
        reason = "it is in use by another program, or sends no images"
        if not node.accessible:
            reason = "this user may not; 'sudo usermod -aG video USER' adds a user to the group of cameras"
        elif node.driver is None:
            reason = "it is no camera: it does not answer as a Video4Linux device"
        raise CameraError(f"{path}: cannot be opened; {reason}")
    for name in PREFERRED_FORMATS:
        code = cv2.VideoWriter.fourcc(*name)
        capture.set(cv2.CAP_PROP_FOURCC, code)  # returns True even if the camera has chosen another format
        if int(capture.get(cv2.CAP_PROP_FOURCC)) == code:
            break
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, IMAGE_WIDTH_PIXELS)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, IMAGE_HEIGHT_PIXELS)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)
    if SentFormat.of(capture).name in PREFERRED_FORMATS:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # where that has no effect, color images come
    return capture


def _open_number(number: int) -> cv2.VideoCapture:
    """Open a camera of macOS or Windows, which sends color images: they set no format, and list no cameras."""
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            f"usb:{number}: cannot be opened; there is no such camera, another program uses it, or the system's "
            "privacy settings keep it from this program"
        )
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, IMAGE_WIDTH_PIXELS)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, IMAGE_HEIGHT_PIXELS)
    return capture


class SentFormat(NamedTuple):
    """What a camera has agreed to send."""

    name: str  # FourCC
    width: int
    height: int

    @classmethod
    def of(cls, capture: cv2.VideoCapture) -> SentFormat:
        """Return the format of the open `capture`."""
        properties = (cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        code, width, height = (int(capture.get(each)) for each in properties)
        return cls((code & 0xFFFFFFFF).to_bytes(4, "little").decode("latin-1"), width, height)


def make_decoders(
    path: str, sent: SentFormat, image: NDArray[Any] | None
) -> tuple[Callable[[], Image], Callable[[], Image]]:
    """Return what makes the gray and the color image of what OpenCV has delivered.

    Raises CameraError if that is not an image of the format and size that the camera has agreed to send.
    """
    image = np.empty(0, np.uint8) if image is None else image
    if image.dtype == np.uint8:
        if image.shape == (sent.height, sent.width, 3):  # OpenCV has converted it
            return partial(_convert, image, cv2.COLOR_BGR2GRAY), lambda: image
        if sent.name == "YUYV" and image.size == 2 * sent.height * sent.width:
            yuyv = image.reshape(sent.height, sent.width, 2)
            return partial(_full_range_luma, yuyv), cache(partial(_convert, yuyv, cv2.COLOR_YUV2BGR_YUYV))
        if sent.name == "MJPG" and image.size == max(image.shape):  # one row of bytes
            size = sent.width, sent.height
            return (
                partial(decode_jpeg, image.ravel(), cv2.IMREAD_GRAYSCALE, size),
                cache(partial(decode_jpeg, image.ravel(), cv2.IMREAD_COLOR, size)),
            )
    raise CameraError(
        f"{path}: the camera sends {sent.name} images that OpenCV delivers as an array {image.shape} of {image.dtype}; "
        f"expected {sent.width} x {sent.height} pixels of YUYV, MJPG, or three colors of 8 bits"
    )


def _convert(image: Image, code: int) -> Image:
    return cv2.cvtColor(image, code).astype(np.uint8, copy=False)


def _full_range_luma(yuyv: Image) -> Image:
    pairs = yuyv.reshape(yuyv.shape[0], -1).view("<u2")
    luma = pairs.astype(np.uint8)  # the lower bytes: a tenth of the instructions of cv2.extractChannel
    contrast = 255 / (WHITE - BLACK)
    return cv2.addWeighted(luma, contrast, luma, 0, -BLACK * contrast).astype(np.uint8, copy=False)
