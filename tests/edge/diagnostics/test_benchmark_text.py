"""The text of a benchmark's report is complete and fits the terminal."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.diagnostics.baseline import compare_to_report
from edge.diagnostics.benchmark_report import Bottleneck, Comparison, MachineState, Source
from edge.diagnostics.benchmark_text import TEXT_WIDTH, text
from edge.diagnostics.latency import LatencyStats
from edge.diagnostics.single_stream import SingleStreamResult
from tests.support.benchmark_reports import BenchmarkClock, make_report, parsed


@pytest.fixture
def clock(monkeypatch):
    return BenchmarkClock(monkeypatch)


def words(report):
    """Return the text of `report` without its line breaks."""
    return " ".join(text(report).split())


def value(report, name):
    """Return what the text of `report` has behind `name`, up to the next name."""
    lines = text(report).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{name} "))
    end = next(number for number in range(start + 1, len(lines)) if not lines[number].startswith(" " * 14))
    return " ".join(" ".join(lines[start:end]).removeprefix(name).split())


def test_facts_that_a_machine_lacks_are_not_available(clock):
    report = make_report(clock)
    for name in ("governor", "clock", "temperature", "throttling"):
        assert value(report, name) == "not available"


def test_temperature_and_throttling_are_shown_at_start_and_end(clock):
    throttling = {"now": ["throttled"], "since_boot": ["under-voltage", "throttled"]}
    end = MachineState(81.0, None, throttling)
    report = make_report(clock, state_at_start=MachineState(48.5, 1500.0, None), state_at_end=end)
    assert value(report, "temperature") == "48.5 °C at the start, 81.0 °C at the end"
    assert value(report, "clock") == "1500.0 MHz at the start, not available at the end"
    assert value(report, "throttling").endswith("throttled (since boot: under-voltage, throttled) at the end")


@pytest.mark.parametrize(("live", "waits_for"), [(True, "camera"), (False, "source")])
def test_the_bottleneck_names_its_fractions_and_stage(clock, live, waits_for):
    shown = value(make_report(clock, live=live), "bottleneck")
    assert shown.startswith("camera: ")
    assert f"60% of the time for the {waits_for}" in shown
    assert "detect takes 50% of the busy time" in shown
    report = make_report(clock)
    compute = replace(report, loop=replace(report.loop, bottleneck=Bottleneck("compute", "classify")))
    assert value(compute, "bottleneck").startswith("compute: ")


def test_a_source_that_waits_has_no_end_to_end_time(clock):
    line = next(line for line in text(make_report(clock, live=False)).splitlines() if line.startswith("end to end"))
    assert "not measured" in line


def test_a_quick_measurement_is_marked_as_against_the_rule(clock):
    quick = SingleStreamResult(2048, 2.0, False, LatencyStats(0.5, 0.4, 0.6, 0.9))
    assert "Does NOT follow MLPerf Mobile's single-stream rule" in words(make_report(clock, classifier=quick))


def test_a_measurement_by_the_rule_is_no_mlperf_result(clock):
    shown = words(make_report(clock))
    assert "classifier alone: p90 0.600 ms per face (p50 0.400, p99 0.900, mean 0.500)" in shown
    assert "1,024 queries and 60 s" in shown
    assert "not an MLPerf result" in shown
    assert "NOT follow" not in shown


def test_an_interrupted_measurement_of_the_classifier_is_marked(clock):
    assert "classifier alone: not measured, interrupted" in words(make_report(clock, classifier=None))


def test_a_comparison_that_failed_shows_its_error(clock):
    comparison = Comparison("other.tflite", "interleaved", "cannot be read", (), {})
    assert text(make_report(clock, comparison=comparison)).endswith("baseline other.tflite: cannot be read")


def test_no_line_is_wider_than_the_page(clock):
    source = Source("a/" * 60 + "clip.mp4", False, 640, 480, 3)
    report = make_report(clock, source=source, interrupted=True)
    baseline = parsed(replace(report, source=replace(source, name="usb:0")))
    comparison = compare_to_report(parsed(report), baseline, Path("b/" * 60 + "baseline.json"))
    lines = text(replace(report, comparison=comparison)).splitlines()
    assert max(len(line) for line in lines) <= TEXT_WIDTH
    assert lines[0].endswith(", interrupted")
    assert any(line.startswith("warning: source.name") for line in lines)
