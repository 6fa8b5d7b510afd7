"""Comparison of a benchmark with a baseline: an earlier report, or another model."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.diagnostics.benchmark_report import SCHEMA, Comparison, Difference, Metric, Report, to_json
from edge.diagnostics.single_stream import StoppingRule, measure_interleaved
from edge.errors import EmotionEdgeError, SettingsError, UsageError
from edge.inference.classifier import Classifier
from edge.inference.model_file import MAX_MODEL_BYTES
from edge.system.bounded_read import read_at_most
from edge.system.tflite_verifier import TFLITE_IDENTIFIER

# Facts of a machine that affect its speed.
MACHINE_KEYS = ("board", "architecture", "cpus", "governor", "system", "kernel")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a benchmark is compared to."""

    path: Path
    report: Mapping[str, Any] | None  # None: a model


def load_baseline(path: Path) -> Baseline:
    """Return the report or the model in the file at `path`, checked before minutes of measuring.

    Raises UsageError when it cannot be read, SettingsError or ModelError when it is neither.
    """
    try:
        content = read_at_most(path, MAX_MODEL_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a report or a .tflite model") from error
    if path.suffix == ".tflite" or content[4:8] == TFLITE_IDENTIFIER:
        Classifier(path).warm_up()
        return Baseline(path, None)
    hint = "'edge benchmark --json FILE' writes a report"
    try:
        report = json.loads(content)
        schema = report["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SettingsError(f"{path}: neither a benchmark report nor a .tflite model; {hint}") from error
    if schema != SCHEMA:
        raise SettingsError(f"{path}: report of schema {schema!r}, expected {SCHEMA}; measure again with this version")
    try:
        metrics(report)
        differences(report, report)
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: damaged benchmark report ({error}); {hint}") from error
    return Baseline(path, report)


def compare_to(
    baseline: Baseline, report: Report, classifier: Classifier, rule: StoppingRule, stopped: Callable[[], bool]
) -> Comparison:
    """Return the comparison of `report` with `baseline`; if that is a model, it is measured now, with `classifier`."""
    if baseline.report is not None:
        return compare_to_report(json.loads(to_json(report)), baseline.report, baseline.path)
    _log.info(f"measuring both models interleaved for {rule.min_seconds:g} s")
    return compare_to_model(classifier, baseline.path, report.settings["threads"], rule, stopped)


def compare_to_report(report: Mapping[str, Any], baseline: Mapping[str, Any], path: Path) -> Comparison:
    """Return the comparison of two reports, both as JSON holds them; `baseline` was read from `path`."""
    return Comparison(
        str(path), "report", "", differences(report, baseline), _compare(metrics(report), metrics(baseline))
    )


def compare_to_model(
    classifier: Classifier, path: Path, threads: int, rule: StoppingRule, stopped: Callable[[], bool] = lambda: False
) -> Comparison:
    """Return the comparison of `classifier` with the model at `path`, both measured now; an error is part of it."""
    try:
        latencies = measure_interleaved(classifier, Classifier(path, threads), rule, stopped)
    except EmotionEdgeError as error:  # the file was valid when the run began: the report is not lost
        return Comparison(str(path), "interleaved", str(error), (), {})
    if latencies is None:
        return Comparison(str(path), "interleaved", "interrupted", (), {})
    values, others = ({f"classifier_{key}_ms": value for key, value in asdict(each).items()} for each in latencies)
    return Comparison(str(path), "interleaved", "", (), _compare(values, others))


def metrics(report: Mapping[str, Any]) -> dict[str, float | None]:
    """Return all metrics of a report as JSON holds it. Raises KeyError, TypeError or AttributeError when it is none."""
    loop, single_stream, process = report["loop"], report["classifier"], report["process"]
    found: dict[str, float | None] = {
        "first_result_seconds": report["warm_up"]["first_result_seconds"],
        "fps": loop["fps"],
        "source_fps": loop["source_fps"],
        "skipped_fps": loop["skipped_fps"],
        "faces_per_frame": loop["faces_per_frame"],
    }
    inference = loop.get("inference")  # reports of older versions have none
    for name in ("per_second", "per_face_second"):
        found[f"inferences_{name}"] = inference and inference[name]
    latencies = {**loop["stages_ms"], "end_to_end": loop["end_to_end_ms"]}
    latencies["result_age"] = inference and inference["age_ms"]
    latencies["classifier"] = single_stream and single_stream["latency_ms"]
    for name, stats in latencies.items():
        for key in ("p50", "p90", "p99"):
            found[f"{name}_{key}_ms"] = stats and stats[key]
    found["overhead_percent"] = 100 * loop["overhead"]
    found |= {key: process[key] for key in ("cpu_percent", "resident_mb", "peak_mb", "growth_mb")}
    for name, value in found.items():
        if value is not None and not isinstance(value, int | float):
            raise TypeError(f"{name} is {value!r}, expected a number")
    return found


def differences(report: Mapping[str, Any], baseline: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return the conditions in which two reports, as JSON holds them, differ. Raises as `metrics`."""
    conditions = [_conditions(each) for each in (report, baseline)]
    pairs = {name: tuple(each.get(name) for each in conditions) for name in (conditions[0] | conditions[1])}
    return tuple(Difference(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1])


def _conditions(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what affects the metrics of a report, by name."""
    machine, source, single_stream = report["machine"], report["source"], report["classifier"]
    return {
        **{f"machine.{key}": machine.get(key) for key in MACHINE_KEYS},
        "version": report["version"],
        **{f"source.{key}": source[key] for key in ("name", "live", "width", "height")},
        "model.sha256": report["model"]["sha256"],
        **{f"settings.{key}": value for key, value in report["settings"].items()},
        **{f"versions.{key}": value for key, value in machine["versions"].items()},
        "classifier.meets_rule": bool(single_stream and single_stream["meets_rule"]),
        "interrupted": report["interrupted"],
    }


def _compare(values: Mapping[str, float | None], baseline: Mapping[str, float | None]) -> dict[str, Metric]:
    """Return each of `values` with the one of the same name in `baseline`."""
    compared = {}
    for name, value in values.items():
        other = baseline.get(name)
        compared[name] = Metric(value, other, value / other if value is not None and other else None)
    return compared
