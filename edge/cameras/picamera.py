"""The Raspberry Pi's camera module, by picamera2.

Argument: its number among the camera modules (default 0). The luma plane of the camera's own YUV420 goes straight to
search and model; colour is made only when a sink asks for it.

Tried with picamera2 0.3.38's sources at hand, and against a stand-in in the tests; not yet on a real Raspberry Pi.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Generator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import CameraError, UsageError
from edge.values import Frame

WIDTH, HEIGHT = 640, 480  # a stride of 640 needs no padding on any Pi
FRAME_MICROSECONDS = 33_333  # 30 frames a second
FIRST_SECONDS, NEXT_SECONDS = 5.0, 2.0  # to wait for a frame; a camera that is cut off goes silent and raises nothing


def present() -> tuple[str | None, str]:
    """Return the number of the first camera module, or None, and what was found in words."""
    try:
        modules = _modules(_picamera2())
    except CameraError as error:
        return None, str(error)
    return ("0", f"found camera module {modules[0].get('Model', '')}") if modules else (None, "no camera module")


def frames(argument: str) -> Generator[Frame, None, None]:
    """Yield frames as they come. Raises CameraError when the camera is not there, is taken, or stops delivering."""
    if argument and not argument.isdecimal():
        raise UsageError(f"picamera:{argument}: expected a number, as in picamera:0")
    camera = _open(_picamera2(), int(argument or 0))
    first, index = None, 0
    try:
        stride = camera.camera_configuration()["main"]["stride"]
        while True:
            array, seconds = _capture(camera, index)
            first = seconds if first is None else first
            grey = array[:HEIGHT, :WIDTH]
            yield Frame(grey, _colour(array, stride), seconds - first, index)
            index += 1
    finally:
        _close(camera)


def live(argument: str) -> bool:  # noqa: ARG001 (as every camera's)
    """Return True: it films on, whoever looks."""
    return True


def _picamera2() -> Any:
    # libcamera would print a page at each start. Its errors stay: they are where a loose cable shows.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    logging.getLogger("picamera2").setLevel(logging.CRITICAL)  # what goes wrong comes as an exception, once
    try:
        import picamera2
    except ImportError as error:
        raise CameraError(
            f"picamera2 is not here ({error}): 'sudo apt install python3-picamera2', and a venv that sees it"
        ) from error
    except ValueError as error:  # numpy.dtype size changed: apt's simplejpeg was built for another numpy
        raise CameraError(
            f"picamera2 does not load ({error}): run 'pip install --ignore-installed --no-deps simplejpeg' in this venv"
        ) from error
    return picamera2


def _modules(picamera2: Any) -> list[dict[str, Any]]:
    # libcamera lists USB cameras too; those are better served by camera `usb`.
    return [info for info in picamera2.Picamera2.global_camera_info() if "/usb" not in info.get("Id", "")]


def _open(picamera2: Any, number: int) -> Any:
    modules, known = _modules(picamera2), picamera2.Picamera2.global_camera_info()
    if number >= len(modules):
        raise CameraError(
            f"picamera:{number}: {len(modules)} modules found; check the ribbon cable and 'rpicam-hello --list-cameras'"
        )
    camera = None
    try:
        camera = picamera2.Picamera2(known.index(modules[number]))
        camera.configure(
            camera.create_video_configuration(
                main={"size": (WIDTH, HEIGHT), "format": "YUV420"},
                raw=None,
                display=None,
                encode=None,
                buffer_count=4,
                queue=False,  # no kept frame: each capture waits for the next one to be complete, never gets an old one
                controls={"FrameDurationLimits": (FRAME_MICROSECONDS, FRAME_MICROSECONDS)},
            )
        )
        camera.start()
    except (RuntimeError, IndexError, OSError) as error:
        if camera is not None:
            _close(camera)
        reason = error.__cause__ or error.__context__ or error
        raise CameraError(f"picamera:{number}: cannot be opened ({reason}); is another program using it?") from error
    return camera


def _capture(camera: Any, index: int) -> tuple[NDArray[np.uint8], float]:
    """Return the next frame as I420 rows (height * 3/2, stride) uint8 and its sensor time in seconds."""
    try:
        (array,), about = camera.capture_arrays(["main"], wait=NEXT_SECONDS if index else FIRST_SECONDS)
    except TimeoutError as error:
        what = "stopped delivering" if index else "delivers no pictures"
        raise CameraError(f"picamera: the camera {what} after {index} frames; check the ribbon cable") from error
    return array, about.get("SensorTimestamp", time.monotonic_ns()) / 1e9  # ns; on the Pi also of the monotonic clock


def _colour(array: NDArray[np.uint8], stride: int) -> Callable[[], NDArray[np.uint8]]:
    def colour() -> NDArray[np.uint8]:
        # The planes only fit together with their padding, so convert first and cut off the padding then.
        bgr = cv2.cvtColor(array[:, :stride], cv2.COLOR_YUV2BGR_I420)
        return bgr[:HEIGHT, :WIDTH].astype(np.uint8, copy=False)

    return colour


def _close(camera: Any) -> None:
    # After a time-out stop() would wait for ever behind the stuck capture (picamera2 issue 1065); close() ends the
    # event loop first.
    with contextlib.suppress(Exception):
        if hasattr(camera, "cancel_all_and_flush"):
            camera.cancel_all_and_flush()
    with contextlib.suppress(Exception):
        camera.close()
