"""Measure the pipeline against a baseline that detects and classifies every face in every frame.

The baseline is the loop of OpenCV's tutorials: detectMultiScale over the full frame with scale factor 1.1 and 5
neighbors, one OpenCV thread, the same model, the same preprocessing. Both get the same decoded gray frames,
interleaved; the faster round of each counts. Decoding is in neither. A face of the baseline is kept when the pipeline
has a box with an intersection over union of at least 0.4 in the same frame.

VIDEO `calm` is built in: one face, scikit-image's astronaut, 15 s at 640 x 360, under a camera that pans, zooms and
rotates, with sensor noise. Everything moves, which is the hard case for a detector that searches where something
moved. It needs .venv-test, which scripts/test.sh makes.

What is kept depends on which tile is searched in which frame. With --frame-rates the frames are also given the times
of cameras of 15 to 31 frames per second, and the minimum, mean and maximum of what is kept are printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Self

import cv2
import numpy as np

from benchmarks.common import add_noise, make_parser, make_pipeline
from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.pipeline import run as run_loop
from edge.types import Box, Frame, FrameResult

SCALE_FACTOR, MIN_NEIGHBORS, MIN_FACE_PIXELS = 1.1, 5, 30
KEPT_IOU = 0.4
CASCADES = ("alt2", "default")  # the pipeline's, and the tutorials'
FRAME_RATES = range(15, 32)  # frames per second
CALM_FRAMES, CALM_FPS = 450, 30

Boxes = list[list[Box]]  # of each frame


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("versus_baseline", __doc__)
    parser.add_argument("videos", nargs="*", metavar="VIDEO", default=["calm"], help="default: calm")
    parser.add_argument("--frame-rates", action="store_true", help="also at other frame rates")
    parser.add_argument("--max-frames", type=int, help="of each video")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args(arguments)
    print(f"{'video':24} {'cascade':10} {'frames':>6} {'baseline fps':>12} {'fps':>8} {'ratio':>6}  kept")
    for video in options.videos:
        source = calm_frames() if video == "calm" else cameras.frames(video)
        frames = list(islice(source, options.max_frames))
        for cascade in CASCADES:
            print(compare(video, frames, cascade, options.rounds), flush=True)
            if options.frame_rates:
                print(compare_frame_rates(frames, cascade), flush=True)


def calm_frames() -> Iterator[Frame]:
    """Yield the frames of the built-in clip."""
    import skimage.data

    portrait = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(0)
    for index in range(CALM_FRAMES):
        now = index / CALM_FPS
        x, y = 224 + 25 * np.sin(0.9 * now), 130 + 15 * np.sin(1.3 * now)
        motion = cv2.getRotationMatrix2D((x, y), 6 * np.sin(1.1 * now), 1 + 0.25 * np.sin(0.7 * now))
        motion[:, 2] += 320 - x + 60 * np.sin(0.5 * now), 180 - y
        view = cv2.warpAffine(portrait, motion, (640, 360), borderMode=cv2.BORDER_REFLECT)
        gray = add_noise(view.astype(np.uint8, copy=False), rng, 4)
        yield Frame(gray, lambda: gray, now, index)  # noqa: B023 (no sink asks for color)


def compare(video: str, frames: list[Frame], cascade: str, rounds: int) -> str:
    """Return the line of one video."""
    (baseline_seconds, baseline), (seconds, boxes) = fastest_interleaved(
        rounds,
        lambda: run_baseline(frames, Classifier(shipped_model()), cascade),
        lambda: run_pipeline(frames, Classifier(shipped_model())),
    )
    count = sum(map(len, baseline))
    kept = f"{kept_fraction(baseline, boxes):.1%} of {count}" if count else "the baseline found none"
    return (
        f"{video.rpartition('/')[2][:24]:24} {cascade:10} {len(frames):6} {len(frames) / baseline_seconds:12.1f} "
        f"{len(frames) / seconds:8.1f} {baseline_seconds / seconds:6.1f}  {kept}; the pipeline {sum(map(len, boxes))}"
    )


def compare_frame_rates(frames: list[Frame], cascade: str) -> str:
    """Return the line of what is kept when the frames come at other rates."""
    _, baseline = run_baseline(frames, Classifier(shipped_model()), cascade)
    if not any(baseline):
        return ""
    fractions = []
    for fps in FRAME_RATES:
        timed = [replace(frame, time=number / fps) for number, frame in enumerate(frames)]
        fractions.append(kept_fraction(baseline, run_pipeline(timed, Classifier(shipped_model()))[1]))
    mean = sum(fractions) / len(fractions)
    rates = f"{FRAME_RATES[0]} to {FRAME_RATES[-1]} fps"
    return f"{'':24} {cascade:10} at {rates}: kept {min(fractions):.1%}, {mean:.1%}, {max(fractions):.1%}"


def kept_fraction(baseline: Boxes, boxes: Boxes) -> float:
    """Return the fraction of the faces in `baseline` that `boxes` has, too, 0 to 1."""
    pairs = [(face, found) for faces, found in zip(baseline, boxes, strict=True) for face in faces]
    return sum(any(face.iou(box) >= KEPT_IOU for box in found) for face, found in pairs) / len(pairs)


def fastest_interleaved(rounds: int, *runs: Callable[[], tuple[float, Boxes]]) -> list[tuple[float, Boxes]]:
    """Return the seconds of the fastest round of each of `runs`, and its boxes."""
    results = [[run() for run in runs] for _ in range(rounds)]
    return [min(column, key=lambda result: result[0]) for column in zip(*results, strict=True)]


def run_baseline(
    frames: list[Frame], classifier: Classifier, cascade: str, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, Boxes]:
    """Return seconds and boxes of the baseline with OpenCV's cascade haarcascade_frontalface_`cascade`.xml.

    The seconds are those of `clock`, without the loading of the cascade.
    """
    cv2.setNumThreads(1)
    detector, boxes = make_cascade(cascade), []
    begin = clock()
    for frame in frames:
        found = detect_baseline(detector, frame)
        for box in found:
            classifier.classify(classifier.prepare(frame.gray, box))
        boxes.append(found)
    return clock() - begin, boxes


def make_cascade(name: str) -> cv2.CascadeClassifier:
    path = f"{cv2.data.haarcascades}haarcascade_frontalface_{name}.xml"  # type: ignore[attr-defined] # the stubs lack it
    return cv2.CascadeClassifier(path)


def detect_baseline(detector: cv2.CascadeClassifier, frame: Frame) -> list[Box]:
    """Return the faces that the baseline finds in `frame`."""
    min_size = MIN_FACE_PIXELS, MIN_FACE_PIXELS
    return [
        Box(*map(int, found))
        for found in detector.detectMultiScale(frame.gray, SCALE_FACTOR, MIN_NEIGHBORS, 0, min_size)
    ]


def run_pipeline(frames: list[Frame], classifier: Classifier) -> tuple[float, Boxes]:
    """Return seconds and boxes of the pipeline."""
    sink = BoxSink()
    return run_loop(make_pipeline(classifier), iter(frames), [sink]).seconds, sink.boxes


class BoxSink:
    """A sink that keeps the boxes of the faces."""

    def __init__(self) -> None:
        self.boxes: Boxes = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, result: FrameResult) -> None:
        self.boxes.append([face.box for face in result.faces])


if __name__ == "__main__":
    main()
