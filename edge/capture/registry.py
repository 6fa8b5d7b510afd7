"""Finds cameras by name. Each module of this folder that is not in SUPPORT_MODULES is a camera, imported when used.

To add a camera, add a file with these functions; `argument` is what follows the camera's name and a colon; of a network
camera it is the whole address:

    frames(argument: str) -> Generator[Frame]   opens the source at the first frame and closes it in its own `finally`;
                                                may raise UsageError or SourceNotFoundError at once; a live camera may
                                                yield EncodedFrame
    is_live(argument: str) -> bool              whether frames come at their own pace, not when they are asked for
    has_images(argument: str) -> bool           optional: whether each frame is an image file, unrelated to the others
    detect() -> tuple[str | None, str]          in DETECTION_ORDER: argument of a connected camera, and a description
    CAN_RECONNECT = True                        optional: may be opened again in the same process after it was lost
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeGuard

from edge.capture import stream_url
from edge.config.secrets import hide_passwords
from edge.errors import UnknownNameError
from edge.system.paths import expand_path

if TYPE_CHECKING:
    from edge.capture.encoded_frame import EncodedFrame
    from edge.types import Frame

SUPPORT_MODULES = (
    *("encoded_frame", "ffmpeg", "file_jobs", "file_list", "frame_rate", "jpeg", "latest_frame"),
    *("multipart", "open_camera", "reconnecting", "registry", "stream_url", "v4l2"),
)
DETECTION_ORDER = ("picamera", "usb")  # a camera module is preferred to a USB camera


def names() -> list[str]:
    """Return the names of all cameras."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in modules if module.name not in SUPPORT_MODULES)


def parse(source: str) -> tuple[str, str]:
    """Return camera name and argument of `source`: `usb:0`, `/dev/video0`, `synthetic:fast`, `rtsp://HOST/PATH`, or a
    path (camera `file`).

    Raises UnknownNameError, listing the cameras, for a word that is neither a camera nor looks like a path; UsageError
    for an address that is not valid, or contains a password.
    """
    if stream_url.is_address(source):
        return stream_url.parse(source).scheme.removesuffix("s"), source
    name, _, argument = source.partition(":")
    if name in names():
        return name, argument
    if source.startswith("/dev/") and not source.startswith("/dev/shm/"):  # noqa: S108 (the one folder for files there)
        path = Path(source)
        # One that is absent may be plugged in later: udev gives it the name that it was told.
        if path.is_char_device() or not (path.exists() or re.search(r"[*?\[]", source)):
            return "usb", source
    if expand_path(source).exists() or re.search(r"[/\\.*?\[]", source) or not re.fullmatch(r"\w+(:.*)?", source):
        return "file", source
    raise UnknownNameError(
        f"no camera {hide_passwords(source)!r}; there are {', '.join(names())}, "
        "or name a video, an image or a folder by its path"
    )


def is_file(source: str | None) -> TypeGuard[str]:
    """Return whether `source` names a file, a folder or a pattern; None, for which a camera is detected, does not."""
    return source is not None and parse(source)[0] == "file"


def frames(source: str) -> Generator[Frame, None, None]:
    """Return the frames of `source`, decoded. Errors of opening it come with the first frame."""
    return _decoded(undecoded_frames(source))


def undecoded_frames(source: str) -> Generator[Frame | EncodedFrame, None, None]:
    """Return the frames of `source` for LatestFrame, which decodes those that the loop takes."""
    camera, argument = _load(source)
    source_frames: Generator[Frame | EncodedFrame, None, None] = camera.frames(argument)
    return source_frames


def is_live(source: str) -> bool:
    """Return whether frames of `source` come at their own pace, so that only the newest one is of use."""
    camera, argument = _load(source)
    return bool(camera.is_live(argument))


def has_images(source: str) -> bool:
    """Return whether each frame of `source` is an image file, unrelated to the others."""
    camera, argument = _load(source)
    return hasattr(camera, "has_images") and bool(camera.has_images(argument))


def can_reconnect(source: str) -> bool:
    """Return whether `source` may be opened again in the same process, after it was lost or absent."""
    camera, _ = _load(source)
    return bool(getattr(camera, "CAN_RECONNECT", False))


def detect_source() -> tuple[str, str]:
    """Return the source to use when none is named, and the reason; `synthetic` if no camera is connected."""
    for name in DETECTION_ORDER:
        argument, description = importlib.import_module(f"edge.capture.{name}").detect()
        if argument is not None:
            return f"{name}:{argument}", description
    return "synthetic", "no camera module and no USB camera was found"


def _load(source: str) -> tuple[ModuleType, str]:
    """Return the module of the camera of `source`, and its argument."""
    name, argument = parse(source)
    return importlib.import_module(f"edge.capture.{name}"), argument


def _decoded(frames: Generator[Frame | EncodedFrame, None, None]) -> Generator[Frame, None, None]:
    from edge.capture.encoded_frame import FrameDecoder  # with NumPy, without which doctor runs, too

    decoder = FrameDecoder()
    with closing(frames):
        for frame in frames:
            decoded = decoder.decode(frame)
            if decoded is not None:
                yield decoded
