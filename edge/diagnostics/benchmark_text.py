"""The report of a benchmark as text for a terminal."""

from __future__ import annotations

import textwrap
from typing import Any

from edge.diagnostics.benchmark_report import Comparison, LoopResult, MachineState, Report
from edge.diagnostics.latency import LatencyStats
from edge.diagnostics.single_stream import SINGLE_STREAM_RULE, SingleStreamResult
from edge.system import machine

TEXT_WIDTH = 100  # columns


def text(report: Report) -> str:
    """Return `report` as lines of at most TEXT_WIDTH columns."""
    sections = [_conditions(report), _loop(report), _stage_table(report.loop), _single_stream(report.classifier)]
    if report.comparison:
        sections.append(_comparison(report.comparison))
    return "\n\n".join("\n".join(section) for section in sections)


def _line(name: str, content: str) -> list[str]:
    """Return `content` behind its name, wrapped."""
    indent = " " * 14
    return textwrap.wrap(
        content, TEXT_WIDTH, initial_indent=f"{name:13} ", subsequent_indent=indent, break_on_hyphens=False
    )


def _conditions(report: Report) -> list[str]:
    versions, source = report.machine["versions"], report.source
    software = {
        "Python": versions["python"],
        "NumPy": versions["numpy"],
        "OpenCV": versions["opencv"],
        versions["runtime"] or "runtime": versions["runtime_version"],
    }
    settings = [f"{name} {value}" for name, value in report.settings.items() if value is not None and name != "sinks"]
    kind = "live" if source.live else "read as fast as possible"
    passes = f", repeated: {source.passes} passes" * (source.passes > 1)
    created = report.date[:16].replace("T", " ")
    start, end = report.state_at_start, report.state_at_end
    return [
        f"edge benchmark: emotion-edge {report.version}, {created} UTC" + ", interrupted" * report.interrupted,
        "",
        *_line("machine", machine.describe(dict(report.machine))),
        *_line("versions", ", ".join(f"{name} {_value(version)}" for name, version in software.items())),
        *_line("governor", _value(report.machine["governor"])),
        *_line("clock", _start_to_end(start.clock_mhz, end.clock_mhz, " MHz")),
        *_line("temperature", _start_to_end(start.temperature_c, end.temperature_c, " °C")),
        *_line("throttling", _start_to_end(_throttling(start), _throttling(end))),
        *_line("model", f"{report.model.file} ({report.model.name}), SHA-256 {report.model.sha256}"),
        *_line("source", f"{source.name}, {source.width} x {source.height} pixels, {kind}{passes}"),
        *_line("settings", ", ".join([*settings, f"sinks {' '.join(report.settings['sinks'])}"])),
    ]


def _loop(report: Report) -> list[str]:
    warm_up, loop, process = report.warm_up, report.loop, report.process
    first_result = _value(warm_up.first_result_seconds, ".2f", " s after the start of the process")
    if warm_up.first_result_seconds is None:
        first_result = "no face was detected"
    rates = [f"processed {loop.fps:.1f}", f"camera {_value(loop.source_fps, '.1f')}", f"skipped {loop.skipped_fps:.1f}"]
    resident, peak = (_value(value, ".1f", " MB") for value in (process.resident_mb, process.peak_mb))
    growth = _value(process.growth_mb, "+.1f", " MB")
    slowest, fractions = loop.bottleneck.slowest_stage, loop.stage_fractions
    bottleneck = (
        f"{loop.bottleneck.bound_by}: the loop waits {fractions['capture']:.0%} of the time for "
        f"{'the camera' if report.source.live else 'the source'}; "
        f"{slowest} takes {fractions[slowest] / max(fractions['total'], 1e-9):.0%} of the busy time"
    )
    return [
        *_line("first result", first_result),
        *_line("warm-up", f"{warm_up.seconds:.1f} s, {warm_up.frames} frames, not measured"),
        *_line("loop", f"{loop.seconds:.1f} s, {loop.frames} frames, {loop.faces_per_frame:.2f} faces per frame"),
        *_line("frames/s", ", ".join(rates)),
        *_line("bottleneck", bottleneck),
        *_line("overhead", f"{loop.overhead:.1%} of the busy time is not detect, crop or classify"),
        *_line("memory", f"resident {resident}, peak {peak}, growth since the warm-up {growth}"),
        *_line("CPU", f"{process.cpu_percent:.0f}% of one core, {_value(process.threads)} threads"),
    ]


def _stage_table(loop: LoopResult) -> list[str]:
    lines = [f"{'ms per frame':22} {'mean':>9} {'p50':>9} {'p90':>9} {'p99':>9} {'fraction of time':>17}"]
    for stage, stats in loop.stages_ms.items():
        name = "total without capture" if stage == "total" else stage
        lines.append(f"{name:22} {_row(stats)} {loop.stage_fractions[stage]:17.1%}")
    end_to_end = _row(loop.end_to_end_ms) if loop.end_to_end_ms else "  not measured: the source is not live"
    return [*lines, f"{'end to end':22} {end_to_end}"]


def _row(stats: LatencyStats) -> str:
    return " ".join(f"{value:9.3f}" for value in (stats.mean, stats.p50, stats.p90, stats.p99))


def _single_stream(result: SingleStreamResult | None) -> list[str]:
    if result is None:
        return ["classifier alone: not measured, interrupted"]
    rule = (
        f"MLPerf Mobile's single-stream rule (at least {SINGLE_STREAM_RULE.min_queries:,} queries and "
        f"{SINGLE_STREAM_RULE.min_seconds:g} s)"
    )
    note = (
        f"Follows {rule}, with one synthetic image and no data set: not an MLPerf result."
        if result.meets_rule
        else f"Does NOT follow {rule}: a first impression."
    )
    ms = result.latency_ms
    return [
        f"classifier alone: p90 {ms.p90:.3f} ms per face (p50 {ms.p50:.3f}, p99 {ms.p99:.3f}, mean {ms.mean:.3f})",
        *textwrap.wrap(f"{result.queries:,} queries in {result.seconds:.1f} s. {note}", TEXT_WIDTH),
    ]


def _comparison(comparison: Comparison) -> list[str]:
    interleaved = comparison.method == "interleaved"
    how = (
        "both models measured interleaved; first result and peak memory include loading the baseline"
        if interleaved
        else ""
    )
    title = ": ".join(filter(None, [f"baseline {comparison.baseline}", comparison.error or how]))
    lines = textwrap.wrap(title, TEXT_WIDTH, break_on_hyphens=False)
    for difference in comparison.differences:
        warning = f"warning: {difference.name} is {difference.value}, of the baseline {difference.baseline}"
        lines += textwrap.wrap(warning, TEXT_WIDTH, subsequent_indent=" " * 9, break_on_hyphens=False)
    if comparison.metrics:
        lines.append(f"{'metric':32} {'value':>12} {'baseline':>12} {'ratio':>8}")
    for name, metric in comparison.metrics.items():
        value, baseline, ratio = (
            "-" if number is None else f"{number:{form}}"
            for number, form in ((metric.value, ".3f"), (metric.baseline, ".3f"), (metric.ratio, ".2f"))
        )
        lines.append(f"{name:32} {value:>12} {baseline:>12} {ratio:>8}")
    return lines


def _throttling(state: MachineState) -> str | None:
    if state.throttling is None:
        return None
    now, since_boot = (", ".join(state.throttling[when]) for when in ("now", "since_boot"))
    return (now or "none") + f" (since boot: {since_boot})" * bool(since_boot)


def _start_to_end(start: Any, end: Any, unit: str = "") -> str:
    if start is None and end is None:
        return "not available"
    return f"{_value(start, unit=unit)} at the start, {_value(end, unit=unit)} at the end"


def _value(value: Any, form: str = "", unit: str = "") -> str:
    return "not available" if value is None else f"{value:{form}}{unit}"
