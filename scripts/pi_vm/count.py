"""Count the instructions that the loop's costs take, as JSON. Runs on the emulated board, with the release's Python.

usage: python pi_vm_count.py VIDEO FRAMES

The counter is the processor's own (instructions retired, of this thread, outside of the kernel), read around each call.
QEMU has it where the clock is made of instructions: PI_VM_COUNT=1. See scripts/pi_vm/arm64.py.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any

from edge.capture import registry as cameras
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker

# perf_event_open(2), from linux/perf_event.h: type hardware, event instructions, neither kernel nor hypervisor.
PERF_EVENT_OPEN = 241  # on arm64
ATTRIBUTES = struct.pack("<IIQQQQQ64x", 0, 112, 1, 0, 0, 0, (1 << 5) | (1 << 6))
WARM_UP = 30  # frames: the first calls set up buffers


class Instructions:
    """Those of this thread since it was made."""

    def __init__(self) -> None:
        call = ctypes.CDLL(None, use_errno=True).syscall
        self._counter = call(PERF_EVENT_OPEN, ATTRIBUTES, 0, -1, -1, 0)
        if self._counter < 0:
            number = ctypes.get_errno()
            raise SystemExit(
                f"no counter of instructions ({os.strerror(number)}); as root, on a board with PI_VM_COUNT=1"
            )

    def __call__(self) -> int:
        return int.from_bytes(os.read(self._counter, 8), "little")


class Counting:
    """Stands for `part`, and adds what calls of `stages` (method -> stage) take to `total`."""

    def __init__(self, part: Any, stages: dict[str, str], total: Counter[str], count: Callable[[], int]) -> None:
        self._part, self._stages, self._total, self._count = part, stages, total, count

    def __getattr__(self, name: str) -> Any:
        method, stage = getattr(self._part, name), self._stages.get(name)
        if stage is None:
            return method

        def counted(*arguments: Any, **named: Any) -> Any:
            start = self._count()
            value = method(*arguments, **named)
            self._total[stage] += self._count() - start
            return value

        return counted


def main() -> None:
    video, wanted = sys.argv[1], int(sys.argv[2])
    total: Counter[str] = Counter()
    count = Instructions()
    classifier = Classifier(shipped_model())
    pipeline = Pipeline(
        Counting(Tracker(HaarDetector()), {"update": "detect"}, total, count),
        Counting(classifier, {"prepare": "crop", "scores": "classify"}, total, count),
        TemporalSmoother(classifier.card.min_confidence),
        classifier.card.labels,
    )
    frames = cameras.frames(video)
    for frame in islice(frames, WARM_UP):
        pipeline.process(frame)
    total.clear()
    read = len([pipeline.process(frame).faces for frame in islice(frames, wanted)])
    if read < wanted:
        raise SystemExit(f"{video}: {WARM_UP + read} frames, expected {WARM_UP + wanted}")
    print(json.dumps({stage: value / wanted for stage, value in total.items()}))


if __name__ == "__main__":
    main()
