"""Count the instructions of each stage of the loop, as JSON. Runs on the emulated board, with the release's Python.

usage: python count.py VIDEO FRAMES

The counter is the processor's own (instructions retired, of this thread, user space), read around each call. QEMU
provides it where the clock is driven by instructions: PI_VM_COUNT=1. See scripts/pi_vm/arm64.py.
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
PERF_EVENT_OPEN = 241  # system call number on arm64
PERF_ATTRIBUTES = struct.pack("<IIQQQQQ64x", 0, 112, 1, 0, 0, 0, (1 << 5) | (1 << 6))
WARM_UP_FRAMES = 30  # the first calls allocate buffers


class InstructionCounter:
    """Counts the instructions of this thread since it was made."""

    def __init__(self) -> None:
        call = ctypes.CDLL(None, use_errno=True).syscall
        self._counter = call(PERF_EVENT_OPEN, PERF_ATTRIBUTES, 0, -1, -1, 0)
        if self._counter < 0:
            number = ctypes.get_errno()
            raise SystemExit(
                f"no instruction counter ({os.strerror(number)}); run as root, on a board with PI_VM_COUNT=1"
            )

    def read(self) -> int:
        return int.from_bytes(os.read(self._counter, 8), "little")


class CountingProxy:
    """Forwards to `part`, and adds the instructions of its methods in `stages` (method -> stage) to `total`."""

    def __init__(self, part: Any, stages: dict[str, str], total: Counter[str], read: Callable[[], int]) -> None:
        self._part, self._stages, self._total, self._read = part, stages, total, read

    def __getattr__(self, name: str) -> Any:
        method, stage = getattr(self._part, name), self._stages.get(name)
        if stage is None:
            return method

        def counted(*arguments: Any, **named: Any) -> Any:
            start = self._read()
            value = method(*arguments, **named)
            self._total[stage] += self._read() - start
            return value

        return counted


def main() -> None:
    video, frame_count = sys.argv[1], int(sys.argv[2])
    total: Counter[str] = Counter()
    read = InstructionCounter().read
    classifier = Classifier(shipped_model())
    card = classifier.card
    pipeline = Pipeline(
        CountingProxy(Tracker(HaarDetector()), {"update": "detect"}, total, read),
        CountingProxy(classifier, {"prepare": "crop", "classify": "classify"}, total, read),
        TemporalSmoother(card.labels, card.min_confidence),
    )
    frames = cameras.frames(video)
    for frame in islice(frames, WARM_UP_FRAMES):
        pipeline.process(frame)
    total.clear()
    counted = len([pipeline.process(frame).faces for frame in islice(frames, frame_count)])
    if counted < frame_count:
        raise SystemExit(f"{video}: {WARM_UP_FRAMES + counted} frames, expected {WARM_UP_FRAMES + frame_count}")
    print(json.dumps({stage: value / frame_count for stage, value in total.items()}))


if __name__ == "__main__":
    main()
