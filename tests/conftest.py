"""What several test files need: a real face, the shipped model, values to hand on, and the commands as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

from edge.capture import synthetic
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.types import Box, FaceResult, Frame, FrameResult

EDGE = str(Path(sys.executable).with_name("edge"))
FACE = Box(177, 66, 97, 97)  # where a person sees the face in `portrait`
ANYWHERE = Box(10, 12, 20, 24)


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """A real, smiling face in the public domain: (512, 512, 3) uint8 BGR."""
    return np.ascontiguousarray(astronaut()[..., ::-1], np.uint8)


@pytest.fixture(scope="session")
def portrait_file(portrait, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    assert cv2.imwrite(str(path), portrait)
    return path


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier(shipped_model())


def reading(label: str | None = "calm", share: float = 0.8, track_id: int = 1, box: Box = ANYWHERE) -> FaceResult:
    """Return a Reading of a model with the labels calm and cross; label None: unsure, with calm in front."""
    scores = {"calm": 1 - share, "cross": share} if label == "cross" else {"calm": share, "cross": 1 - share}
    return FaceResult(track_id, box, scores, label, share)


def frame(
    time: float = 0.0, index: int = 0, name: str = "", level: int = 100, size: tuple[int, int] = (96, 64)
) -> Frame:
    """Return an even gray Frame of `size` (width, height)."""
    gray = np.full((size[1], size[0]), level, np.uint8)
    return Frame(gray, lambda: np.repeat(gray[..., np.newaxis], 3, axis=2), time, index, name)


@cache
def _stage(width: int, height: int) -> synthetic.Stage:
    return synthetic.Stage(width, height)


def draw(*people: tuple[str, Box], size: tuple[int, int] = (640, 480)) -> NDArray[np.uint8]:
    """Return the synthetic camera's dim room of `size` (width, height) with the faces of these names in these boxes."""
    stage = _stage(*size)
    image = stage._background.copy()
    for name, box in people:
        synthetic._paste(image, stage._faces[name], stage._mask, box)
    return image


def seen(*readings: FaceResult, **about: Any) -> FrameResult:
    """Return an FrameResult of `readings` in a `frame` made from the other arguments."""
    return FrameResult(frame(**about), readings, {})


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def run_edge(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the installed `edge` command to its end, as a user does: without what our own imports set for OpenCV."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("OPENCV_")}
    command = [EDGE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=plain, **options)
