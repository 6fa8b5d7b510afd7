"""Records the timings of the loop while it runs as `edge run` runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Self

from edge.capture import registry as cameras
from edge.diagnostics.benchmark_report import (
    Bottleneck,
    InferenceResult,
    LoopResult,
    MachineState,
    ProcessUsage,
    WarmUp,
)
from edge.diagnostics.latency import Reservoir
from edge.errors import EmotionEdgeError
from edge.system import machine, process
from edge.types import Frame, FrameResult, InferenceStats, Sink

# The warm-up ends when both are reached.
WARM_UP_SECONDS = 2.0
WARM_UP_FRAMES = 30
CAMERA_BOUND_FRACTION = 0.5  # of the loop's time spent waiting for frames, from which the camera is the bottleneck
WORK_STAGES = ("detect", "crop", "classify")  # the purpose of the loop; its other busy time is overhead
IMAGE_SECONDS = 1.0  # from one pass of a single image to the next


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Counters at the end of a frame."""

    at: float  # seconds, perf_counter
    cpu: float  # seconds of the process
    index: int  # of the frame
    captured_at: float  # seconds, monotonic
    inference: InferenceStats


class StageRecorder:
    """A sink that forwards results to another one and records how long each stage took. It keeps no frame.

    Args:
        sink: its time counts as the stage `sinks`.
        duration: seconds to record for after the warm-up.
        on_start: called once, when the first frame was recorded.
    """

    def __init__(self, sink: Sink, duration: float, on_start: Callable[[], object] = lambda: None) -> None:
        self._sink, self._duration, self._on_start = sink, duration, on_start
        self._stages: tuple[str, ...] = ()
        self._begin = 0.0  # seconds, perf_counter, of the first frame
        self._base: _Snapshot | None = None  # at the last frame of the warm-up
        self._last: _Snapshot | None = None
        self._faces = self._warm_up_frames = 0
        self._base_resident_mb: float | None = None
        self._last_recorder_seconds = 0.0  # that this recorder took for the last frame
        self._recorder_seconds = 0.0  # in total, up to the frame before the last one: not the loop's
        self._first_result_seconds: float | None = None
        self.frame_size = (0, 0)  # width, height in pixels
        self.state_at_start = MachineState(None, None, None)

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink.__exit__(kind, error, trace)

    def is_done(self) -> bool:
        """Return whether the duration has passed."""
        if self._last is None or self._base is None:
            return False
        return time.perf_counter() - self._base.at >= self._duration

    def write(self, result: FrameResult) -> None:
        start = time.perf_counter()
        self._sink.write(result)
        frame = result.frame
        snapshot = _Snapshot(
            time.perf_counter(), time.process_time(), frame.index, frame.captured_at, result.stats.inference
        )
        end_to_end = time.monotonic() - frame.captured_at
        if self._first_result_seconds is None and result.faces:
            self._first_result_seconds = process.seconds_since_start()
        if self._base is None:
            self._warm_up(result, snapshot)
        else:
            self._recorder_seconds += self._last_recorder_seconds
            self._record(result, snapshot, snapshot.at - start, end_to_end)
        self._last_recorder_seconds = time.perf_counter() - snapshot.at

    def _warm_up(self, result: FrameResult, snapshot: _Snapshot) -> None:
        if not self._warm_up_frames:
            self._begin = snapshot.at
            self._stages = (*result.timings, "sinks")
            self._reservoir = Reservoir(len(self._stages) + 2)  # and total, and end to end
            self._ages = Reservoir(1)
            height, width = result.frame.gray.shape
            self.frame_size = (width, height)
            # Not earlier: the programs that it starts would delay the first result.
            self.state_at_start = read_machine_state()
        self._warm_up_frames += 1
        if self._warm_up_frames >= WARM_UP_FRAMES and snapshot.at - self._begin >= WARM_UP_SECONDS:
            self._base, self._base_resident_mb = snapshot, process.resident_mb()

    def _record(self, result: FrameResult, snapshot: _Snapshot, sink_seconds: float, end_to_end: float) -> None:
        seconds = (*result.timings.values(), sink_seconds)
        self._reservoir.add((*seconds, sum(seconds) - result.timings["capture"], end_to_end))
        self._faces += len(result.faces)
        for face in result.faces:
            self._ages.add((face.age,))
        if self._last is None:
            self._on_start()
        self._last = snapshot

    def result(self, *, live: bool) -> tuple[WarmUp, LoopResult, ProcessUsage]:
        """Return the measurements; call it while the source is open.

        Args:
            live: whether the source is a camera, which does not wait.

        Raises EmotionEdgeError if the run ended in the warm-up.
        """
        base, last = self._base, self._last
        if base is None or last is None:
            raise EmotionEdgeError(
                f"ended in the warm-up, after {self._warm_up_frames} frames: nothing was measured; run it longer"
            )
        warm_up = WarmUp(base.at - self._begin, self._warm_up_frames, self._first_result_seconds)
        resident, before = process.resident_mb(), self._base_resident_mb
        growth = None if resident is None or before is None else resident - before
        cpu_percent = 100 * (last.cpu - base.cpu) / (last.at - base.at)
        usage = ProcessUsage(resident, process.peak_resident_mb(), growth, cpu_percent, process.thread_count())
        return warm_up, self._loop_result(base, last, live), usage

    def _loop_result(self, base: _Snapshot, last: _Snapshot, live: bool) -> LoopResult:
        seconds, frames = last.at - base.at, self._reservoir.count
        names = (*self._stages, "total")
        sums = dict(zip(names, self._reservoir.sums.tolist(), strict=False))
        source_frames = last.index - base.index
        source_seconds = last.captured_at - base.captured_at
        busy = max(seconds - sums["capture"] - self._recorder_seconds, 1e-9)
        return LoopResult(
            frames=frames,
            seconds=seconds,
            fps=frames / seconds,
            source_fps=source_frames / source_seconds if live and source_seconds > 0 else None,
            skipped=source_frames - frames,
            skipped_fps=(source_frames - frames) / seconds,
            faces_per_frame=self._faces / frames,
            stages_ms={name: self._reservoir.stats(column) for column, name in enumerate(names)},
            stage_fractions={name: sums[name] / seconds for name in names},
            overhead=min(1.0, max(0.0, 1 - sum(sums[stage] for stage in WORK_STAGES) / busy)),
            end_to_end_ms=self._reservoir.stats(len(names)) if live else None,
            bottleneck=find_bottleneck({stage: sums[stage] for stage in self._stages}, seconds),
            inference=self._inference_result(base.inference, last.inference, seconds),
        )

    def _inference_result(self, base: InferenceStats, last: InferenceStats, seconds: float) -> InferenceResult | None:
        counts = {name: value - getattr(base, name) for name, value in asdict(last).items()}
        total = sum(counts.values())
        if not total or not self._ages.count:
            return None
        face_seconds = total / self._reservoir.count * seconds
        fractions = {name: count / total for name, count in counts.items()}
        per_second, per_face_second = (counts["classified"] / of for of in (seconds, face_seconds))
        return InferenceResult(per_second, per_face_second, **fractions, age_ms=self._ages.stats(0))


class RepeatedSource:
    """The frames of a source that ends, started again each time; times and indices continue.

    Args:
        source: as `edge run` names it; not live.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self.passes = 0

    def frames(self) -> Generator[Frame, None, None]:
        """Yield frames without end. Raises what the camera raises."""
        start_time, start_index, interval = 0.0, 0, 0.0
        while True:
            self.passes += 1
            now, index = start_time, start_index
            with closing(cameras.frames(self._source)) as frames:
                for frame in frames:
                    shifted = replace(frame, time=start_time + frame.time, index=start_index + frame.index)
                    interval = shifted.time - now or interval
                    now, index = shifted.time, shifted.index
                    yield shifted
            start_time, start_index = now + (interval or IMAGE_SECONDS), index + 1


def find_bottleneck(stage_seconds: Mapping[str, float], seconds: float) -> Bottleneck:
    """Return what limits the frame rate of a loop.

    Args:
        stage_seconds: stage -> seconds in total.
        seconds: of the loop in total.
    """
    camera_bound = stage_seconds["capture"] / seconds > CAMERA_BOUND_FRACTION
    work = {stage: spent for stage, spent in stage_seconds.items() if stage != "capture"}
    return Bottleneck("camera" if camera_bound else "compute", max(work, key=lambda stage: work[stage]))


def read_machine_state() -> MachineState:
    """Return the temperature, the clock and the throttling of this moment."""
    return MachineState(machine.cpu_temperature(), machine.cpu_clock_mhz(), machine.throttling())
