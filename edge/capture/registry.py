"""Where frames come from. Each module of this folder is a camera, found by its name and imported when a run names it.

A camera is a function `frames(argument: str)` that returns a generator of Frames, which opens its source when the first
frame is asked for and closes it in its own `finally`. A source that is not there may be refused at once. A second one,
`live(argument: str)`, tells whether frames come whether or not anybody asks for them. `CAN_RECONNECT = True` tells that the
camera may be opened again in the same process after it was lost. To add a camera, add a file.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Generator
from pathlib import Path

from edge.errors import UnknownName
from edge.types import Frame

SUPPORT_MODULES = (
    "frame_rate",
    "latest_frame",
    "reconnecting",
    "registry",
    "v4l2",
)  # of this folder; all others are cameras


def names() -> list[str]:
    """Return the names of all cameras."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in modules if module.name not in SUPPORT_MODULES)


def parse(source: str) -> tuple[str, str]:
    """Return camera name and argument of `source`: `usb:0`, `/dev/video0`, `synthetic:fast`, or a path (camera `file`).

    Raises UnknownName, listing what there is, for a word that is neither a camera nor looks like a path.
    """
    name, _, argument = source.partition(":")
    if name in names():
        return name, argument
    if re.fullmatch(r"/dev/video\d+", source):
        return "usb", source
    if Path(source).exists() or re.search(r"[/.*?\[]", source) or not re.fullmatch(r"\w+(:.*)?", source):
        return "file", source
    raise UnknownName(
        f"no camera {source!r}; there are {', '.join(names())}, or name a video, an image or a folder by its path"
    )


def frames(source: str) -> Generator[Frame, None, None]:
    """Return the frames of `source`. Errors of opening it come with the first frame."""
    name, argument = parse(source)
    found: Generator[Frame, None, None] = importlib.import_module(f"edge.capture.{name}").frames(argument)
    return found


def is_live(source: str) -> bool:
    """Return whether `source` goes on by itself, so that only its newest frame is worth anything."""
    name, argument = parse(source)
    return bool(importlib.import_module(f"edge.capture.{name}").live(argument))


def has_images(source: str) -> bool:
    """Return whether each frame of `source` is an image file of its own, unrelated to the others."""
    name, argument = parse(source)
    test = getattr(importlib.import_module(f"edge.capture.{name}"), "has_images", None)
    return bool(test and test(argument))


def can_reconnect(source: str) -> bool:
    """Return whether `source` may be opened again in the same process, after it was lost or was not there."""
    return bool(getattr(importlib.import_module(f"edge.capture.{parse(source)[0]}"), "CAN_RECONNECT", False))


def detect_source() -> tuple[str, str]:
    """Return the source to use when none is named, and why: a camera module, else a USB camera, else synthetic."""
    for name in ("picamera", "usb"):
        argument, reason = importlib.import_module(f"edge.capture.{name}").present()
        if argument is not None:
            return f"{name}:{argument}", reason
    return "synthetic", "no camera module and no USB camera was found"
