"""A benchmark's report is told whole and within the page, and compared figure by figure with another one."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge.diagnostics.benchmark import rival
from edge.diagnostics.benchmark_report import WIDTH, Condition, Source, ratio, text, with_report
from edge.errors import ModelError, SettingsError, UsageError
from tests.support.benchmarked import STAGES, Clock, as_read, report


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_a_ratio_is_ours_by_theirs_and_missing_where_one_is():
    assert [ratio(*pair) for pair in ((3.0, 2.0), (0.0, 2.0), (None, 2.0), (3.0, None), (3.0, 0.0))] == [
        1.5,
        0.0,
        None,
        None,
        None,
    ]


def test_two_reports_are_compared_figure_by_figure(clock, tmp_path):
    ours, theirs = as_read(report(clock)), as_read(report(clock))
    theirs["loop"]["stages_ms"]["detect"]["p90"] = 10.0
    theirs["loop"]["fps"] = 40.0
    theirs["loop"]["age_ms"] = None
    (tmp_path / "theirs.json").write_text(json.dumps(theirs))
    found = rival(tmp_path / "theirs.json")
    assert found.report == theirs
    comparison = with_report(found.path, theirs, ours)
    assert comparison.warnings == ()
    figures = comparison.figures
    assert {name.split(" p")[0] for name in figures if " p90, ms" in name} == {
        *STAGES,
        "sinks",
        "total",
        "age",
        "classifier alone",
    }
    assert asdict(figures["search p90, ms"]) == pytest.approx({"ours": 20.0, "theirs": 10.0, "ratio": 2.0})
    assert figures["frames a second"].ratio == pytest.approx(0.25)
    assert figures["age p50, ms"].ratio is None
    assert figures["classifier alone p90, ms"].ratio == 1.0


def test_what_makes_two_reports_no_fair_match_is_warned_of(clock, tmp_path):
    ours, theirs = as_read(report(clock)), as_read(report(clock))
    theirs["machine"]["board"] = "Raspberry Pi 5 Model B Rev 1.0"
    theirs["machine"]["versions"]["opencv"] = "0.9"
    theirs["source"]["name"] = "picamera"
    theirs["model"]["sha256"] = "cd" * 32
    theirs["settings"]["threads"] = 4
    theirs["classifier"]["by_rule"] = False
    warnings = with_report(tmp_path, theirs, ours).warnings
    assert [warning.split(" differs: ")[0] for warning in warnings] == [
        "machine: board",
        "source",
        "model",
        "settings: threads",
        "versions: opencv",
        "classifier measured by the rule",
    ]
    assert "settings: threads differs: ours 1, theirs 4" in warnings


def test_what_is_no_report_and_no_model_is_refused_before_anything_is_measured(clock, tmp_path):
    good, path = as_read(report(clock)), tmp_path / "theirs.json"

    def refused(content, error, words):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(error, match=words):
            rival(path)

    refused("no json", SettingsError, "neither a report nor a .tflite model")
    refused("[1, 2]", SettingsError, "neither a report nor a .tflite model")
    refused({**good, "schema": 2}, SettingsError, "a report of schema 2, this program reads 1")
    refused({**good, "loop": {**good["loop"], "fps": "many"}}, SettingsError, "damaged report .*'many'")
    refused({key: good[key] for key in good if key != "process"}, SettingsError, "damaged report .*'process'")
    refused("....TFL3", ModelError, "without a card")
    with pytest.raises(UsageError, match=r"cannot be read \(No such file or directory\); name a report"):
        rival(tmp_path / "nothing.json")


# For people


def test_the_report_names_what_the_machine_does_not_tell(clock):
    lines = text(report(clock)).splitlines()
    for name in ("governor", "clock", "temperature", "power"):
        assert f"{name:13} not available" in lines


def test_the_report_tells_warmth_and_power_at_start_and_end(clock):
    throttled = {"now": ["throttled"], "since_boot": ["under-voltage", "throttled"]}
    warm = report(clock, start=Condition(48.5, 1500.0, None), end=Condition(81.0, None, throttled))
    said = " ".join(text(warm).split())
    assert "48.5 degrees C at the start, 81.0 degrees C at the end" in said
    assert "1500.0 MHz at the start, not available at the end" in said
    assert "power not available at the start, throttled (since boot: under-voltage, throttled) at the end" in said


def test_no_line_is_longer_than_the_page(clock, tmp_path):
    long = report(clock, source=Source("a/" * 60 + "clip.mp4", False, 640, 480, 3), ended_early=True)
    theirs = as_read(replace(long, source=replace(long.source, name="usb:0")))
    long = replace(long, comparison=with_report(Path("b/" * 60 + "theirs.json"), theirs, as_read(long)))
    lines = text(long).splitlines()
    assert max(len(line) for line in lines) <= WIDTH
    assert lines[0].endswith(", ended early")
