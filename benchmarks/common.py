"""Parts that several benchmarks share."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edge.capture import registry as cameras
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Frame


def make_parser(name: str, doc: str) -> argparse.ArgumentParser:
    """Return the command-line parser of the benchmark `name` with its docstring as help."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def make_pipeline(classifier: Classifier, threads: int = 1) -> Pipeline:
    """Return a pipeline with the defaults of `edge run`."""
    card = classifier.card
    smoother = TemporalSmoother(card.labels, card.min_confidence)
    return Pipeline(Tracker(HaarDetector(threads=threads)), classifier, smoother)


def synthetic_frames(count: int, options: str = "") -> list[Frame]:
    """Return the first `count` frames of the synthetic camera; `options` are its own, such as `faces=2`."""
    return list(islice(cameras.frames(",".join(filter(None, ["synthetic:fast", options]))), count))


def add_noise(image: NDArray[np.uint8], rng: np.random.Generator, sigma: float) -> NDArray[np.uint8]:
    """Return `image` with Gaussian noise of `sigma` gray levels."""
    return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def thread_seconds(function: Callable[[], object]) -> float:
    """Return the processor seconds of this thread in `function`."""
    start = time.thread_time()
    function()
    return time.thread_time() - start
