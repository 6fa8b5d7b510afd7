"""Measure what a frame costs at several image sizes and with several faces, beside the naive loop.

usage: .venv/bin/python benchmarks/resolution_curve.py     (after scripts/run.sh has made .venv)

Frames of the synthetic camera, drawn beforehand; the processor's time of the loop's thread in ms a frame, ours and the
naive loop's (see benchmarks/versus_baseline.py) in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

from benchmarks.versus_baseline import run_naive
from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Frame

SIZES = ("320x240", "640x480", "1280x720", "1920x1080")
FACES = (1, 2, 4, 8)
FRAMES, NAIVE_FRAMES = 240, 24  # the naive loop's frames all cost the same


def main() -> None:
    classifier = Classifier(shipped_model())
    print(f"{'image':>10} {'faces':>5} {'readings':>8} {'naive ms':>9} {'our ms':>7} {'ratio':>6}")
    for size, faces in [*((size, 1) for size in SIZES), *(("640x480", faces) for faces in FACES[1:])]:
        frames = list(islice(cameras.frames(f"synthetic:fast,size={size},faces={faces}"), FRAMES))
        naive = spent(lambda: run_naive(frames[:: FRAMES // NAIVE_FRAMES], classifier, "alt2")) / NAIVE_FRAMES  # noqa: B023
        pipeline = Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(), classifier.card.labels)
        readings = 0

        def ours(pipeline: Pipeline = pipeline, frames: list[Frame] = frames) -> None:
            nonlocal readings
            readings = pipeline.run(iter(frames)).readings

        cost = spent(ours) / FRAMES
        each = f"{readings / FRAMES:8.2f}"
        print(f"{size:>10} {faces:5} {each} {1000 * naive:9.1f} {1000 * cost:7.2f} {naive / cost:6.1f}", flush=True)


def spent(work: Callable[[], object]) -> float:
    """Return the seconds of the processor that this thread spends on `work`."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


if __name__ == "__main__":
    main()
