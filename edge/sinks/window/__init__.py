"""The kiosk's screen: the camera's image with what was read in it, or, as `no-image`, an emblem and words alone.

Argument: options, all of them optional, as in `window:no-image,rotate=90`:

    no-image      an emblem drawn from the scores in place of the image, which then does not even leave the run
    rotate=DEGREES  0, 90, 180 or 270, clockwise, for a screen that hangs on its side
    mirror          the image as a mirror shows it
    windowed        a window that can be resized, in place of the full screen
    nobody=TEXT     what is shown while nobody is there
    unsure=TEXT     what is shown in place of a label when the model is unsure

Esc, q, or closing the window ends the run as Ctrl-C does. A camera's images are shown as fast as the screen takes
them, up to 30 a second, always the newest; a video is shown at its own speed, an image for 2 s.

Needs pygame, see docs/window.md.
"""

from __future__ import annotations

import importlib.util
import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from edge.config import sink_options as options
from edge.errors import SinkError, UsageError
from edge.sinks.window import display
from edge.sinks.window.messages import Look
from edge.sinks.window.process import ScreenProcess
from edge.types import FrameResult, RunInfo

RATE_SECONDS = 2.0  # over which frames are counted
STILL_SECONDS = 2.0  # that an image stays, where each file is one


def _degrees(text: str) -> int:
    if text not in {"0", "90", "180", "270"}:
        raise ValueError("0, 90, 180 or 270")
    return int(text)


OPTIONS: dict[str, Any] = {
    "no-image": bool,
    "rotate": _degrees,
    "mirror": bool,
    "windowed": bool,
    "nobody": str,
    "unsure": str,
}


class Sink:
    """The screen. It may be opened again after it went: the run goes on without it meanwhile."""

    reopens = True

    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        self._look, self._live = _look(argument, run.labels), run.live
        if importlib.util.find_spec("pygame") is None:
            where = "pip install 'emotion-edge[window]', or apt install python3-pygame"
            raise UsageError(f"sink window needs pygame: {where}")
        self._screen: ScreenProcess | None = None
        self._opened_before = False
        self._written: deque[float] = deque()  # when, of the last RATE_SECONDS
        self._begin: float | None = None  # when a video's time 0 was

    def __enter__(self) -> Self:
        if self._opened_before and not display.answers():
            raise SinkError("window: there is still no display")
        self._screen = ScreenProcess(self._look)
        # Once the run is on its way no frame may wait for a window: if it does not open, a `write` says so.
        self._screen.start(wait=not self._opened_before)
        self._opened_before = True
        return self

    def write(self, seen: FrameResult) -> None:
        assert self._screen is not None
        if not (self._live or seen.frame.source_name):
            self._wait_for(seen)
        self._screen.show(seen, self._rate())
        if seen.frame.source_name:
            self._screen.wait_closed(STILL_SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._screen is not None
        self._screen.end()

    def _wait_for(self, seen: FrameResult) -> None:
        """Return when the time of a video's frame has come."""
        assert self._screen is not None
        now = time.monotonic()
        if self._begin is None:
            self._begin = now - seen.frame.time
        self._screen.wait_closed(self._begin + seen.frame.time - now)

    def _rate(self) -> float:
        """Return how many frames a second come, by those of the last RATE_SECONDS."""
        now = time.monotonic()
        self._written.append(now)
        while now - self._written[0] > RATE_SECONDS:
            self._written.popleft()
        seconds = now - self._written[0]
        return (len(self._written) - 1) / seconds if seconds else 0.0


def _look(argument: str, labels: tuple[str, ...]) -> Look:
    first, given = options.parse("window", argument, OPTIONS)
    if first:
        raise UsageError(f"sink window: no option {first!r}; there are {', '.join(OPTIONS)}")
    words = {name: given[name] for name in ("rotate", "mirror", "nobody", "unsure") if name in given}
    return Look(labels, image="no-image" not in given, full_screen="windowed" not in given, **words)
