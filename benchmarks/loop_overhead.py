"""Measure where the loop's time goes: by stage, and in each of them by native code and by Python.

Each frame is written as a JSON line to /dev/null, as a service would. Measured is the processor time of the loop's
own thread, so that other programs do not count; capture (waiting, drawing, decoding) and the sinks' own threads are
left out. Native is the time in OpenCV and in the model; the rest is Python's: the interpreter, NumPy, copying. In a
live run the processor's caches are cold after each wait, which makes Python's lines several times slower than at full
speed.

Overhead is all but detect, crop and classify: smoothing, results, sinks, counters, frame rate limit.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from types import SimpleNamespace, TracebackType
from typing import Any, ClassVar, Self

import cv2

from benchmarks.common import make_parser, make_pipeline
from edge import pipeline
from edge.capture import registry as cameras
from edge.capture.frame_rate import FrameRateLimiter
from edge.capture.latest_frame import LatestFrame
from edge.config.defaults import IDLE_FPS
from edge.config.models import shipped_model
from edge.diagnostics.stage_recorder import WORK_STAGES
from edge.inference.classifier import Classifier
from edge.pipeline import STAGES
from edge.sinks import registry as sinks
from edge.system import tflite
from edge.system.stop_signals import RunLimit
from edge.types import Frame, FrameResult, RunInfo, Sink

SOURCES = ("synthetic:fast", "synthetic")
WARM_UP_FRAMES = 60
CV2_FUNCTIONS = ("resize", "matchTemplate", "minMaxLoc", "copyMakeBorder")  # that the loop calls


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("loop_overhead", __doc__)
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        default=SOURCES,
        help="default: the synthetic camera at full speed, and live at 30 frames per second",
    )
    parser.add_argument("--duration", type=float, default=15.0, help="seconds per source")
    options = parser.parse_args(arguments)
    timer = NativeTimer()
    timer.install()
    for source in options.sources:
        print(measure(source, options.duration, timer), flush=True)


class NativeTimer:
    """Sums up the seconds of native calls in the main thread; a camera's thread calls OpenCV, too."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def install(self) -> None:
        """Time every native call of the loop; called before its parts are built."""
        for name in CV2_FUNCTIONS:
            setattr(cv2, name, self.timed(getattr(cv2, name)))
        make_cascade, runtime = cv2.CascadeClassifier, tflite.runtime

        def make_interpreter(**options: Any) -> TimedObject:
            return TimedObject(runtime().Interpreter(**options), "invoke", self)

        cv2.CascadeClassifier = lambda: TimedObject(make_cascade(), "detectMultiScale2", self)  # type: ignore[misc, assignment]
        tflite.runtime = lambda: SimpleNamespace(Interpreter=make_interpreter)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                if threading.current_thread() is threading.main_thread():
                    self.seconds += time.thread_time() - start

        return call


class TimedObject:
    """An object of a native library whose method `method` is timed."""

    def __init__(self, inner: Any, method: str, timer: NativeTimer) -> None:
        self._inner = inner
        setattr(self, method, timer.timed(getattr(inner, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class ThreadStageTimer:
    """Replaces the pipeline's StageTimer: processor time of the thread in each stage, and its native part."""

    seconds: ClassVar[dict[str, float]] = defaultdict(float)
    native_seconds: ClassVar[dict[str, float]] = defaultdict(float)
    native_timer: ClassVar[NativeTimer]

    def __init__(self, **known: float) -> None:
        self.timings = dict.fromkeys(STAGES, 0.0) | known
        self._ended, self._native_before = time.thread_time(), self.native_timer.seconds

    def end(self, stage: str) -> None:
        self.seconds[stage] += time.thread_time() - self._ended
        self.native_seconds[stage] += self.native_timer.seconds - self._native_before
        self._ended, self._native_before = time.thread_time(), self.native_timer.seconds


class TimedSink:
    """A sink whose `write` counts as stage `sinks`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink.__exit__(kind, error, trace)

    def write(self, result: FrameResult) -> None:
        start = time.thread_time()
        self._sink.write(result)
        ThreadStageTimer.seconds["sinks"] += time.thread_time() - start


class TimedFrames:
    """Forwards frames; counts them and the thread's processor seconds between them, after the warm-up."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self._returned_at: float | None = None  # thread seconds
        self.count, self.seconds = -WARM_UP_FRAMES, 0.0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        self.end_frame()
        frame = next(self._frames)
        self._returned_at = time.thread_time()
        return frame

    def end_frame(self) -> None:
        """Count the frame that was returned last."""
        if self._returned_at is None:
            return
        self.seconds += time.thread_time() - self._returned_at
        self._returned_at = None
        self.count += 1
        if self.count == 0:
            self.seconds = 0.0
            ThreadStageTimer.seconds.clear()
            ThreadStageTimer.native_seconds.clear()


def measure(source: str, duration: float, timer: NativeTimer) -> str:
    """Return the table of one source."""
    pipeline.StageTimer, ThreadStageTimer.native_timer = ThreadStageTimer, timer  # type: ignore[assignment, misc]
    live = cameras.is_live(source)
    with ExitStack() as stack:
        frames: Iterator[Frame] = (
            stack.enter_context(LatestFrame(cameras.frames(source)))
            if live
            else stack.enter_context(closing(cameras.frames(source)))
        )
        timed_frames = TimedFrames(frames)
        sink = stack.enter_context(TimedSink(sinks.find("jsonl:/dev/null")(RunInfo(live=live))))
        pipeline.run(
            make_pipeline(Classifier(shipped_model())),
            timed_frames,
            [sink],
            limiter=FrameRateLimiter(None, IDLE_FPS if live else None),
            stopped=RunLimit(lambda: False, duration),
        )
        timed_frames.end_frame()
    return format_table(source, timed_frames)


def format_table(source: str, frames: TimedFrames) -> str:
    seconds, native_seconds, total = ThreadStageTimer.seconds, ThreadStageTimer.native_seconds, frames.seconds
    rows = {stage: (seconds[stage], native_seconds[stage]) for stage in (*WORK_STAGES, "smooth", "sinks")}
    rows["other"] = total - sum(spent for spent, _ in rows.values()), 0.0
    overhead = 1 - sum(rows[stage][0] for stage in WORK_STAGES) / total
    rows["total"] = total, sum(native for _, native in rows.values())
    lines = [
        f"{source}, {frames.count} frames",
        f"{'stage':12} {'ms per frame':>12} {'fraction':>8} {'native':>8} {'Python':>8}",
    ]
    for stage, (spent, native) in rows.items():
        fractions = f"{spent / total:8.1%} {native / total:8.1%} {(spent - native) / total:8.1%}"
        lines.append(f"{stage:12} {1000 * spent / frames.count:12.3f} {fractions}")
    return "\n".join([*lines, f"overhead: {overhead:.1%} of the loop's processor time", ""])


if __name__ == "__main__":
    main()
