"""Measure what the camera module's second, small stream saves: detection in it, classification in the large one.

The same view of the synthetic camera, with sensor noise, as three cameras would deliver it: 640 x 480, 1280 x 960,
and both. Processor time of the loop's thread in ms per frame, the three interleaved, several rounds: the median of
each camera, and the median ratio of the large stream to both streams in the same round. The camera makes both streams
itself; copying them out of its memory is measured separately.

With --data FER2013, as `trainer evaluate --data` takes it: the accuracy of the shipped model on PublicTest, had the
faces been so many pixels wide. It needs .venv-test, which scripts/test.sh makes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import add_noise, make_parser, make_pipeline, synthetic_frames, thread_seconds
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.pipeline import run as run_loop
from edge.types import Frame

LARGE, SMALL = (1280, 960), (640, 480)  # width, height
FACE_COUNTS = (1, 2, 4)
COPIES = 500
NOISE_SIGMA = 3.0  # gray levels, of a pixel of the large image
FACE_PIXELS = (16, 20, 24, 30, 36, 42, 48)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("dual_stream", __doc__)
    parser.add_argument("--data", type=Path, metavar="FER2013", help="also measure accuracy by size of face")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=240)
    options = parser.parse_args(arguments)
    classifier = Classifier(shipped_model())
    print(
        f"{'faces':>5} {'640 x 480':>10} {'1280 x 960':>11} {'both':>6} {'ratio':>6}   processor time in ms per frame"
    )
    for faces in FACE_COUNTS:
        streams = make_streams(faces, options.frames)
        rounds = [[thread_seconds(make_loop(classifier, frames)) for frames in streams] for _ in range(options.rounds)]
        costs = 1000 * np.array(rounds) / options.frames  # (rounds, streams)
        small, large, both = np.median(costs, axis=0)
        ratio = np.median(costs[:, 1] / costs[:, 2])
        print(f"{faces:5} {small:10.2f} {large:11.2f} {both:6.2f} {ratio:6.2f}", flush=True)
    print(f"a copy: 640 x 480 {copy_ms(SMALL):.3f} ms, 1280 x 960 {copy_ms(LARGE):.3f} ms")
    if options.data:
        print_accuracies(options.data, classifier)


def make_streams(faces: int, count: int) -> tuple[list[Frame], list[Frame], list[Frame]]:
    """Return the frames of the small camera, of the large one, and of the one that delivers both."""
    rng = np.random.default_rng(0)
    small, large, both = [], [], []
    for frame in synthetic_frames(count, f"size={LARGE[0]}x{LARGE[1]},faces={faces}"):
        gray = add_noise(frame.gray, rng, NOISE_SIGMA)
        search_image = cv2.resize(gray, SMALL, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        small.append(replace(frame, gray=search_image))
        large.append(replace(frame, gray=gray))
        both.append(replace(frame, gray=gray, search_image=search_image))
    return small, large, both


def make_loop(classifier: Classifier, frames: list[Frame]) -> Callable[[], object]:
    pipeline = make_pipeline(classifier)
    return lambda: run_loop(pipeline, iter(frames))


def copy_ms(size: tuple[int, int]) -> float:
    """Return the shortest time in ms that a copy of a YUV420 image of `size` (width, height) takes."""
    image: NDArray[np.uint8] = np.full((size[1] * 3 // 2, size[0]), 100, np.uint8)
    shortest = np.inf
    for _ in range(COPIES):
        begin = time.perf_counter()
        image.copy()
        shortest = min(shortest, time.perf_counter() - begin)
    return float(1000 * shortest)


def print_accuracies(path: Path, classifier: Classifier) -> None:
    from trainer.data.loader import load_dataset
    from trainer.evaluation.corruptions import apply_corruption, reduce_resolution
    from trainer.evaluation.prediction import predict_tflite

    dataset = load_dataset(path, max_size=48).split("PublicTest")
    for pixels in FACE_PIXELS:
        corrupted = apply_corruption(dataset, partial(reduce_resolution, pixels=pixels))
        predicted = predict_tflite(classifier, corrupted).argmax(axis=1)
        print(f"faces of {pixels} pixels: accuracy {np.mean(predicted == dataset.labels):.1%}", flush=True)


if __name__ == "__main__":
    main()
