"""Fixtures of several test files: a real face and the shipped model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

from edge.config.models import shipped_model
from edge.inference.classifier import Classifier


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
