"""Where the milliseconds go: the loop as `edge run` runs it, then the classifier alone.

`measure` returns a Report of plain values, ready for JSON; `text` is the same for people. All percentiles are those of
MLPerf's load generator: the value at place `count * percent / 100` of the sorted ones, counted from 0.

The classifier alone is measured as MLPerf's rules word the single stream: the next query is sent as soon as the one
before is answered, for 1,024 queries and 60 seconds, and the 90th percentile of their latencies is the figure
(mlcommons.org, "MLPerf Inference: Mobile"). One fixed picture is read, no data set: that is no MLPerf result.

Of each frame a row of numbers is kept, in a reservoir of fixed size: a run of a day takes no more room than one of an
hour. Of the classifier alone every query is kept, 8 bytes each.
"""

from __future__ import annotations

import hashlib
import json
import random
import textwrap
import time
from array import array
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from edge import cameras, card, machine, sinks
from edge.classifier import Classifier
from edge.errors import EmotionEdgeError, SettingsError, UsageError
from edge.newest import Newest
from edge.pipeline import Pipeline
from edge.settings import RunSettings
from edge.sinks import Sink
from edge.values import Frame, Observation

SCHEMA = 1  # of the JSON; raised when a reader of older reports would misread a newer one
WARM_UP_SECONDS, WARM_UP_FRAMES = 2.0, 30  # at least, each: what comes later ends it
ROOM = 65_536  # frames of which all figures are kept, 36 minutes at 30 a second; of a longer run, so many drawn by lot
WARM_UP_QUERIES = 20
BLOCK = 32  # queries between two changes of the model, when two are measured in turn
QUIET = ("jsonl:/dev/null",)  # what a service would write, without the disk
WIDTH = 100  # columns of the report

_WORK = ("search", "crop", "classify")  # what the loop is there for; the rest of its busy time is overhead
_NO_AGE = "not measured: this source is read when it is asked, so that no picture waits"
_AGAIN = " 'edge benchmark --json FILE' writes a report"

Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """How long the classifier alone is measured: at least so many queries, and at least so long."""

    queries: int
    seconds: float


SINGLE_STREAM = Rule(1024, 60.0)
QUICK = Rule(100, 2.0)


# The report


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, in milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    live: bool  # it goes on by itself, and only its newest frame is looked at
    width: int  # pixels
    height: int  # pixels
    passes: int  # how often it was begun; 1 unless it ended before the time was up


@dataclass(frozen=True, slots=True)
class Model:
    file: str
    name: str
    sha256: str  # of the file, as sha256sum prints it


@dataclass(frozen=True, slots=True)
class Condition:
    """What changes on a machine under load; None: not available."""

    temperature_c: float | None
    clock_mhz: float | None
    throttling: Mapping[str, Sequence[str]] | None  # "now" and "since_boot", see edge.machine


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What came first, and counts nowhere."""

    seconds: float
    frames: int
    first_reading_seconds: float | None  # from the start of the process; None: no face was read


@dataclass(frozen=True, slots=True)
class Verdict:
    bound: Literal["camera", "compute"]
    slowest: str  # stage, besides wait
    words: str


@dataclass(frozen=True, slots=True)
class Loop:
    """What was counted of the loop. `wait` is the time for a frame to come; what makes it grey is `convert`."""

    frames: int
    seconds: float
    fps: float  # frames a second that were read
    source_fps: float | None  # frames a second that the camera gave; None: not measured
    skipped: int  # frames of the source that nobody looked at
    skipped_fps: float
    faces_per_frame: float
    stages_ms: Mapping[str, Spread]  # by the pipeline's names, and `total`: all of a frame but wait
    shares: Mapping[str, float]  # of the loop's time, 0 to 1, by the same names
    overhead: float  # share of the time not waited that is neither search nor crop nor classify, 0 to 1
    age_ms: Spread | None  # from the picture's arrival until its labels are out; None: not measured
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Process:
    """What the loop took of the machine; None: not available. One MB is a million bytes."""

    resident_mb: float | None  # at the end
    peak_mb: float | None
    growth_mb: float | None  # of the resident memory from the end of the warm-up on
    cpu_percent: float  # of one core: two busy threads make 200
    threads: int | None


@dataclass(frozen=True, slots=True)
class Alone:
    """The classifier without anything else."""

    queries: int
    seconds: float
    by_rule: bool  # as many and as long as SINGLE_STREAM asks for
    ms: Spread


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure of two measurements; None: one of them has none."""

    ours: float | None
    theirs: float | None
    ratio: float | None  # ours / theirs


@dataclass(frozen=True, slots=True)
class Comparison:
    against: str  # file
    how: str
    warnings: Sequence[str]  # what makes the two no fair match
    figures: Mapping[str, Ratio]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured, and on what."""

    schema: int
    emotion_edge: str | None
    date: str  # UTC, ISO 8601
    ended_early: bool
    source: Source
    model: Model
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]  # edge.machine.facts at the end
    start: Condition
    end: Condition
    warm_up: WarmUp
    loop: Loop
    process: Process
    classifier: Alone | None  # None: ended before
    comparison: Comparison | None = None


def to_json(report: Report) -> bytes:
    """Return `report` as JSON for a file."""
    return (json.dumps(asdict(report), indent=1, ensure_ascii=False) + "\n").encode()


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


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Return ours / theirs, None where either is missing or theirs is 0."""
    return ours / theirs if ours is not None and theirs else None


def judge(stages: Mapping[str, float], seconds: float, live: bool) -> Verdict:
    """Return what sets the pace of the loop.

    Args:
        stages: seconds in all, by stage.
        seconds: of the loop in all.
        live: whether the source goes on by itself.
    """
    waited = stages["wait"] / seconds
    work = {stage: spent for stage, spent in stages.items() if stage != "wait"}
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
    arrived: float  # seconds, monotonic


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

    def write(self, seen: Observation) -> None:
        start = time.perf_counter()
        self._inner.write(seen)
        mark = _Mark(time.perf_counter(), time.process_time(), seen.frame.index, seen.frame.arrived)
        age = time.monotonic() - seen.frame.arrived
        if self._first_reading is None and seen.readings:
            self._first_reading = machine.process_age()
        if self._base is None:
            self._warm(seen, mark)
        else:
            self._count(seen, mark, mark.at - start, age)

    def _warm(self, seen: Observation, mark: _Mark) -> None:
        if not self._warm_frames:
            self._begin = mark.at
            self._stages = (*seen.timings, "sinks")
            self._kept = Reservoir(len(self._stages) + 2)  # and total, and age
            self.size = (seen.frame.grey.shape[1], seen.frame.grey.shape[0])
            self.start = condition()  # now, not before: the programs that it asks would delay the first reading
        self._warm_frames += 1
        if self._warm_frames >= WARM_UP_FRAMES and mark.at - self._begin >= WARM_UP_SECONDS:
            self._base, self._resident = mark, machine.resident()

    def _count(self, seen: Observation, mark: _Mark, sinks: float, age: float) -> None:
        taken = (*seen.timings.values(), sinks)
        self._kept.add((*taken, sum(taken) - seen.timings["wait"], age))
        self._faces += len(seen.readings)
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
        filmed = last.arrived - base.arrived
        skipped = last.index - base.index - frames
        busy = max(seconds - sums["wait"], 1e-9)
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
            ended, index = now + (step or 1.0), position + 1  # a single picture has no step: a second


def condition() -> Condition:
    """Return how warm and how fast the machine is."""
    return Condition(machine.temperature(), machine.clock(), machine.throttling())


def _process(before: float | None, cpu: float) -> Process:
    now = machine.resident()
    growth = None if now is None or before is None else now - before
    return Process(now, machine.resident_peak(), growth, cpu, machine.threads())


# The classifier alone


def grey_face(size: int) -> NDArray[np.uint8]:
    """Return a (size, size) uint8 picture of slanted stripes with all levels of grey; what it shows costs no time."""
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
    faces = [grey_face(model.card.input_size) for model in models]
    taken = [array("d") for _ in models]
    turns = list(zip(models, faces, taken, strict=True))
    for model, face, _ in turns:
        for _ in range(WARM_UP_QUERIES):
            model.scores(face)
    begin = time.perf_counter()
    while (len(taken[0]) < rule.queries or time.perf_counter() - begin < rule.seconds) and not stopped():
        for model, face, seconds in turns:
            seconds.extend(_query(model, face) for _ in range(block))
        turns.reverse()  # neither always follows the other's pause
    return taken, time.perf_counter() - begin


def _query(classifier: Classifier, face: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    classifier.scores(face)
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
        card.load(path)
        return Rival(path, None)
    return Rival(path, _report(path, content))


def measure(
    settings: RunSettings,
    classifier: Classifier,
    pipeline: Pipeline,
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
        pipeline: with that classifier in it.
        quick: measure the classifier alone by QUICK in place of SINGLE_STREAM.
        stopped: is asked all the while whether to end early, and report what there is.
        say: takes a line on what is being measured.
    """
    rule = QUICK if quick else SINGLE_STREAM
    source, start, (warm_up, loop, process) = _measure_loop(settings, pipeline, stopped, say)
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
        report = replace(report, comparison=_with_model(against.path, classifier, settings.threads, rule, stopped))
    report = replace(report, ended_early=stopped())
    if against is not None and against.report is not None:
        report = replace(report, comparison=with_report(against.path, against.report, json.loads(to_json(report))))
    return report


def _measure_loop(
    settings: RunSettings, pipeline: Pipeline, stopped: Stopped, say: Callable[[str], object]
) -> tuple[Source, Condition, tuple[WarmUp, Loop, Process]]:
    assert settings.source is not None
    assert settings.seconds is not None
    live, again = cameras.live(settings.source), Again(settings.source)
    inner = sinks.make(settings.sinks[0])
    doing = f"measuring the loop for {settings.seconds:g} s"
    with ExitStack() as stack:
        listener = stack.enter_context(Listener(inner, settings.seconds, began=lambda: say(doing)))
        if live:
            frames: Iterator[Frame] = stack.enter_context(Newest(cameras.frames(settings.source), stopped))
        else:
            frames = stack.enter_context(closing(again.frames()))
        pipeline.run(frames, [listener], stopped=lambda: stopped() or listener.over())
        result = listener.result(live)
    passes = 1 if live else again.passes
    return Source(settings.source, live, *listener.size, passes), listener.start, result


def _told(settings: RunSettings, classifier: Classifier) -> dict[str, Any]:
    """Return the settings that had a part in it."""
    unsure = classifier.card.unsure if settings.unsure is None else settings.unsure
    cascade = str(settings.cascade) if settings.cascade else None
    told = {**asdict(settings), "unsure": unsure, "cascade": cascade, "sinks": list(settings.sinks)}
    return {key: value for key, value in told.items() if key not in ("source", "model", "frames")}


# Comparing


def figures(report: Mapping[str, Any]) -> dict[str, float | None]:
    """Return all figures of a report as JSON holds it. Raises KeyError or TypeError when it is none."""
    loop, alone, process = report["loop"], report["classifier"], report["process"]
    found: dict[str, float | None] = {
        "start to first reading, s": report["warm_up"]["first_reading_seconds"],
        "frames a second": loop["fps"],
        "frames a second of the camera": loop["source_fps"],
        "skipped frames a second": loop["skipped_fps"],
        "faces a frame": loop["faces_per_frame"],
    }
    spreads = {**loop["stages_ms"], "age": loop["age_ms"], "classifier alone": alone and alone["ms"]}
    for name, taken in spreads.items():
        for key in ("p50", "p90", "p99"):
            found[f"{name} {key}, ms"] = taken and taken[key]
    found["overhead, %"] = 100 * loop["overhead"]
    found["CPU, % of a core"] = process["cpu_percent"]
    for name, key in (("resident", "resident_mb"), ("peak", "peak_mb"), ("growth", "growth_mb")):
        found[f"memory {name}, MB"] = process[key]
    for name, value in found.items():
        if value is not None and not isinstance(value, int | float):
            raise TypeError(f"{name} is {value!r}, expected a number")
    return found


def with_report(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Comparison:
    """Return the figures of two reports, as JSON holds them, side by side; `theirs` was read from `path`."""
    how = f"a report of {theirs['date']}; the ratio is ours / theirs"
    return Comparison(str(path), how, differences(ours, theirs), beside(figures(ours), figures(theirs)))


def beside(ours: Mapping[str, float | None], theirs: Mapping[str, float | None]) -> dict[str, Ratio]:
    """Return each figure of `ours` with that of `theirs` of the same name and their ratio."""
    return {name: Ratio(mine, theirs.get(name), ratio(mine, theirs.get(name))) for name, mine in ours.items()}


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what makes two reports no fair match, a line each."""
    keys = ("board", "architecture", "cpus", "governor", "system", "kernel")
    pairs = {f"machine: {key}": (ours["machine"].get(key), theirs["machine"].get(key)) for key in keys}
    pairs["emotion-edge"] = ours["emotion_edge"], theirs["emotion_edge"]
    pairs["source"] = _source_in_words(ours["source"]), _source_in_words(theirs["source"])
    pairs["model"] = ours["model"]["sha256"], theirs["model"]["sha256"]
    for part, these, those in (
        ("settings", ours["settings"], theirs["settings"]),
        ("versions", ours["machine"]["versions"], theirs["machine"]["versions"]),
    ):
        pairs |= {f"{part}: {key}": (these.get(key), those.get(key)) for key in (*these, *those)}
    by_rule = tuple(bool(each["classifier"] and each["classifier"]["by_rule"]) for each in (ours, theirs))
    pairs["classifier measured by the rule"] = by_rule[0], by_rule[1]
    pairs["ended early"] = ours["ended_early"], theirs["ended_early"]
    return tuple(f"{name} differs: ours {this}, theirs {that}" for name, (this, that) in pairs.items() if this != that)


def _with_model(path: Path, ours: Classifier, threads: int, rule: Rule, stopped: Stopped) -> Comparison:
    both = in_turn(ours, Classifier(path, threads), rule, stopped)
    if both is None:
        return Comparison(str(path), "not measured, ended early", (), {})
    mine, other = ({f"classifier alone {key}, ms": value for key, value in asdict(each).items()} for each in both)
    how = f"both models in this run, by turns of {BLOCK} queries; the ratio is ours / theirs"
    return Comparison(str(path), how, (), beside(mine, other))


def _report(path: Path, content: bytes) -> dict[str, Any]:
    """Return the report that `content` holds. Raises SettingsError."""
    try:
        found = json.loads(content)
        schema = found["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path}: neither a report nor a .tflite model;{_AGAIN}") from error
    if schema != SCHEMA:
        raise SettingsError(f"{path}: a report of schema {schema!r}, this program reads {SCHEMA}; measure anew")
    try:
        figures(found)
        differences(found, found)
        _ = found["date"]
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: a damaged report ({error});{_AGAIN}") from error
    report: dict[str, Any] = found
    return report


# For people


def text(report: Report) -> str:
    """Return `report` as lines of at most WIDTH characters."""
    parts = [_head(report), _loop_in_words(report), _stages(report.loop), _alone(report.classifier)]
    if report.comparison:
        parts.append(_compared(report.comparison))
    return "\n\n".join("\n".join(part) for part in parts)


def _line(name: str, words: str) -> list[str]:
    blanks = " " * 14
    return textwrap.wrap(words, WIDTH, initial_indent=f"{name:13} ", subsequent_indent=blanks, break_on_hyphens=False)


def _head(report: Report) -> list[str]:
    facts, versions = report.machine, report.machine["versions"]
    known = {
        "Python": versions["python"],
        "numpy": versions["numpy"],
        "OpenCV": versions["opencv"],
        versions["runtime"] or "runtime": versions["runtime_version"],
    }
    told = [f"{key} {value}" for key, value in report.settings.items() if value is not None and key != "sinks"]
    early = ", ended early" * report.ended_early
    made = f"emotion-edge {_or_absent(report.emotion_edge)}, {report.date[:16].replace('T', ' ')} UTC"
    return [
        f"edge benchmark: {made}{early}",
        "",
        *_line("machine", machine.in_words(dict(facts))),
        *_line("versions", ", ".join(f"{name} {_or_absent(value)}" for name, value in known.items())),
        *_line("governor", _or_absent(facts["governor"])),
        *_line("clock", _from_to(report.start.clock_mhz, report.end.clock_mhz, " MHz")),
        *_line("temperature", _from_to(report.start.temperature_c, report.end.temperature_c, " degrees C")),
        *_line("power", _from_to(_power(report.start), _power(report.end))),
        *_line("model", f"{report.model.file} ({report.model.name}), SHA-256 {report.model.sha256}"),
        *_line("source", _source_in_words(asdict(report.source)) + _passes(report.source)),
        *_line("settings", ", ".join([*told, f"sink {' '.join(report.settings['sinks'])}"])),
    ]


def _loop_in_words(report: Report) -> list[str]:
    warm_up, loop, process = report.warm_up, report.loop, report.process
    started = _or_absent(warm_up.first_reading_seconds, ".2f", " s from the start of the process to the first reading")
    if warm_up.first_reading_seconds is None:
        started = "no face was read"
    camera = "not measured" if loop.source_fps is None else f"{loop.source_fps:.1f}"
    resident, peak = (_or_absent(value, ".1f", " MB") for value in (process.resident_mb, process.peak_mb))
    growth = _or_absent(process.growth_mb, "+.1f", " MB")
    return [
        *_line("start-up", started),
        *_line("warm-up", f"{warm_up.seconds:.1f} s, {warm_up.frames} frames, not counted"),
        *_line("loop", f"{loop.seconds:.1f} s, {loop.frames} frames, {loop.faces_per_frame:.2f} faces a frame"),
        *_line("frames/s", f"{loop.fps:.1f} read; the camera's: {camera}; skipped: {loop.skipped_fps:.1f}"),
        *_line("verdict", loop.verdict.words),
        *_line("overhead", f"{loop.overhead:.1%} of the time not waited is neither search nor crop nor classify"),
        *_line("memory", f"{resident} resident, peak {peak}, growth since the warm-up {growth}"),
        *_line("CPU", f"{process.cpu_percent:.0f}% of one core, {_or_absent(process.threads)} threads"),
    ]


def _stages(loop: Loop) -> list[str]:
    lines = [f"{'ms a frame':22} {'mean':>9} {'p50':>9} {'p90':>9} {'p99':>9} {'share of the time':>19}"]
    for stage, taken in loop.stages_ms.items():
        name = "total without wait" if stage == "total" else stage
        lines.append(f"{name:22} {_row(taken)} {loop.shares[stage]:19.1%}")
    lines.append(f"{'age of the picture':22} {_row(loop.age_ms) if loop.age_ms else '  ' + _NO_AGE}")
    return lines


def _alone(alone: Alone | None) -> list[str]:
    if alone is None:
        return ["the classifier alone: not measured, ended early"]
    asked = f"at least {SINGLE_STREAM.queries:,} queries and {SINGLE_STREAM.seconds:g} s, p90"
    rule = (
        f"As MLPerf Mobile's single stream asks: {asked}. One fixed picture, no data set: not an MLPerf result."
        if alone.by_rule
        else f"NOT by MLPerf Mobile's single-stream rule, which asks for {asked}: a first impression only."
    )
    ms = alone.ms
    return [
        f"the classifier alone: p90 {ms.p90:.3f} ms a face (p50 {ms.p50:.3f}, p99 {ms.p99:.3f}, mean {ms.mean:.3f})",
        *textwrap.wrap(f"{alone.queries:,} queries in {alone.seconds:.1f} s. {rule}", WIDTH),
    ]


def _compared(comparison: Comparison) -> list[str]:
    lines = textwrap.wrap(f"compared with {comparison.against}: {comparison.how}", WIDTH)
    for warning in comparison.warnings:
        lines += textwrap.wrap(f"warning: {warning}", WIDTH, subsequent_indent="         ", break_on_hyphens=False)
    lines.append(f"{'':32} {'ours':>12} {'theirs':>12} {'ratio':>8}")
    for name, each in comparison.figures.items():
        ours, theirs = (_or_dash(value, ".3f") for value in (each.ours, each.theirs))
        lines.append(f"{name:32} {ours:>12} {theirs:>12} {_or_dash(each.ratio, '.2f'):>8}")
    return lines


def _row(taken: Spread) -> str:
    return " ".join(f"{value:9.3f}" for value in (taken.mean, taken.p50, taken.p90, taken.p99))


def _source_in_words(source: Mapping[str, Any]) -> str:
    kind = "live" if source["live"] else "read as fast as it can be"
    return f"{source['name']}, {source['width']} x {source['height']} pixels, {kind}"


def _passes(source: Source) -> str:
    return f"; it ended before the time was up and was begun anew, {source.passes} times in all" * (source.passes > 1)


def _power(found: Condition) -> str | None:
    if found.throttling is None:
        return None
    now, since_boot = (", ".join(found.throttling[when]) for when in ("now", "since_boot"))
    return (now or "no throttling") + f" (since boot: {since_boot})" * bool(since_boot)


def _from_to(start: float | str | None, end: float | str | None, unit: str = "") -> str:
    if start is None and end is None:
        return "not available"
    return f"{_or_absent(start, unit=unit)} at the start, {_or_absent(end, unit=unit)} at the end"


def _or_absent(value: object, form: str = "", unit: str = "") -> str:
    return "not available" if value is None else f"{value:{form}}{unit}"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
