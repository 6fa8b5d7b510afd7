"""The Raspberry Pi's camera module, by picamera2.

Argument: comma-separated, both optional: its number among the camera modules (default 0), `size=WIDTHxHEIGHT`.

The camera makes each image twice, as YUV420, and their luma planes go to model and search as they are: a large one
for sharp faces, and the same view at half its size, which is cheaper to search. Color is made only when a sink asks.
docs/picamera2.md has the figures behind the sizes, and what was tried: libcamera's virtual camera, not yet a Pi.
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

WIDTH = 1280  # a stride of 1280, and of 640, needs no padding on any Pi
SMALLER = 2  # each side of the image that is searched
SEARCH_WIDTH = 640  # pixels; an image that would be narrower than this after that is searched as it is
FRAME_MICROSECONDS = 33_333  # 30 frames a second
FIRST_SECONDS, NEXT_SECONDS = 5.0, 2.0  # to wait for a frame; a camera that is cut off goes silent and raises nothing

# What libcamera may make of the YUV420 that it is asked for. A Pi delivers that; cameras of other kinds know only NV12.
_TO_BGR = {"YUV420": cv2.COLOR_YUV2BGR_I420, "NV12": cv2.COLOR_YUV2BGR_NV12}

Size = tuple[int, int]  # width, height in pixels


def present() -> tuple[str | None, str]:
    """Return the number of the first camera module, or None, and what was found in words."""
    try:
        modules = _modules(_picamera2())
    except CameraError as error:
        return None, str(error)
    return ("0", f"found camera module {modules[0].get('Model', '')}") if modules else (None, "no camera module")


def frames(argument: str) -> Generator[Frame, None, None]:
    """Yield frames as they come. Raises CameraError when the camera is not there, is taken, or stops delivering."""
    number, size = _parse(argument)
    camera = _open(_picamera2(), number, size)
    first, index = None, 0
    try:
        streams = _streams(camera, number)
        while True:
            arrays, seconds = _capture(camera, list(streams), index)
            first = seconds if first is None else first
            gray, *small = (_luma(array, stream) for array, stream in zip(arrays, streams.values(), strict=True))
            color = _color(arrays[0], streams["main"])
            yield Frame(gray, color, seconds - first, index, search_image=small[0] if small else None)
            index += 1
    finally:
        _close(camera)


def live(argument: str) -> bool:  # noqa: ARG001 (as every camera's)
    """Return True: it films on, whoever looks."""
    return True


def _parse(argument: str) -> tuple[int, Size | None]:
    """Return the number of the module, and the size of the image if one is named."""
    number, size = 0, None
    for place, word in enumerate(filter(None, argument.split(","))):
        if word.startswith("size="):
            size = _size(argument, word.removeprefix("size="))
        elif word.isdecimal() and place == 0:
            number = int(word)
        else:
            raise UsageError(f"picamera:{argument}: expected a number, as in picamera:0 or picamera:0,size=1280x960")
    return number, size


def _size(argument: str, text: str) -> Size:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UsageError(f"picamera:{argument}: size {text!r} is not WIDTHxHEIGHT, as in size=1280x960")
    size = int(width), int(height)
    if not (160 <= size[0] <= 4608 and 120 <= size[1] <= 3496) or size[0] % 4 or size[1] % 4:
        raise UsageError(f"picamera:{argument}: size {text} must be 160x120 to 4608x3496, in multiples of 4")
    return size


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


def _open(picamera2: Any, number: int, size: Size | None) -> Any:
    modules, known = _modules(picamera2), picamera2.Picamera2.global_camera_info()
    if number >= len(modules):
        raise CameraError(
            f"picamera:{number}: {len(modules)} modules found; check the ribbon cable and 'rpicam-hello --list-cameras'"
        )
    camera = None
    try:
        camera = picamera2.Picamera2(known.index(modules[number]))
        camera.configure(_configuration(camera, size))
        camera.start()
    except (RuntimeError, IndexError, OSError) as error:
        if camera is not None:
            _close(camera)
        reason = error.__cause__ or error.__context__ or error
        raise CameraError(f"picamera:{number}: cannot be opened ({reason}); is another program using it?") from error
    return camera


def _configuration(camera: Any, size: Size | None) -> Any:
    """Return the configuration of both images, of `size` or WIDTH wide, with all that the sensor sees."""
    sensor = camera.camera_properties.get("PixelArraySize")
    width, height = size or _whole(*(sensor or (4, 3)))
    small = {"size": (width // SMALLER, height // SMALLER)} if width >= SMALLER * SEARCH_WIDTH else None
    return camera.create_video_configuration(
        main={"size": (width, height), "format": "YUV420"},
        lores=small,
        raw=None,
        # Without this the sensor's mode is chosen by the image's size: at 640x480, Camera Module 2 sees 39 % of its
        # width. Half the sensor's pixels is what the mode that sees everything delivers on Raspberry Pi's own modules.
        sensor={"output_size": (sensor[0] // 2, sensor[1] // 2)} if sensor else {},
        color_space=importlib.import_module("libcamera").ColorSpace.Smpte170m(),  # as OpenCV converts, at any size
        display=None,
        encode=None,
        buffer_count=4,
        queue=False,  # no kept frame: each capture waits for the next one to be complete, never gets an old one
        controls={"FrameDurationLimits": (FRAME_MICROSECONDS, FRAME_MICROSECONDS)},
    )


def _whole(width: int, height: int) -> Size:
    """Return the size, WIDTH wide, of an image in the shape of a sensor; both sides can be halved twice."""
    return WIDTH, 4 * round(WIDTH * height / width / 4)


def _streams(camera: Any, number: int) -> dict[str, dict[str, Any]]:
    """Return name -> what libcamera made of it, for the images that are captured."""
    found = camera.camera_configuration()
    streams = {name: found[name] for name in ("main", "lores") if found.get(name)}
    if unknown := {stream["format"] for stream in streams.values()} - set(_TO_BGR):
        raise CameraError(f"picamera:{number}: delivers {', '.join(sorted(unknown))}; expected {' or '.join(_TO_BGR)}")
    return streams


def _capture(camera: Any, names: list[str], index: int) -> tuple[list[NDArray[np.uint8]], float]:
    """Return the next image's streams as rows of luma, then chroma, (height * 3/2, at least width) uint8, and its
    time by the sensor in seconds."""
    try:
        arrays, about = camera.capture_arrays(names, wait=NEXT_SECONDS if index else FIRST_SECONDS)
    except TimeoutError as error:
        what = "stopped delivering" if index else "delivers no images"
        raise CameraError(f"picamera: the camera {what} after {index} frames; check the ribbon cable") from error
    return arrays, about.get("SensorTimestamp", time.monotonic_ns()) / 1e9  # ns; on the Pi also of the monotonic clock


def _luma(array: NDArray[np.uint8], stream: dict[str, Any]) -> NDArray[np.uint8]:
    width, height = stream["size"]
    return array[:height, :width]


def _color(array: NDArray[np.uint8], stream: dict[str, Any]) -> Callable[[], NDArray[np.uint8]]:
    def color() -> NDArray[np.uint8]:
        # The planes only fit together with their padding, so convert first and cut off the padding then.
        return _luma(cv2.cvtColor(array, _TO_BGR[stream["format"]]).astype(np.uint8, copy=False), stream)

    return color


def _close(camera: Any) -> None:
    # After a time-out stop() would wait for ever behind the stuck capture (picamera2 issue 1065); close() ends the
    # event loop first.
    with contextlib.suppress(Exception):
        if hasattr(camera, "cancel_all_and_flush"):
            camera.cancel_all_and_flush()
    with contextlib.suppress(Exception):
        camera.close()
