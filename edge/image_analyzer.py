"""Reads a picture apart from a run: one that somebody tries while the camera goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.pipeline import Pipeline
from edge.types import Frame, Reading


class StillReader:
    """Reads pictures with a search and a model of its own, which are loaded when the first one comes.

    May be called by any thread; one picture at a time, so that it never takes more than one core from the run.
    """

    def __init__(self, make: Callable[[], Pipeline]) -> None:
        self._make = make
        self._pipeline: Pipeline | None = None
        self._turn = threading.Lock()

    def __call__(self, picture: NDArray[np.uint8]) -> tuple[Reading, ...]:
        """Return the faces in `picture`, (height, width) grey or (height, width, 3) BGR."""
        grey = picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        with self._turn:
            self._pipeline = self._pipeline or self._make()
            return self._pipeline.observe(Frame(grey, lambda: picture, 0.0, 0, "picture")).readings
