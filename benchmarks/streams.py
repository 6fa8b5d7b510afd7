"""Measure what a camera's second, small image is worth to the loop: search in it, and read faces in the large one.

usage: .venv/bin/python benchmarks/streams.py [FER2013]     (after scripts/run.sh has made .venv; FER2013 needs .venv-test)

The same view of the synthetic camera, with a sensor's noise, as three cameras would deliver it: 640 x 480, 1280 x 960,
and both. The processor's time of the loop's thread in ms a frame, the three in turn, several rounds: the median of each
camera, and of the large image's time by both images' time in the same round. The camera makes both images itself;
that they have to be copied out of its memory is measured on its own.

FER2013, as `trainer evaluate --data` takes it: the shipped model's accuracy on PublicTest if the faces had been so many
pixels wide.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.resolution_curve import spent
from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Frame

LARGE, SMALL = (1280, 960), (640, 480)
FRAMES, ROUNDS, COPIES = 240, 15, 500
NOISE = 3.0  # gray levels, of a pixel of the large image
PIXELS = (16, 20, 24, 30, 36, 42, 48)


def main() -> None:
    classifier = Classifier(shipped_model())
    print(f"{'faces':>5} {'640 x 480':>10} {'1280 x 960':>11} {'both':>6} {'ratio':>6}   ms a frame, of the processor")
    for faces in (1, 2, 4):
        costs = in_turn(classifier, cameras_of(faces))  # (rounds, cameras)
        small, large, both = np.median(costs, axis=0)
        ratio = np.median(costs[:, 1] / costs[:, 2])
        print(f"{faces:5} {small:10.2f} {large:11.2f} {both:6.2f} {ratio:6.2f}", flush=True)
    print(f"a copy: 640 x 480 {copying(SMALL):.3f} ms, 1280 x 960 {copying(LARGE):.3f} ms")
    if sys.argv[1:]:
        accuracies(Path(sys.argv[1]), classifier)


def cameras_of(faces: int) -> list[list[Frame]]:
    """Return the frames of the small camera, of the large one, and of the one that delivers both."""
    rng = np.random.default_rng(0)
    small, large, both = [], [], []
    for frame in islice(cameras.frames(f"synthetic:fast,size={LARGE[0]}x{LARGE[1]},faces={faces}"), FRAMES):
        noisy = np.clip(frame.gray + rng.normal(0, NOISE, frame.gray.shape), 0, 255).astype(np.uint8)
        less = cv2.resize(noisy, SMALL, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        small.append(replace(frame, gray=less))
        large.append(replace(frame, gray=noisy))
        both.append(replace(frame, gray=noisy, search_image=less))
    return [small, large, both]


def in_turn(classifier: Classifier, sources: list[list[Frame]]) -> NDArray[np.float64]:
    """Return (rounds, sources) ms a frame that the loop took."""
    rounds = [[spent(loop(classifier, frames)) for frames in sources] for _ in range(ROUNDS)]
    return 1000 * np.array(rounds) / FRAMES


def loop(classifier: Classifier, frames: list[Frame]) -> Callable[[], object]:
    pipeline = Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(), classifier.card.labels)
    return lambda: pipeline.run(iter(frames))


def copying(size: tuple[int, int]) -> float:
    """Return the least ms that a copy of a YUV420 image of `size` takes."""
    image, least = np.full((size[1] * 3 // 2, size[0]), 100, np.uint8), np.inf
    for _ in range(COPIES):
        begin = time.perf_counter()
        image.copy()
        least = min(least, time.perf_counter() - begin)
    return float(1000 * least)


def accuracies(path: Path, classifier: Classifier) -> None:
    from trainer.data.loader import load_dataset
    from trainer.evaluation.corruptions import apply_corruption, reduce_resolution
    from trainer.evaluation.prediction import predict_tflite

    dataset = load_dataset(path, size=48).split("PublicTest")
    for pixels in PIXELS:
        corrupted = apply_corruption(dataset, partial(reduce_resolution, pixels=pixels))
        scores = predict_tflite(classifier, corrupted)
        right = float((scores.argmax(axis=1) == dataset.labels).mean())
        print(f"faces of {pixels} pixels: {right:.1%} right", flush=True)


if __name__ == "__main__":
    main()
