"""What a benchmark found, as plain values: for a file, for people, and beside another one's.

`edge.diagnostics.benchmark` measures it. A comparison is made of reports as JSON holds them, for that is how another machine's
arrives.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edge.errors import SettingsError
from edge.system import machine

SCHEMA = 1  # of the JSON; raised when a reader of older reports would misread a newer one
WIDTH = 100  # columns of the report

_NO_AGE = "not measured: this source is read when it is asked, so that no image waits"
_AGAIN = " 'edge benchmark --json FILE' writes a report"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long the classifier alone is measured: at least so many queries, and at least so long."""

    queries: int
    seconds: float


SINGLE_STREAM = Rule(1024, 60.0)


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
    throttling: Mapping[str, Sequence[str]] | None  # "now" and "since_boot", see edge.system.machine


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
    """What was counted of the loop. `wait` is the time for a frame to come; what makes it gray is `convert`."""

    frames: int
    seconds: float
    fps: float  # frames a second that were read
    source_fps: float | None  # frames a second that the camera gave; None: not measured
    skipped: int  # frames of the source that nobody looked at
    skipped_fps: float
    faces_per_frame: float
    stages_ms: Mapping[str, Spread]  # by the pipeline's names, and `total`: all of a frame but wait
    shares: Mapping[str, float]  # of the loop's time, 0 to 1, by the same names
    # Share of the time not waited that is neither search nor crop nor classify, 0 to 1; the measuring itself left out.
    overhead: float
    age_ms: Spread | None  # from the image's arrival until its labels are out; None: not measured
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
    machine: Mapping[str, Any]  # edge.system.machine.facts at the end
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


# Comparing


def read(path: Path, content: bytes) -> dict[str, Any]:
    """Return the report that `content`, of the file at `path`, holds. Raises SettingsError."""
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


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Return ours / theirs, None where either is missing or theirs is 0."""
    return ours / theirs if ours is not None and theirs else None


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
    lines.append(f"{'age of the image':22} {_row(loop.age_ms) if loop.age_ms else '  ' + _NO_AGE}")
    return lines


def _alone(alone: Alone | None) -> list[str]:
    if alone is None:
        return ["the classifier alone: not measured, ended early"]
    asked = f"at least {SINGLE_STREAM.queries:,} queries and {SINGLE_STREAM.seconds:g} s, p90"
    rule = (
        f"As MLPerf Mobile's single stream asks: {asked}. One fixed image, no data set: not an MLPerf result."
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
