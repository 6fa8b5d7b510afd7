"""Where the milliseconds go: the loop as `edge run` runs it, then the classifier alone.

`measure` returns the Report of edge/diagnostics/benchmark_report.py. Percentiles are those of MLPerf's load generator: the value
at place `count * percent / 100` of the sorted ones, counted from 0.

The classifier alone is measured as MLPerf's rules word the single stream: the next query is sent as soon as the one
before is answered, for 1,024 queries and 60 seconds, and the 90th percentile of their latencies is the figure
(mlcommons.org, "MLPerf Inference: Mobile"). One fixed image is read, no data set: that is no MLPerf result.

Of each frame a row of numbers is kept, in a reservoir of fixed size: a run of a day takes no more room than one of an
hour. Of the classifier alone every query is kept, 8 bytes each.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from array import array
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edge.capture import registry as cameras
from edge.capture.latest_frame import LatestFrame
from edge.config.settings import RunSettings
from edge.diagnostics.benchmark_report import (
    SCHEMA,
    SINGLE_STREAM,
    Alone,
    Comparison,
    Condition,
    Loop,
    Model,
    Process,
    Report,
    Rule,
    Source,
    Spread,
    Verdict,
    WarmUp,
    beside,
    read,
    to_json,
    with_report,
)
from edge.errors import EmotionEdgeError, UsageError
from edge.inference.classifier import Classifier
from edge.pipeline import FrameProcessor
from edge.pipeline import run as run_loop
from edge.sinks import registry as sinks
from edge.system import machine
from edge.types import Frame, FrameResult, RunInfo, Sink

WARM_UP_SECONDS, WARM_UP_FRAMES = 2.0, 30  # at least, each: what comes later ends it
ROOM = 65_536  # frames of which all figures are kept, 36 minutes at 30 a second; of a longer run, so many drawn by lot
QUICK = Rule(100, 2.0)  # in place of SINGLE_STREAM, for a first impression
WARM_UP_QUERIES = 20
BLOCK = 32  # queries between two changes of the model, when two are measured in turn
QUIET = ("jsonl:/dev/null",)  # what a service would write, without the disk

_WORK = ("detect", "crop", "classify")  # what the loop is there for; the rest of its busy time is overhead

Stopped = Callable[[], bool]


# Figures


def percentile(ordered: Sequence[float] | NDArray[np.float64], percent: int) -> float:
    """Return the value of the sorted, not empty `ordered` below which `percent` (0 to 99) of a hundred lie."""
    return float(ordered[len(ordered) * percent // 100])


def spread(seconds: Sequence[float] | NDArray[np.float64], mean: float | None = None) -> Spread:
    """Return the spread of `seconds`, at least one; `mean` is theirs where they are only a choice of many."""
    ordered = np.sort(np.asarray(seconds, np.float64)) * 1000
    return Spread(
        float(ordered.mean()) if mean is None else mean * 1000,
        *(percentile(ordered, percent) for percent in (50, 90, 99)),
    )


def judge(stages: Mapping[str, float], seconds: float, live: bool) -> Verdict:
    """Return what sets the pace of the loop.

    Args:
        stages: seconds in all, by stage.
        seconds: of the loop in all.
        live: whether the source goes on by itself.
    """
    waited = stages["capture"] / seconds
    work = {stage: spent for stage, spent in stages.items() if stage != "capture"}
    slowest = max(work, key=lambda stage: work[stage])
    share = work[slowest] / max(sum(work.values()), 1e-9)
    frames = "the camera's next frame" if live else "frames to be read from the source"
    rest = f"of its own work {slowest} takes most, {share:.0%}"
    if waited > 0.5:
        return Verdict("camera", slowest, f"camera-bound: the loop waits {waited:.0%} of the time for {frames}; {rest}")
    return Verdict(
        "compute", slowest, f"compute-bound: the loop waits only {waited:.0%} of the time for {frames}; {rest}"
    )


class Reservoir:
    """Rows of numbers in room that does not grow: all of them while they fit, then as many drawn by lot.

    Each row has the same chance to be among those kept: algorithm R of Vitter, "Random sampling with a reservoir",
    ACM Transactions on Mathematical Software 11 (1985). Sums are of all rows.

    Args:
        columns: numbers in a row.
        room: rows that are kept.
    """

    def __init__(self, columns: int, room: int = ROOM) -> None:
        self._rows = np.full((room, columns), np.nan)  # written to at once, so that it is no growth later on
        self._lot = random.Random(0)  # noqa: S311 (nobody gains by guessing it)
        self.sums = np.zeros(columns)
        self.count = 0

    def add(self, row: Sequence[float]) -> None:
        place = self.count if self.count < len(self._rows) else self._lot.randrange(self.count + 1)
        if place < len(self._rows):
            self._rows[place] = row
        self.sums += row
        self.count += 1

    def spread(self, column: int) -> Spread:
        """Return the spread of a column of at least one row, with the mean of all rows."""
        return spread(self._rows[: self.count, column], float(self.sums[column]) / self.count)


# The loop


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where the loop stood when a frame was done."""

    at: float  # seconds, perf_counter
    cpu: float  # seconds of the process
    index: int  # of the frame
    captured_at: float  # seconds, monotonic


class Listener:
    """A sink that passes on to `inner`, and notes how long everything took. It keeps no frame.

    Args:
        inner: the sink whose time counts as the stage `sinks`.
        seconds: to measure after the warm-up.
        began: is called once, when the first frame was counted.
    """

    def __init__(self, inner: Sink, seconds: float, began: Callable[[], object] = lambda: None) -> None:
        self._inner, self._seconds, self._began = inner, seconds, began
        self._stages: tuple[str, ...] = ()
        self._begin = 0.0  # seconds, perf_counter, of the first frame
        self._base: _Mark | None = None  # the last frame of the warm-up
        self._last: _Mark | None = None
        self._faces = self._warm_frames = 0
        self._resident: float | None = None  # MB after the warm-up
        self._books = 0.0  # seconds that it took for its own books after the last frame
        self._own = 0.0  # the same of all frames from the warm-up to the last one: no part of the loop
        self._first_reading: float | None = None
        self.size = (0, 0)  # width, height in pixels

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)

    def over(self) -> bool:
        """Return whether the time is up."""
        return (
            self._last is not None and self._base is not None and time.perf_counter() - self._base.at >= self._seconds
        )

    def write(self, seen: FrameResult) -> None:
        start = time.perf_counter()
        self._inner.write(seen)
        mark = _Mark(time.perf_counter(), time.process_time(), seen.frame.index, seen.frame.captured_at)
        age = time.monotonic() - seen.frame.captured_at
        if self._first_reading is None and seen.faces:
            self._first_reading = machine.process_age()
        if self._base is None:
            self._warm(seen, mark)
        else:
            self._own += self._books
            self._count(seen, mark, mark.at - start, age)
        self._books = time.perf_counter() - mark.at

    def _warm(self, seen: FrameResult, mark: _Mark) -> None:
        if not self._warm_frames:
            self._begin = mark.at
            self._stages = (*seen.timings, "sinks")
            self._kept = Reservoir(len(self._stages) + 2)  # and total, and age
            self.size = (seen.frame.gray.shape[1], seen.frame.gray.shape[0])
            self.start = condition()  # now, not before: the programs that it asks would delay the first reading
        self._warm_frames += 1
        if self._warm_frames >= WARM_UP_FRAMES and mark.at - self._begin >= WARM_UP_SECONDS:
            self._base, self._resident = mark, machine.resident()

    def _count(self, seen: FrameResult, mark: _Mark, sinks: float, age: float) -> None:
        taken = (*seen.timings.values(), sinks)
        self._kept.add((*taken, sum(taken) - seen.timings["capture"], age))
        self._faces += len(seen.faces)
        if self._last is None:
            self._began()
        self._last = mark

    def result(self, live: bool) -> tuple[WarmUp, Loop, Process]:
        """Return what was measured; to be asked while the source is still open. Raises EmotionEdgeError for nothing."""
        base, last = self._base, self._last
        if base is None or last is None:
            raise EmotionEdgeError(
                f"ended in the warm-up, after {self._warm_frames} frames: nothing was measured; let it run longer"
            )
        seconds = last.at - base.at
        cpu = 100 * (last.cpu - base.cpu) / seconds
        warm_up = WarmUp(base.at - self._begin, self._warm_frames, self._first_reading)
        return warm_up, self._loop(base, last, live), _process(self._resident, cpu)

    def _loop(self, base: _Mark, last: _Mark, live: bool) -> Loop:
        seconds, frames = last.at - base.at, self._kept.count
        sums = dict(zip((*self._stages, "total", "age"), self._kept.sums.tolist(), strict=True))
        stages = {stage: sums[stage] for stage in self._stages}
        filmed = last.captured_at - base.captured_at
        skipped = last.index - base.index - frames
        busy = max(seconds - sums["capture"] - self._own, 1e-9)
        return Loop(
            frames=frames,
            seconds=seconds,
            fps=frames / seconds,
            source_fps=(last.index - base.index) / filmed if live and filmed > 0 else None,
            skipped=skipped,
            skipped_fps=skipped / seconds,
            faces_per_frame=self._faces / frames,
            stages_ms={stage: self._kept.spread(place) for place, stage in enumerate((*self._stages, "total"))},
            shares={stage: sums[stage] / seconds for stage in (*self._stages, "total")},
            overhead=min(1.0, max(0.0, 1 - sum(sums[stage] for stage in _WORK) / busy)),
            age_ms=self._kept.spread(len(self._stages) + 1) if live else None,
            verdict=judge(stages, seconds, live),
        )


class Again:
    """The frames of a source that ends, from its start again each time, with time stamps and positions that go on.

    Args:
        source: as `edge run` names it; not live.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self.passes = 0

    def frames(self) -> Generator[Frame, None, None]:
        """Yield frames for ever. Raises what the camera raises."""
        ended, index, step = 0.0, 0, 0.0
        while True:
            self.passes += 1
            now, position = ended, index
            with closing(cameras.frames(self._source)) as frames:
                for frame in frames:
                    shown = replace(frame, time=ended + frame.time, index=index + frame.index)
                    step = shown.time - now or step
                    now, position = shown.time, shown.index
                    yield shown
            ended, index = now + (step or 1.0), position + 1  # a single image has no step: a second


def condition() -> Condition:
    """Return how warm and how fast the machine is."""
    return Condition(machine.temperature(), machine.clock(), machine.throttling())


def _process(before: float | None, cpu: float) -> Process:
    now = machine.resident()
    growth = None if now is None or before is None else now - before
    return Process(now, machine.resident_peak(), growth, cpu, machine.threads())


# The classifier alone


def gray_face(size: int) -> NDArray[np.uint8]:
    """Return a (size, size) uint8 image of slanted stripes with all levels of gray; what it shows costs no time."""
    row = np.arange(size)
    face: NDArray[np.uint8] = ((7 * row[:, np.newaxis] + 3 * row) % 256).astype(np.uint8)
    return face


def single_stream(classifier: Classifier, rule: Rule, stopped: Stopped = lambda: False) -> Alone | None:
    """Return how long `classifier` takes for one face, one after the other; None when stopped before the first."""
    (taken,), seconds = _asked([classifier], rule, 1, stopped)
    by_rule = len(taken) >= SINGLE_STREAM.queries and seconds >= SINGLE_STREAM.seconds
    return Alone(len(taken), seconds, by_rule, spread(taken)) if taken else None


def in_turn(
    ours: Classifier, theirs: Classifier, rule: Rule, stopped: Stopped = lambda: False
) -> tuple[Spread, Spread] | None:
    """Return the spreads of two models measured in blocks by turns, so that a busy moment hits both.

    Each is asked at least `rule.queries` times, both together for at least `rule.seconds`; None when stopped before.
    """
    (mine, other), _ = _asked([ours, theirs], rule, BLOCK, stopped)
    return (spread(mine), spread(other)) if mine else None


def _asked(models: Sequence[Classifier], rule: Rule, block: int, stopped: Stopped) -> tuple[list[array[float]], float]:
    """Return the seconds of each query of each model, `block` queries to a turn, and those of all together."""
    faces = [gray_face(model.card.input_size) for model in models]
    taken = [array("d") for _ in models]
    turns = list(zip(models, faces, taken, strict=True))
    for model, face, _ in turns:
        for _ in range(WARM_UP_QUERIES):
            model.classify(face)
    begin = time.perf_counter()
    while (len(taken[0]) < rule.queries or time.perf_counter() - begin < rule.seconds) and not stopped():
        for model, face, seconds in turns:
            seconds.extend(_query(model, face) for _ in range(block))
        turns.reverse()  # neither always follows the other's pause
    return taken, time.perf_counter() - begin


def _query(classifier: Classifier, face: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    classifier.classify(face)
    return time.perf_counter() - start


# All of it


@dataclass(frozen=True, slots=True)
class Rival:
    """What to compare with: a report, or a model."""

    path: Path
    report: Mapping[str, Any] | None  # None: a model


def rival(path: Path) -> Rival:
    """Return what the file at `path` is, looked through: it would be a pity to learn of a mistake after minutes.

    Raises UsageError when it cannot be read, SettingsError or ModelError when it is no such thing.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a report or a .tflite model") from error
    if path.suffix == ".tflite" or content[4:8] == b"TFL3":
        Classifier(path).warm_up()
        return Rival(path, None)
    return Rival(path, read(path, content))


def measure(
    settings: RunSettings,
    classifier: Classifier,
    processor: FrameProcessor,
    *,
    quick: bool = False,
    against: Rival | None = None,
    stopped: Stopped = lambda: False,
    say: Callable[[str], object] = lambda _: None,
) -> Report:
    """Measure the loop, then the classifier alone, and compare if there is something to compare with.

    Args:
        settings: with a source, and the seconds to measure the loop for after its warm-up.
        classifier: of `settings.model`.
        processor: with that classifier in it.
        quick: measure the classifier alone by QUICK in place of SINGLE_STREAM.
        stopped: is asked all the while whether to end early, and report what there is.
        say: takes a line on what is being measured.
    """
    rule = QUICK if quick else SINGLE_STREAM
    source, start, (warm_up, loop, process) = _measure_loop(settings, processor, stopped, say)
    say(f"measuring the classifier alone for {rule.seconds:g} s")
    alone = single_stream(classifier, rule, stopped)
    content = settings.model.read_bytes()
    report = Report(
        schema=SCHEMA,
        emotion_edge=machine.installed("emotion-edge"),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        ended_early=False,
        source=source,
        model=Model(settings.model.name, classifier.card.name, hashlib.sha256(content).hexdigest()),
        settings=_told(settings, classifier),
        machine=machine.facts(),
        start=start,
        end=condition(),
        warm_up=warm_up,
        loop=loop,
        process=process,
        classifier=alone,
    )
    if against is not None and against.report is None:
        say(f"measuring both models in turn for {rule.seconds:g} s")
        report = replace(report, comparison=with_model(against.path, classifier, settings.threads, rule, stopped))
    report = replace(report, ended_early=stopped())
    if against is not None and against.report is not None:
        report = replace(report, comparison=with_report(against.path, against.report, json.loads(to_json(report))))
    return report


def _measure_loop(
    settings: RunSettings, processor: FrameProcessor, stopped: Stopped, say: Callable[[str], object]
) -> tuple[Source, Condition, tuple[WarmUp, Loop, Process]]:
    assert settings.source is not None
    assert settings.duration is not None
    live, again = cameras.is_live(settings.source), Again(settings.source)
    inner = sinks.find(settings.sinks[0])(RunInfo(live=live))
    doing = f"measuring the loop for {settings.duration:g} s"
    with ExitStack() as stack:
        listener = stack.enter_context(Listener(inner, settings.duration, began=lambda: say(doing)))
        if live:
            frames: Iterator[Frame] = stack.enter_context(LatestFrame(cameras.frames(settings.source), stopped))
        else:
            frames = stack.enter_context(closing(again.frames()))
        run_loop(processor, frames, [listener], stopped=lambda: stopped() or listener.over())
        result = listener.result(live)
    passes = 1 if live else again.passes
    return Source(settings.source, live, *listener.size, passes), listener.start, result


def _told(settings: RunSettings, classifier: Classifier) -> dict[str, Any]:
    """Return the settings that had a part in it."""
    unsure = classifier.card.min_confidence if settings.min_confidence is None else settings.min_confidence
    cascade = str(settings.cascade) if settings.cascade else None
    told = {**asdict(settings), "min_confidence": unsure, "cascade": cascade, "sinks": list(settings.sinks)}
    return {key: value for key, value in told.items() if key not in ("source", "model", "max_frames")}


def with_model(path: Path, ours: Classifier, threads: int, rule: Rule, stopped: Stopped) -> Comparison:
    """Return the figures of `ours` and of the model at `path`, measured by turns; why there are none, where so."""
    try:
        both = in_turn(ours, Classifier(path, threads), rule, stopped)
    except EmotionEdgeError as error:  # the file was good when the run began: its report is not lost for that
        return Comparison(str(path), f"not measured: {error}", (), {})
    if both is None:
        return Comparison(str(path), "not measured, ended early", (), {})
    mine, other = ({f"classifier alone {key}, ms": value for key, value in asdict(each).items()} for each in both)
    how = f"both models in this run, by turns of {BLOCK} queries; the ratio is ours / theirs"
    warning = "the start and the peak of memory include a look at the other model"
    return Comparison(str(path), how, (warning,), beside(mine, other))
