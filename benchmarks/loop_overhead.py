"""Show where the loop's time goes: by stage, and in each what OpenCV and the TFLite runtime take and what Python does.

usage: .venv/bin/python benchmarks/loop_overhead.py [SOURCE...]     (after scripts/run.sh has made .venv)

Without a SOURCE: the synthetic camera, as fast as it goes and live, with 30 frames of 640 x 480 a second. Each frame is
written as a JSON line to /dev/null, as a service would. Measured is the processor's time of the loop's own thread, so
that other programs' turns do not count; waiting for a frame and drawing or decoding it are left out, and so is what a
sink's own thread does. Native are calls of OpenCV and of the model; the rest is Python's own: the interpreter, numpy's
arithmetic, copying. After a wait of
30 ms a processor has to fetch code and data anew, which makes Python's lines several times slower than at full speed.

Overhead is all that is neither search nor crop nor classification: the steadying of labels, the making of readings,
sinks, sums, pace.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import Any, ClassVar

import cv2

from edge import pipeline
from edge.capture import registry as cameras
from edge.capture.frame_rate import FrameRateLimiter
from edge.capture.latest_frame import LatestFrame
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference import classifier
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import STAGES, Pipeline
from edge.sinks import registry as sinks
from edge.tracking.tracker import Tracker
from edge.types import Frame, FrameResult, RunInfo

SOURCES = ("synthetic:fast", "synthetic")
SECONDS, WARM_UP = 15.0, 60  # of a run, and frames of it that do not count
WORK = ("detect", "crop", "classify")
CALLS = ("resize", "matchTemplate", "minMaxLoc", "copyMakeBorder")  # of OpenCV's, that the loop makes


def main() -> None:
    timed = Native()
    timed.install()
    for source in sys.argv[1:] or SOURCES:
        print(measured(source, timed), flush=True)


class Native:
    """Adds up the seconds that native calls of the loop's thread take; a camera's thread calls OpenCV, too."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def install(self) -> None:
        """Put a clock around every native call that the loop makes, before its parts are built."""
        for name in CALLS:
            setattr(cv2, name, self.around(getattr(cv2, name)))
        cascade, runtime = cv2.CascadeClassifier, classifier.runtime

        def interpreter(**options: Any) -> Wrapped:
            return Wrapped(runtime().Interpreter(**options), "invoke", self)

        cv2.CascadeClassifier = lambda: Wrapped(cascade(), "detectMultiScale2", self)  # type: ignore[misc, assignment]
        classifier.runtime = lambda: SimpleNamespace(Interpreter=interpreter)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.thread_time()
            try:
                return call(*arguments, **options)
            finally:
                if threading.current_thread() is threading.main_thread():
                    self.seconds += time.thread_time() - start

        return timed


class Wrapped:
    """An object of a native library, with a clock around the method that does the work."""

    def __init__(self, inner: Any, method: str, native: Native) -> None:
        self._inner = inner
        setattr(self, method, native.around(getattr(inner, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Laps:
    """In place of the pipeline's own clock: the thread's time of each stage, and the native part of it."""

    seconds: ClassVar[dict[str, float]] = defaultdict(float)
    native_seconds: ClassVar[dict[str, float]] = defaultdict(float)
    native: ClassVar[Native]

    def __init__(self, **known: float) -> None:
        self.timings = dict.fromkeys(STAGES, 0.0) | known
        self._ended, self._before = time.thread_time(), self.native.seconds

    def end(self, stage: str) -> None:
        self.seconds[stage] += time.thread_time() - self._ended
        self.native_seconds[stage] += self.native.seconds - self._before
        self._ended, self._before = time.thread_time(), self.native.seconds


class Timed:
    """The JSON lines' sink, with a clock around it."""

    def __init__(self, live: bool) -> None:
        self.sink = sinks.make("jsonl:/dev/null", RunInfo(live=live))

    def write(self, seen: FrameResult) -> None:
        start = time.thread_time()
        self.sink.write(seen)
        Laps.seconds["sinks"] += time.thread_time() - start


class Counted:
    """Hands frames on; notes the thread's time outside of them, and begins anew after the warm-up."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames, self._left = frames, 0.0
        self.count, self.seconds = -WARM_UP, 0.0

    def __iter__(self) -> Counted:
        return self

    def __next__(self) -> Frame:
        self.seconds += time.thread_time() - self._left
        self.count += 1
        if self.count == 0:
            self.seconds = 0.0
            Laps.seconds.clear()
            Laps.native_seconds.clear()
        frame = next(self._frames)
        self._left = time.thread_time()
        return frame


def measured(source: str, native: Native) -> str:
    """Return the table of one source."""
    pipeline.StageTimer, Laps.native = Laps, native  # type: ignore[assignment, misc] # noqa: SLF001
    model = Classifier(shipped_model())
    loop = Pipeline(Tracker(HaarDetector()), model, TemporalSmoother(model.card.min_confidence), model.card.labels)
    live = cameras.is_live(source)
    with ExitStack() as stack:
        frames: Iterator[Frame] = (
            stack.enter_context(LatestFrame(cameras.frames(source)))
            if live
            else stack.enter_context(closing(cameras.frames(source)))
        )
        counted, sink = Counted(frames), Timed(live)
        stack.enter_context(sink.sink)
        loop.run(counted, [sink], max_seconds=SECONDS, pace=FrameRateLimiter(None, 5.0 if live else None))  # type: ignore[list-item]
    return table(source, counted)


def table(source: str, counted: Counted) -> str:
    each = 1000 / counted.count  # ms a frame
    rows = {stage: (Laps.seconds[stage], Laps.native_seconds[stage]) for stage in (*WORK, "smooth", "sinks")}
    rows["the rest"] = counted.seconds - sum(taken for taken, _ in rows.values()), 0.0
    whole = counted.seconds
    lines = [
        f"{source}, {counted.count} frames",
        f"{'stage':12} {'ms a frame':>10} {'share':>7} {'native':>8} {'Python':>8}",
    ]
    for stage, (taken, native) in rows.items():
        shares = f"{taken / whole:7.1%} {native / whole:8.1%} {(taken - native) / whole:8.1%}"
        lines.append(f"{stage:12} {taken * each:10.3f} {shares}")
    native = sum(part for _, part in rows.values())
    lines.append(f"{'all':12} {whole * each:10.3f} {1:7.1%} {native / whole:8.1%} {1 - native / whole:8.1%}")
    over = 1 - sum(rows[stage][0] for stage in WORK) / whole
    return "\n".join([*lines, f"overhead: {over:.1%} of the loop's time", ""])


if __name__ == "__main__":
    main()
