"""The Raspberry Pi's camera module, by picamera2.

Argument: comma-separated, both optional: its number among the camera modules (default 0), `size=WIDTHxHEIGHT`.

The camera delivers each image twice, as YUV420: a large one, for sharp faces, and the same view at half its size, which
is cheaper to search. Their luma planes are used without conversion; color is made only if a sink asks for it.
docs/picamera2.md has the measurements behind the sizes, and what was tested: libcamera's virtual camera, no Pi yet.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import time
from collections.abc import Callable, Generator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import CameraError, UsageError
from edge.types import Frame

DEFAULT_WIDTH_PIXELS = 1280  # rows of 1280 and 640 bytes need no padding on any Pi
SEARCH_DOWNSCALE = 2  # of each side of the image that is searched for faces
MIN_SEARCH_WIDTH_PIXELS = 640  # an image that would be narrower when downscaled is searched at full size
FRAME_DURATION_MICROSECONDS = 33_333  # 30 frames per second
# To wait for a frame: a camera whose cable comes off delivers nothing and raises nothing.
FIRST_FRAME_TIMEOUT_SECONDS, FRAME_TIMEOUT_SECONDS = 5.0, 2.0
# A wait that ends so much later than its timeout: the process was stopped (Ctrl-Z, no memory left), and with it the
# thread of picamera2 that delivers the frames.
STOPPED_SECONDS = 0.5

# What libcamera may deliver where YUV420 was requested: a Pi delivers it, cameras of other kinds may know only NV12.
_TO_BGR = {"YUV420": cv2.COLOR_YUV2BGR_I420, "NV12": cv2.COLOR_YUV2BGR_NV12}

Size = tuple[int, int]  # width, height in pixels


def detect() -> tuple[str | None, str]:
    """Return the number of the first camera module, or None, and a description."""
    try:
        modules = _camera_modules(_import_picamera2())
    except CameraError as error:
        return None, str(error)
    return ("0", f"found camera module {modules[0].get('Model', '')}") if modules else (None, "no camera module")


def frames(argument: str) -> Generator[Frame, None, None]:
    """Yield frames as they come. Raises CameraError if the camera is absent, in use, or stops delivering."""
    number, size = _parse(argument)
    camera = _open(number, size)
    first, index = None, 0
    try:
        configuration = camera.camera_configuration()
        streams = {name: configuration[name] for name in ("main", "lores") if configuration.get(name)}
        if unknown := {stream["format"] for stream in streams.values()} - set(_TO_BGR):
            found = ", ".join(sorted(unknown))
            raise CameraError(f"picamera:{number}: delivers {found}; expected {' or '.join(_TO_BGR)}")
        while True:
            timeout = FRAME_TIMEOUT_SECONDS if index else FIRST_FRAME_TIMEOUT_SECONDS
            asked = time.monotonic()
            try:
                # Of each stream (height * 3/2, at least width) uint8: rows of luma, then of chroma.
                arrays, metadata = camera.capture_arrays(list(streams), wait=timeout)
            except TimeoutError:
                if time.monotonic() - asked < timeout + STOPPED_SECONDS:
                    raise
                continue
            seconds = metadata.get("SensorTimestamp", time.monotonic_ns()) / 1e9  # on a Pi of the monotonic clock
            first = seconds if first is None else first
            gray, *small = (_luma(array, stream) for array, stream in zip(arrays, streams.values(), strict=True))
            color = _color_maker(arrays[0], streams["main"])
            yield Frame(gray, color, seconds - first, index, search_image=small[0] if small else None)
            index += 1
    except TimeoutError as error:
        problem = "stopped delivering" if index else "delivers no images"
        raise CameraError(f"picamera: the camera {problem} after {index} frames; check the ribbon cable") from error
    finally:
        _close(camera)


def is_live(argument: str) -> bool:  # noqa: ARG001 (every camera has it)
    """Return True: frames come at the camera's pace."""
    return True


def _parse(argument: str) -> tuple[int, Size | None]:
    """Return the number of the module, and the size of the image if given."""
    number, size = 0, None
    for position, word in enumerate(filter(None, argument.split(","))):
        if word.startswith("size="):
            text = word.removeprefix("size=")
            width, _, height = text.partition("x")
            if not (width.isdecimal() and height.isdecimal()):
                raise UsageError(f"picamera:{argument}: size {text!r} is not WIDTHxHEIGHT, as in size=1280x960")
            size = int(width), int(height)
            if not (160 <= size[0] <= 4608 and 120 <= size[1] <= 3496) or size[0] % 4 or size[1] % 4:
                raise UsageError(f"picamera:{argument}: size {text} must be 160x120 to 4608x3496, in multiples of 4")
        elif word.isdecimal() and position == 0:
            number = int(word)
        else:
            raise UsageError(f"picamera:{argument}: expected a number, as in picamera:0 or picamera:0,size=1280x960")
    return number, size


def _import_picamera2() -> Any:
    # libcamera would print a page at each start. Its errors are kept: they report a loose cable.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    logging.getLogger("picamera2").setLevel(logging.CRITICAL)  # it logs what it also raises
    try:
        import picamera2
    except ImportError as error:
        raise CameraError(
            f"picamera2 is not installed ({error}): 'sudo apt install python3-picamera2', and a venv with "
            "--system-site-packages"
        ) from error
    except ValueError as error:  # "numpy.dtype size changed": apt's simplejpeg was built for another numpy
        raise CameraError(
            f"picamera2 cannot be loaded ({error}): run 'pip install --ignore-installed --no-deps simplejpeg' in this "
            "venv"
        ) from error
    except Exception as error:  # the system's packages may not fit each other; a USB camera works all the same
        raise CameraError(
            f"picamera2 cannot be loaded ({type(error).__name__}: {error}): 'sudo apt install --reinstall "
            "python3-picamera2 python3-libcamera'"
        ) from error
    return picamera2


def _camera_modules(picamera2: Any) -> list[dict[str, Any]]:
    # libcamera also lists USB cameras; camera `usb` serves those better.
    return [info for info in picamera2.Picamera2.global_camera_info() if "/usb" not in info.get("Id", "")]


def _open(number: int, size: Size | None) -> Any:
    picamera2 = _import_picamera2()
    modules = _camera_modules(picamera2)
    if number >= len(modules):
        raise CameraError(
            f"picamera:{number}: {len(modules)} modules found; check the ribbon cable and 'rpicam-hello --list-cameras'"
        )
    camera = None
    try:
        camera = picamera2.Picamera2(picamera2.Picamera2.global_camera_info().index(modules[number]))
        camera.configure(make_configuration(camera, size))
        camera.start()
    except (RuntimeError, IndexError, OSError) as error:
        if camera is not None:
            _close(camera)
        reason = error.__cause__ or error.__context__ or error
        raise CameraError(f"picamera:{number}: cannot be opened ({reason}); is another program using it?") from error
    return camera


def make_configuration(camera: Any, size: Size | None) -> Any:
    """Return the configuration of both streams, with the sensor's full field of view.

    Args:
        size: of the main stream; None: DEFAULT_WIDTH_PIXELS wide, in the shape of the sensor.
    """
    sensor = camera.camera_properties.get("PixelArraySize")
    sensor_width, sensor_height = sensor or (4, 3)
    # Both sides of the default size can be halved twice.
    width, height = size or (DEFAULT_WIDTH_PIXELS, 4 * round(DEFAULT_WIDTH_PIXELS * sensor_height / sensor_width / 4))
    search = {"size": (width // SEARCH_DOWNSCALE, height // SEARCH_DOWNSCALE)}
    return camera.create_video_configuration(
        main={"size": (width, height), "format": "YUV420"},
        lores=search if width >= SEARCH_DOWNSCALE * MIN_SEARCH_WIDTH_PIXELS else None,
        raw=None,
        # Without this the image's size selects the sensor's mode: at 640x480, Camera Module 2 covers 39 % of its width.
        # The mode with the full field of view delivers half the sensor's pixels on Raspberry Pi's own modules.
        sensor={"output_size": (sensor[0] // 2, sensor[1] // 2)} if sensor else {},
        colour_space=importlib.import_module("libcamera").ColorSpace.Smpte170m(),  # as OpenCV converts, at any size
        display=None,
        encode=None,
        buffer_count=4,
        queue=False,  # each capture waits for the next complete frame, and never gets an old one
        controls={"FrameDurationLimits": (FRAME_DURATION_MICROSECONDS, FRAME_DURATION_MICROSECONDS)},
    )


def _luma(array: NDArray[np.uint8], stream: dict[str, Any]) -> NDArray[np.uint8]:
    width, height = stream["size"]
    return array[:height, :width]


def _color_maker(array: NDArray[np.uint8], stream: dict[str, Any]) -> Callable[[], NDArray[np.uint8]]:
    def color() -> NDArray[np.uint8]:
        # The planes only fit together with their padding: convert first, crop afterwards.
        return _luma(cv2.cvtColor(array, _TO_BGR[stream["format"]]).astype(np.uint8, copy=False), stream)

    return color


def _close(camera: Any) -> None:
    # After a time-out stop() would block behind the unfinished capture (picamera2 issue 1065); close() ends the event
    # loop first.
    with contextlib.suppress(Exception):
        if hasattr(camera, "cancel_all_and_flush"):
            camera.cancel_all_and_flush()
    with contextlib.suppress(Exception):
        camera.close()
