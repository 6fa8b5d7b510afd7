"""Fixtures of several test files: a real face, the shipped model, and no thread that outlives its test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
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


# Of the project's own threads: an event loop of a module's fixture may keep a pool of others.
THREAD_NAMES = ("camera", "doctor", "sink", "stop signals")
THREAD_END_TIMEOUT_SECONDS = 30.0  # only a failing test waits as long


@pytest.fixture(autouse=True)
def _no_thread_outlives_its_test() -> Iterator[None]:
    """Fail a test that leaves a thread running: it would do its work in a later test, with what that has replaced."""
    before = set(threading.enumerate())
    yield
    left = {thread for thread in set(threading.enumerate()) - before if thread.name.startswith(THREAD_NAMES)}
    for thread in left:
        thread.join(THREAD_END_TIMEOUT_SECONDS)
    assert not [thread.name for thread in left if thread.is_alive()]
