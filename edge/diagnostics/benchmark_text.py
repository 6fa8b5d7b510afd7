"""The report of a benchmark as text for a terminal."""

from __future__ import annotations

import textwrap
from typing import Any

from edge.config.models import FAST, packaged_models
from edge.diagnostics.benchmark_report import Comparison, InferenceResult, LoopResult, MachineState, Report
from edge.diagnostics.latency import LatencyStats
from edge.diagnostics.single_stream import SINGLE_STREAM_RULE, SingleStreamResult
from edge.diagnostics.thread_rule import useful_threads
from edge.system import machine

TEXT_WIDTH = 100  # columns
MAX_SKIPPED_FRACTION = 0.05  # of the camera's frames, up to which the loop keeps up
MAX_WAITING_FRACTION = 0.05  # of the faces, up to which inferences do not wait
STAGE_ADVICE = {  # slowest stage -> what makes it faster; of the model see _model_advice
    "crop": "use a smaller image of the camera",
    "detect": "use a larger min_face_size, or a smaller image of the camera",
    "convert": "use a smaller image of the camera, or one that needs no conversion (YUYV)",
    "sinks": "leave out sinks, one at a time (python -m benchmarks.sink_cost)",
    "other": "end other programs, or lower the frame rate (--max-fps)",
}


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
        *_line("inferences", _inferences(loop.inference)),
        *_line("advice", find_advice(report)),
        *_line("overhead", f"{loop.overhead:.1%} of the busy time is not detect, crop or classify"),
        *_line("memory", f"resident {resident}, peak {peak}, growth since the warm-up {growth}"),
        *_line("CPU", f"{process.cpu_percent:.0f}% of one core, {_value(process.threads)} threads"),
    ]


def _inferences(inference: InferenceResult | None) -> str:
    if inference is None:
        return "not available: no face, or images, in which every face is classified"
    return (
        f"{inference.per_second:.1f} per second, {inference.per_face_second:.1f} per face; of the faces in all frames "
        f"{inference.classified:.0%} were classified, {inference.recent:.0%} a moment before, "
        f"{inference.unchanged:.0%} had not changed, {inference.waiting:.0%} waited for time; "
        f"results are {inference.age_ms.p50:.0f} ms old (p90 {inference.age_ms.p90:.0f})"
    )


def find_advice(report: Report) -> str:
    """Return what to change on this board, as a sentence; what to measure where the source sets no pace."""
    loop, inference = report.loop, report.loop.inference
    if loop.source_fps is None:
        return "measure a camera: a file is read as fast as possible, so there is nothing to keep up with"
    keeps_up = loop.skipped_fps <= MAX_SKIPPED_FRACTION * loop.source_fps
    waits = inference is not None and inference.waiting > MAX_WAITING_FRACTION
    if keeps_up and not waits:
        return "nothing to change: the loop keeps up with the camera, and no inference waits"
    problem = "inferences wait for time" if keeps_up else f"{loop.skipped_fps:.1f} frames per second are skipped"
    stage = "classify" if keeps_up else loop.bottleneck.slowest_stage
    cores, threads = report.machine["cpus"], report.settings["threads"]
    advice = _model_advice(report) if stage == "classify" else STAGE_ADVICE.get(stage, STAGE_ADVICE["other"])
    if "image of the camera" in advice:
        advice += f" (now {report.source.width} x {report.source.height})"
    if stage in ("detect", "classify") and cores and threads < (useful := useful_threads(cores)):
        advice += f"; or measure with --threads {useful} (now {threads}, on {cores} cores)"
    return f"{problem}: {advice}"


def _model_advice(report: Report) -> str:
    """Return what makes inferences take less of this board's time."""
    fast = packaged_models().get(FAST)
    if fast is None:
        return "use a smaller model (--model)"
    if report.model.file == fast.name:
        return "lower the frame rate (--max-fps): the model is the smallest"
    return f"use a smaller model (--model {FAST})"


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
