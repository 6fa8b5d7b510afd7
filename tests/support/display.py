"""A virtual display for a test: Xvfb, whose content is read from a file and whose input comes from xdotool."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.detection.haar import HaarDetector
from edge.sinks.window import palette
from edge.types import Box

Image = NDArray[np.uint8]
DETECTION_PIXELS = 640  # longer side that a screenshot is shrunk to for face detection
MIN_DETECTION_SCORE = 5
MISSING_PROGRAMS = [program for program in ("Xvfb", "xdotool") if shutil.which(program) is None]
XWD_HEADER_NUMBERS, XWD_COLOR_BYTES = 25, 12  # the XWD format: XWDFile.h


class VirtualDisplay:
    """Xvfb with one screen. A context manager.

    Args:
        folder: where Xvfb keeps the content of the screen.
        size: (width, height) in pixels.
        number: of the display, to use that of another one again; None: any that is free.
    """

    def __init__(self, folder: Path, size: tuple[int, int] = (800, 480), number: str | None = None) -> None:
        if MISSING_PROGRAMS:
            pytest.skip(f"needs {' and '.join(MISSING_PROGRAMS)}: apt-get install xvfb xdotool")
        self._folder, self._size, self._number = folder, size, number

    def __enter__(self):
        reader, writer = os.pipe()
        screen = ("-screen", "0", f"{self._size[0]}x{self._size[1]}x24", "-fbdir", str(self._folder))
        name = [f":{self._number}"] if self._number else []
        command = ["Xvfb", *name, "-displayfd", str(writer), *screen, "-noreset"]
        self._process = subprocess.Popen(command, pass_fds=(writer,), stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as answer:
            self._number = answer.readline().strip()
        assert self._number, "Xvfb did not start"
        self.address = f":{self._number}"
        self.environment = {**os.environ, "DISPLAY": self.address, "WAYLAND_DISPLAY": "", "SDL_VIDEODRIVER": "x11"}
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self) -> str:
        """End it as a crash does; return its number."""
        self._process.kill()
        self._process.wait()
        assert self._number
        for path in (Path(f"/tmp/.X{self._number}-lock"), Path(f"/tmp/.X11-unix/X{self._number}")):
            path.unlink(missing_ok=True)
        return self._number

    def screenshot(self) -> Image:
        """Return the content of the screen, (height, width, 3) RGB."""
        content = (self._folder / "Xvfb_screen0").read_bytes()
        header = np.frombuffer(content, ">u4", XWD_HEADER_NUMBERS)
        width, height, row_bytes, colors = (int(header[index]) for index in (4, 5, 12, 19))
        offset = int(header[0]) + XWD_COLOR_BYTES * colors
        pixels = np.frombuffer(content, np.uint8, row_bytes * height, offset)
        return np.ascontiguousarray(pixels.reshape(height, row_bytes // 4, 4)[:, :width, 2::-1])

    def window_id(self) -> str:
        """Return the X id of the window in the middle of the screen."""
        middle = [str(side // 2) for side in self._size]
        return self.xdotool("mousemove", *middle, "getmouselocation", "--shell").rpartition("WINDOW=")[2]

    def xdotool(self, *arguments: str) -> str:
        """Run xdotool; return its output."""
        command = ["xdotool", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=self.environment).stdout.strip()


def color_fraction(image: Image, color: palette.Color) -> float:
    """Return the fraction of the pixels of `image`, RGB, that have exactly `color`."""
    return float((cv2.inRange(image, color, color) > 0).mean())


def has_color(colors: Iterable[palette.Color], min_fraction: float = 0.001) -> Callable[[Image], bool]:
    """Return a function that says whether more than `min_fraction` of an image has one of `colors`."""
    return lambda image: any(color_fraction(image, color) > min_fraction for color in colors)


def light_colors(count: int = 7) -> list[palette.Color]:
    """Return the colors of titles and frames of faces, for a model with `count` labels."""
    return [palette.light_color(index, count) for index in range(count)]


def dark_colors(count: int = 7) -> list[palette.Color]:
    """Return the colors of bars, for a model with `count` labels."""
    return [palette.dark_color(index, count) for index in range(count)]


def detect_faces(image: Image) -> list[Box]:
    """Return the faces in `image`, RGB."""
    scale = min(1.0, DETECTION_PIXELS / max(image.shape))
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    detections = _detector().detect(np.asarray(gray, np.uint8))
    return [each.box.scaled(1 / scale) for each in detections if each.score >= MIN_DETECTION_SCORE]


@cache
def _detector() -> HaarDetector:
    return HaarDetector()
