"""The text of a benchmark's report is complete and fits the terminal."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.diagnostics import benchmark_text
from edge.diagnostics.baseline import compare_to_report
from edge.diagnostics.benchmark_report import Bottleneck, Comparison, MachineState, Source
from edge.diagnostics.benchmark_text import TEXT_WIDTH, text
from edge.diagnostics.latency import LatencyStats
from edge.diagnostics.single_stream import SingleStreamResult
from tests.support.benchmark_reports import BenchmarkClock, make_report, parsed

EMOTION, FAST = Path("models/emotion.tflite"), Path("models/fast.tflite")
SKIPPED = "9.0 frames per second are skipped: use"


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


def with_loop(report, **changes):
    """Return `report` with other measurements of the loop; `waiting` is that of its inferences."""
    waiting = changes.pop("waiting", 0.0)
    inference = replace(report.loop.inference, waiting=waiting)
    return replace(report, loop=replace(report.loop, inference=inference, **changes))


def test_inferences_have_their_rate_fractions_and_age(clock):
    shown = value(with_loop(make_report(clock), waiting=0.05), "inferences")
    assert shown.startswith("3.4 per second, 3.4 per face")
    for part in ("34% were classified", "66% had not changed", "5% waited", "100 ms old (p90 200)"):
        assert part in shown
    report = make_report(clock)
    assert "not available" in value(replace(report, loop=replace(report.loop, inference=None)), "inferences")


@pytest.mark.parametrize(
    ("changes", "settings", "advice"),
    [
        ({}, {}, "nothing to change"),
        (
            {"waiting": 0.2},
            {},
            "inferences wait for time: use a smaller model (--model fast); or measure with --threads 2 (now 1, on 4 co",
        ),
        ({"waiting": 0.2}, {"threads": 2}, "inferences wait for time: use a smaller model (--model fast)"),
        (
            {"skipped_fps": 9.0},
            {},
            f"{SKIPPED} a larger min_face_size, or a smaller image of the camera (now 640 x 480); or",
        ),
        (
            {"skipped_fps": 9.0},
            {"threads": 2},
            f"{SKIPPED} a larger min_face_size, or a smaller image of the camera (now",
        ),
        ({"skipped_fps": 9.0, "bottleneck": Bottleneck("compute", "convert")}, {}, f"{SKIPPED} a smaller image of the"),
        ({"skipped_fps": 9.0, "bottleneck": Bottleneck("compute", "classify")}, {}, f"{SKIPPED} a smaller model"),
        (
            {"skipped_fps": 9.0, "bottleneck": Bottleneck("compute", "sinks")},
            {},
            "9.0 frames per second are skipped: leave",
        ),
        (
            {"skipped_fps": 9.0, "bottleneck": Bottleneck("compute", "smooth")},
            {},
            "9.0 frames per second are skipped: end",
        ),
        ({"source_fps": None}, {}, "measure a camera"),
    ],
    ids=[
        "keeps up",
        "inferences wait",
        "no more threads",
        "search is slow",
        "search is slow with two threads",
        "conversion is slow",
        "model is slow",
        "sinks are slow",
        "other",
        "file",
    ],
)
def test_advice_names_what_to_change_on_this_board(clock, monkeypatch, changes, settings, advice):
    monkeypatch.setattr(benchmark_text, "packaged_models", lambda: {"emotion": EMOTION, "fast": FAST})
    report = with_loop(make_report(clock), **{"source_fps": 30.0, **changes})
    shown = value(replace(report, settings={**report.settings, **settings}), "advice")
    assert shown.startswith(advice)
    assert ("--threads 2" in shown) == ("(now 1, on 4 cores)" in shown)


@pytest.mark.parametrize(
    ("model", "packaged", "advice"),
    [
        ("emotion.tflite", {"emotion": EMOTION, "fast": FAST}, "use a smaller model (--model fast)"),
        ("own.tflite", {"emotion": EMOTION, "fast": FAST}, "use a smaller model (--model fast)"),
        ("fast.tflite", {"emotion": EMOTION, "fast": FAST}, "lower the frame rate (--max-fps)"),
        ("emotion.tflite", {"emotion": EMOTION}, "use a smaller model (--model)"),
    ],
)
def test_advice_for_slow_inferences_depends_on_the_model(clock, monkeypatch, model, packaged, advice):
    monkeypatch.setattr(benchmark_text, "packaged_models", lambda: packaged)
    report = with_loop(make_report(clock), source_fps=30.0, waiting=0.2)
    shown = value(replace(report, model=replace(report.model, file=model)), "advice")
    assert shown.startswith(f"inferences wait for time: {advice}")


def test_advice_without_inferences_is_about_frames(clock):
    report = make_report(clock)
    idle = replace(report, loop=replace(report.loop, inference=None))
    assert value(idle, "advice").startswith("nothing to change")


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
