"""Measure the loop against the naive one: a full-frame search in every frame, and every face classified.

usage: .venv/bin/python benchmarks/versus_baseline.py [--stamped] VIDEO|calm...      (after scripts/run.sh has made .venv)

`calm` is one face, scikit-image's astronaut, 15 s at 640 x 360, under a camera that pans, zooms and turns a bit, with
a sensor's noise: nothing stands still, which is the hard case for a sweep that looks where something moved (it needs
.venv-test/bin/python).

The naive loop is the one of the tutorials: detectMultiScale over the whole frame with step 1.1 and 5 neighbors, one
OpenCV thread, the same model, the same preprocessing. Both get the same decoded gray frames, in turn, twice; the better
half of each counts. Decoding is in neither. A face that the naive loop finds is kept when ours has one at its place
in the same frame (intersection over union of at least 0.4).

What is kept depends on which frame the sweep happens to search where: with --stamped the same frames are also taken for
those of a camera of 15 to 31 frames a second, and least, mean and most of what is kept are told.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Self

import cv2
import numpy as np

from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Box, Frame, FrameResult

STEP, NEIGHBORS, SMALLEST = 1.1, 5, 30
SAME = 0.4  # intersection over union
ROUNDS = 2
CASCADES = ("alt2", "default")  # ours, which the naive loop may have too, and the tutorials'
STAMPS = range(15, 32)  # frames a second

Found = list[list[Box]]  # the boxes of each frame


def main() -> None:
    print(f"{'video':24} {'naive with':10} {'frames':>6} {'naive fps':>9} {'our fps':>8} {'ratio':>6}  kept")
    stamped = "--stamped" in sys.argv
    for video in [word for word in sys.argv[1:] if word != "--stamped"]:
        frames = list(calm() if video == "calm" else cameras.frames(video))
        for cascade in CASCADES:
            print(compare(video, frames, cascade), flush=True)
            if stamped:
                print(spread(frames, cascade), flush=True)


def calm() -> Iterator[Frame]:
    """Yield the frames of the built-in clip."""
    import skimage.data

    portrait = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(0)
    for index in range(450):
        now = index / 30
        x, y = 224 + 25 * np.sin(0.9 * now), 130 + 15 * np.sin(1.3 * now)
        move = cv2.getRotationMatrix2D((x, y), 6 * np.sin(1.1 * now), 1 + 0.25 * np.sin(0.7 * now))
        move[:, 2] += 320 - x + 60 * np.sin(0.5 * now), 180 - y
        view = cv2.warpAffine(portrait, move, (640, 360), borderMode=cv2.BORDER_REFLECT).astype(np.float32)
        gray = np.clip(view + rng.normal(0, 4, view.shape), 0, 255).astype(np.uint8)
        yield Frame(gray, lambda: gray, now, index)  # noqa: B023 (nobody asks for it)


def compare(video: str, frames: list[Frame], cascade: str) -> str:
    """Return the line of one video."""
    (naive_seconds, naive), (seconds, ours) = in_turn(
        lambda: run_naive(frames, Classifier(shipped_model()), cascade),
        lambda: run_ours(frames, Classifier(shipped_model())),
    )
    faces = sum(map(len, naive))
    share = f"{kept(naive, ours):.1%} of {faces}" if faces else "it found none"
    return (
        f"{video.rpartition('/')[2][:24]:24} {cascade:10} {len(frames):6} {len(frames) / naive_seconds:9.1f} "
        f"{len(frames) / seconds:8.1f} {naive_seconds / seconds:6.1f}  {share}; ours finds {sum(map(len, ours))}"
    )


def spread(frames: list[Frame], cascade: str) -> str:
    """Return the line of what is kept when the frames come at other rates."""
    _, naive = run_naive(frames, Classifier(shipped_model()), cascade)
    if not any(naive):
        return ""
    shares = []
    for fps in STAMPS:
        stamped = [replace(frame, time=number / fps) for number, frame in enumerate(frames)]
        shares.append(kept(naive, run_ours(stamped, Classifier(shipped_model()))[1]))
    mean = sum(shares) / len(shares)
    rates = f"{STAMPS[0]} to {STAMPS[-1]}"
    return f"{'':24} {cascade:10} at {rates} frames a second: {min(shares):.1%}, {mean:.1%}, {max(shares):.1%} kept"


def kept(naive: Found, ours: Found) -> float:
    """Return the share of the faces in `naive` that `ours` has, too, 0 to 1."""
    pairs = [(face, boxes) for faces, boxes in zip(naive, ours, strict=True) for face in faces]
    return sum(any(face.iou(box) >= SAME for box in boxes) for face, boxes in pairs) / len(pairs)


def in_turn(*loops: Callable[[], tuple[float, Found]]) -> list[tuple[float, Found]]:
    """Return the least seconds of each of `loops`, and what it found."""
    taken = [[loop() for loop in loops] for _ in range(ROUNDS)]
    return [min(column, key=lambda found: found[0]) for column in zip(*taken, strict=True)]


def run_naive(frames: list[Frame], classifier: Classifier, cascade: str) -> tuple[float, Found]:
    cv2.setNumThreads(1)
    path = f"{cv2.data.haarcascades}haarcascade_frontalface_{cascade}.xml"  # type: ignore[attr-defined] # the stubs lack it
    search, found = cv2.CascadeClassifier(path), []
    begin = time.perf_counter()
    for frame in frames:
        hits = search.detectMultiScale(frame.gray, STEP, NEIGHBORS, minSize=(SMALLEST, SMALLEST))
        boxes = [Box(*map(int, hit)) for hit in hits]
        for box in boxes:
            classifier.classify(classifier.prepare(frame.gray, box))
        found.append(boxes)
    return time.perf_counter() - begin, found


def run_ours(frames: list[Frame], classifier: Classifier) -> tuple[float, Found]:
    pipeline, boxes = Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(), classifier.card.labels), Boxes()
    return pipeline.run(iter(frames), [boxes]).seconds, boxes.found


class Boxes:
    """A sink that keeps where the faces were."""

    def __init__(self) -> None:
        self.found: Found = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, seen: FrameResult) -> None:
        self.found.append([reading.box for reading in seen.faces])


if __name__ == "__main__":
    main()
