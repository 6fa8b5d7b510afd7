"""Run the loop for many frames and tell whether its memory grows.

usage: .venv/bin/python benchmarks/memory.py [FRAMES]     (after scripts/run.sh has made .venv; 100,000 frames: minutes)

Two faces of the synthetic camera that come, change and go, each frame written as a JSON line to /dev/null. The first
tenth fills what is kept for a time, and does not count. Exit status 1 if the resident memory grew by more than LIMIT
after it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.sinks import registry as sinks
from edge.system import process
from edge.tracking.tracker import Tracker
from edge.types import Frame

FRAMES = 100_000
LIMIT = 1.0  # MB
SOURCE = "synthetic:fast,faces=2,size=320x240"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES
    model = Classifier(shipped_model())
    loop = Pipeline(Tracker(HaarDetector()), model, TemporalSmoother(model.card.min_confidence), model.card.labels)
    watched = Watched(islice(cameras.frames(SOURCE), count), count // 10)
    with sinks.make("jsonl:/dev/null") as sink:
        loop.run(watched, [sink])
    grown = watched.sizes[-1] - watched.sizes[0]
    print(f"grown by {grown:.2f} MB from frame {count // 10:,} to {count:,}; {LIMIT:g} at most")
    if grown > LIMIT:
        sys.exit(1)


class Watched:
    """Hands frames on, and notes the resident memory, in MB, after each `step` of them."""

    def __init__(self, frames: Iterator[Frame], step: int) -> None:
        self._frames, self._step = frames, step
        self._count = 0
        self.sizes: list[float] = []

    def __iter__(self) -> Watched:
        return self

    def __next__(self) -> Frame:
        if self._count and self._count % self._step == 0:
            self._note()
        self._count += 1
        return next(self._frames)

    def _note(self) -> None:
        resident = process.resident_mb()
        if resident is None:
            sys.exit("memory.py: this system does not tell a process' resident memory (/proc/self/status)")
        self.sizes.append(resident)
        print(f"{self._count:9,} frames {resident:8.2f} MB", flush=True)


if __name__ == "__main__":
    main()
