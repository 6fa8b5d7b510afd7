"""A display of its own for a test, without a screen: Xvfb, whose image can be looked at and whose keys pressed."""

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

SEARCHED = 640  # pixels that an image of the screen is shrunk to before faces are searched: it is asked often

NEEDED = [program for program in ("Xvfb", "xdotool") if shutil.which(program) is None]
XWD_NUMBERS, XWD_COLOR = 25, 12  # 32-bit numbers of an XWD file's head, bytes of each color after it


class Display:
    """Xvfb with one screen of `size` (width, height). A context manager.

    Args:
        folder: where it keeps its image.
        number: of the display, as one that another had before; None: any that is free.
    """

    def __init__(self, folder: Path, size: tuple[int, int] = (800, 480), number: str | None = None) -> None:
        if NEEDED:
            pytest.skip(f"needs {' and '.join(NEEDED)}: apt-get install xvfb xdotool")
        self._folder, self._size, self._number = folder, size, number

    def __enter__(self):
        hear, say = os.pipe()
        screen = f"{self._size[0]}x{self._size[1]}x24"
        name = [f":{self._number}"] if self._number else []
        command = [
            "Xvfb",
            *name,
            "-displayfd",
            str(say),
            "-screen",
            "0",
            screen,
            "-fbdir",
            str(self._folder),
            "-noreset",
        ]
        self._process = subprocess.Popen(command, pass_fds=(say,), stderr=subprocess.DEVNULL)
        os.close(say)
        with os.fdopen(hear) as answer:
            self._number = answer.readline().strip()
        assert self._number, "Xvfb did not start"
        self.address = f":{self._number}"
        self.environment = {**os.environ, "DISPLAY": self.address, "WAYLAND_DISPLAY": "", "SDL_VIDEODRIVER": "x11"}
        return self

    def __exit__(self, *_):
        self.die()

    def die(self) -> str:
        """End it as a crash does; return its number."""
        self._process.kill()
        self._process.wait()
        assert self._number
        for left in (Path(f"/tmp/.X{self._number}-lock"), Path(f"/tmp/.X11-unix/X{self._number}")):
            left.unlink(missing_ok=True)
        return self._number

    def image(self) -> NDArray[np.uint8]:
        """Return what is on the screen, (height, width, 3) RGB."""
        content = (self._folder / "Xvfb_screen0").read_bytes()  # the XWD format: XWDFile.h
        head = np.frombuffer(content, ">u4", XWD_NUMBERS)
        width, height, row, colors = (int(head[at]) for at in (4, 5, 12, 19))
        pixels = np.frombuffer(content, np.uint8, row * height, int(head[0]) + XWD_COLOR * colors)
        return np.ascontiguousarray(pixels.reshape(height, row // 4, 4)[:, :width, 2::-1])

    def window(self) -> str:
        """Return the number of the window in the middle of the screen."""
        middle = [str(side // 2) for side in self._size]
        return self.do("mousemove", *middle, "getmouselocation", "--shell").rpartition("WINDOW=")[2]

    def do(self, *words: str) -> str:
        """Have xdotool do something; return what it says."""
        command = ["xdotool", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=self.environment).stdout.strip()


def share_of(image: NDArray[np.uint8], color: palette.Color) -> float:
    """Return the share of the pixels of `image`, RGB, that have exactly `color`."""
    return float((cv2.inRange(image, color, color) > 0).mean())


def shows(colors: Iterable[palette.Color], least: float = 0.001) -> Callable[[NDArray[np.uint8]], bool]:
    """Return what tells whether one of `colors` is on an image of the screen."""
    return lambda image: any(share_of(image, color) > least for color in colors)


def plates(count: int = 7) -> list[palette.Color]:
    """Return the colors that say what was read, of a model with `count` labels."""
    return [palette.bright(number, count) for number in range(count)]


def faces_in(image: NDArray[np.uint8]) -> list[Box]:
    """Return where faces are in `image`, RGB."""
    scale = min(1.0, SEARCHED / max(image.shape))
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = [find.box for find in _detector().find(np.asarray(gray, np.uint8)) if find.score > 4]
    return [Box(*(round(side / scale) for side in (box.x, box.y, box.width, box.height))) for box in found]


@cache
def _detector() -> HaarDetector:
    return HaarDetector()
