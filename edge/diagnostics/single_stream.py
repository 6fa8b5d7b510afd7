"""Latency of the classifier alone, by the single-stream scenario of MLPerf Mobile.

The next query is sent when the one before it is answered, for at least 1,024 queries and 60 seconds; the result is the
90th percentile of the latencies (mlcommons.org, "MLPerf Inference: Mobile"). The input is one synthetic image, no data
set, so this is no MLPerf result. Each latency takes 8 bytes.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.diagnostics.latency import LatencyStats, latency_stats
from edge.inference.classifier import Classifier
from edge.inference.preprocess import as_rgb

WARM_UP_QUERIES = 20
INTERLEAVED_QUERIES = 32  # of one model in a row, when two models are measured


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When a measurement ends: after at least this many queries and at least this long."""

    min_queries: int
    min_seconds: float


SINGLE_STREAM_RULE = StoppingRule(1024, 60.0)
QUICK_RULE = StoppingRule(100, 2.0)  # for a first impression


@dataclass(frozen=True, slots=True)
class SingleStreamResult:
    """Latency of the classifier alone."""

    queries: int
    seconds: float
    meets_rule: bool  # at least as many queries and as long as SINGLE_STREAM_RULE requires
    latency_ms: LatencyStats


def gray_pattern(size: int) -> NDArray[np.uint8]:
    """Return a (size, size) image of diagonal stripes with all gray levels; its content does not affect the latency."""
    row = np.arange(size)
    pattern: NDArray[np.uint8] = ((7 * row[:, np.newaxis] + 3 * row) % 256).astype(np.uint8)
    return pattern


def make_face(classifier: Classifier) -> NDArray[np.uint8]:
    """Return a `gray_pattern` as `classifier` takes it."""
    pattern = gray_pattern(classifier.card.input_size)
    return as_rgb(pattern) if classifier.uses_color else pattern


def measure_single_stream(
    classifier: Classifier, rule: StoppingRule, stopped: Callable[[], bool] = lambda: False
) -> SingleStreamResult | None:
    """Return the latency of `classifier` for one face; None if `stopped` before the first query."""
    (latencies,), seconds = _run_queries([classifier], rule, 1, stopped)
    if not latencies:
        return None
    required = SINGLE_STREAM_RULE
    meets_rule = len(latencies) >= required.min_queries and seconds >= required.min_seconds
    return SingleStreamResult(len(latencies), seconds, meets_rule, latency_stats(latencies))


def measure_interleaved(
    classifier: Classifier, baseline: Classifier, rule: StoppingRule, stopped: Callable[[], bool] = lambda: False
) -> tuple[LatencyStats, LatencyStats] | None:
    """Return the latencies of two models, measured alternately, so that other load affects both alike.

    Each gets at least `rule.min_queries`, both together take at least `rule.min_seconds`. None if `stopped` before.
    """
    (latencies, baseline_latencies), _ = _run_queries([classifier, baseline], rule, INTERLEAVED_QUERIES, stopped)
    return (latency_stats(latencies), latency_stats(baseline_latencies)) if latencies else None


def _run_queries(
    classifiers: Sequence[Classifier], rule: StoppingRule, block: int, stopped: Callable[[], bool]
) -> tuple[list[array[float]], float]:
    """Return each classifier's latencies in seconds, `block` queries in a row, and the seconds in total."""
    latencies = [array("d") for _ in classifiers]
    runs = [
        (classifier, make_face(classifier), seconds) for classifier, seconds in zip(classifiers, latencies, strict=True)
    ]
    for classifier, face, _ in runs:
        for _ in range(WARM_UP_QUERIES):
            classifier.classify(face)
    begin = time.perf_counter()
    while (len(latencies[0]) < rule.min_queries or time.perf_counter() - begin < rule.min_seconds) and not stopped():
        for classifier, face, seconds in runs:
            for _ in range(block):
                start = time.perf_counter()
                classifier.classify(face)
                seconds.append(time.perf_counter() - start)
        runs.reverse()  # no model is always the first one after a block of the other
    return latencies, time.perf_counter() - begin
