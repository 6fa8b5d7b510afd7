"""The classifier alone is measured by MLPerf's single-stream rule, two classifiers alternately."""

import numpy as np
import pytest

from edge.diagnostics.single_stream import (
    INTERLEAVED_QUERIES,
    QUICK_RULE,
    SINGLE_STREAM_RULE,
    WARM_UP_QUERIES,
    StoppingRule,
    gray_pattern,
    measure_interleaved,
    measure_single_stream,
)
from tests.support.benchmark_reports import BenchmarkClock, slow_classifier


@pytest.fixture
def clock(monkeypatch):
    return BenchmarkClock(monkeypatch)


@pytest.mark.parametrize(
    ("latency", "queries", "seconds"),
    [(0.1, 1024, 102.4), (0.01, 6000, 60.0), (0.0625, 1024, 64.0), (0.03125, 1920, 60.0)],
)
def test_the_rule_needs_1024_queries_and_60_seconds(clock, latency, queries, seconds):
    result = measure_single_stream(slow_classifier(clock, latency), SINGLE_STREAM_RULE)
    assert result
    assert result.meets_rule
    assert result.queries == pytest.approx(queries, abs=1)  # sums of hundredths are not exact
    assert result.seconds == pytest.approx(seconds, abs=0.02)
    stats = result.latency_ms
    assert (stats.p50, stats.p90, stats.p99, stats.mean) == pytest.approx((1000 * latency,) * 4)


def test_a_quick_measurement_does_not_meet_the_rule(clock):
    result = measure_single_stream(slow_classifier(clock, 1 / 1024), QUICK_RULE)
    assert result
    assert (result.queries, result.meets_rule) == (2048, False)  # enough queries, but too short


def test_stopped_before_the_first_query_there_is_no_result(clock):
    assert measure_single_stream(slow_classifier(clock, 1.0), QUICK_RULE, stopped=lambda: True) is None
    pair = slow_classifier(clock, 1.0), slow_classifier(clock, 1.0)
    assert measure_interleaved(*pair, QUICK_RULE, stopped=lambda: True) is None


def test_two_models_are_measured_alternately_and_equally_often(clock):
    order = []

    def recorded(name, seconds):
        model = slow_classifier(clock, seconds)
        classify = model.classify

        def record(face):
            order.append(name)
            classify(face)

        model.classify = record
        return model

    stats = measure_interleaved(recorded("a", 0.002), recorded("b", 0.001), StoppingRule(200, 0.0))
    assert stats
    assert [each.p90 for each in stats] == pytest.approx([2.0, 1.0])
    blocks = "".join(order[2 * WARM_UP_QUERIES :: INTERLEAVED_QUERIES])
    assert blocks == "abba" * 3 + "ab"  # 7 blocks of each


def test_the_pattern_has_all_gray_levels_and_is_always_the_same():
    pattern = gray_pattern(128)
    assert pattern.shape == (128, 128)
    assert pattern.dtype == np.uint8
    assert set(np.unique(pattern)) == set(range(256))
    assert (pattern == gray_pattern(128)).all()
