"""Shows results on a kiosk's screen: the camera's image with labels, or with `no-image` a radial chart.

Argument: comma-separated options, all optional, for example `window:no-image,rotate=90`:

    no-image        a radial chart in place of the image, which then does not leave the run's process
    rotate=DEGREES  0, 90, 180 or 270, clockwise, for a screen that is mounted sideways
    blur            pixelates the faces that are found, and a face that was lost for a second longer
    mirror          flips the image horizontally
    windowed        a resizable window in place of the full screen
    nobody=TEXT     shown while there is no face
    uncertain=TEXT  shown where a face has no label

Esc, q, or closing the window ends the run as Ctrl-C does. Of a camera the newest frame is shown, at most 30 per second;
a video plays at its own speed; an image file is shown for 2 s.

Needs pygame; see docs/window.md.

    messages.py     between the two processes
    process.py      the run's side: starts the process that draws, sends it frames
    screen.py       the program that draws
    display.py      which display is available
    scene.py        the content of the window, made of
    cards.py, radial_chart.py, bar_chart.py, text.py, primitives.py, palette.py
"""

from __future__ import annotations

import importlib.util
import sys
import time
from types import TracebackType
from typing import Any, Self

from edge.config import sink_options
from edge.errors import SinkError, UsageError
from edge.sinks.face_blur import FaceBlur
from edge.sinks.missing_package import missing_package
from edge.sinks.window import display
from edge.sinks.window.messages import DisplayOptions
from edge.sinks.window.process import WindowProcess
from edge.types import Disclosure, FrameResult, RunInfo

IS_SUPPORTED = sys.platform != "win32"  # which hands no descriptor to a child, and the window is a process
IMAGE_SECONDS = 2.0  # that each image of a folder is shown


def _parse_rotation(text: str) -> int:
    if text not in {"0", "90", "180", "270"}:
        raise ValueError("0, 90, 180 or 270")
    return int(text)


OPTION_TYPES: dict[str, Any] = {
    "no-image": bool,
    "rotate": _parse_rotation,
    "mirror": bool,
    "windowed": bool,
    "nobody": str,
    "uncertain": str,
    "blur": bool,
}


class Sink:
    """The window. After it failed it may be entered again; the run goes on without it until then."""

    reopens = True

    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        first, options = sink_options.parse("window", argument, OPTION_TYPES)
        if first:
            raise UsageError(f"sink window: unknown option {first!r}; options are {', '.join(OPTION_TYPES)}")
        if not IS_SUPPORTED:
            raise UsageError("sink window needs Linux or macOS; --sink web:8080,image shows the image in a browser")
        if importlib.util.find_spec("pygame") is None:
            raise missing_package("window", "pygame", otherwise="apt install python3-pygame")
        if options.keys() >= {"no-image", "blur"}:
            raise UsageError("sink window: both no-image and blur are set, expected one of them")
        self._blur = FaceBlur() if options.pop("blur", False) else None
        image, full_screen = not options.pop("no-image", False), not options.pop("windowed", False)
        self._options = DisplayOptions(run.labels, image, full_screen, **options)
        self._live = run.live
        self._process: WindowProcess | None = None
        self._opened_before = False
        self._begin: float | None = None  # time 0 of a video on the monotonic clock

    def disclose(self) -> Disclosure:
        image = "the camera's IMAGE, with" if self._options.image else "no image;"
        image = "the camera's IMAGE, faces that are found pixelated, with" if self._blur else image
        return Disclosure(shown=(f"on the screen, to everybody in front of it: {image} labels and probabilities",))

    def __enter__(self) -> Self:
        if self._opened_before and not display.is_available():
            raise SinkError("window: there is still no display")
        self._process = WindowProcess(self._options)
        # No frame of a running loop may wait for a window: if it does not open then, `write` raises.
        self._process.start(wait=not self._opened_before)
        self._opened_before = True
        return self

    def write(self, result: FrameResult) -> None:
        assert self._process is not None
        frame, now = result.frame, time.monotonic()
        result = self._blur.hide(result) if self._blur else result
        if not self._live and not frame.is_image:  # a video: wait until the frame is due
            if self._begin is None:
                self._begin = now - frame.time
            self._process.wait_closed(self._begin + frame.time - now)
        self._process.show(result)
        if frame.is_image:
            self._process.wait_closed(IMAGE_SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.close()
