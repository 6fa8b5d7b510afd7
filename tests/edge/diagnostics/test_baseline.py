"""A benchmark is compared with a report or with a model, metric by metric, and bad baselines are refused at once."""

import json
from dataclasses import asdict

import pytest

from edge.config.models import shipped_model
from edge.diagnostics import single_stream
from edge.diagnostics.baseline import compare_to_model, compare_to_report, load_baseline
from edge.diagnostics.benchmark_report import SCHEMA
from edge.diagnostics.single_stream import StoppingRule
from edge.errors import ModelError, SettingsError, UsageError
from edge.inference import model_file
from edge.pipeline import STAGES
from tests.support.benchmark_reports import BenchmarkClock, make_report, parsed


@pytest.fixture
def clock(monkeypatch):
    return BenchmarkClock(monkeypatch)


def test_two_reports_are_compared_metric_by_metric(clock, tmp_path):
    report, baseline = parsed(make_report(clock)), parsed(make_report(clock))
    baseline["loop"]["stages_ms"]["detect"]["p90"] = 10.0
    baseline["loop"]["fps"] = 40.0
    baseline["loop"]["skipped_fps"] = 0.0
    baseline["loop"]["end_to_end_ms"] = None
    (tmp_path / "baseline.json").write_text(json.dumps(baseline))
    loaded = load_baseline(tmp_path / "baseline.json")
    assert loaded.report == baseline
    comparison = compare_to_report(report, baseline, loaded.path)
    assert (comparison.method, comparison.differences) == ("report", ())
    metrics = comparison.metrics
    latencies = {name.removesuffix("_p90_ms") for name in metrics if name.endswith("_p90_ms")}
    assert latencies == {*STAGES, "sinks", "total", "end_to_end", "result_age", "classifier"}
    assert asdict(metrics["detect_p90_ms"]) == pytest.approx({"value": 20.0, "baseline": 10.0, "ratio": 2.0})
    assert metrics["fps"].ratio == pytest.approx(0.25)
    assert metrics["classifier_p90_ms"].ratio == 1.0
    assert metrics["end_to_end_p50_ms"].ratio is None  # the baseline lacks it
    assert metrics["skipped_fps"].ratio is None  # the baseline is 0


def test_a_report_from_before_inferences_were_counted_is_read(clock, tmp_path):
    report, baseline = parsed(make_report(clock)), parsed(make_report(clock))
    del baseline["loop"]["inference"]
    (tmp_path / "baseline.json").write_text(json.dumps(baseline))
    loaded = load_baseline(tmp_path / "baseline.json")
    assert loaded.report
    metrics = compare_to_report(report, loaded.report, loaded.path).metrics
    assert metrics["inferences_per_second"].value == pytest.approx(10 / 3, rel=0.02)
    assert metrics["inferences_per_second"].baseline is metrics["result_age_p90_ms"].baseline is None


def test_conditions_in_which_two_reports_differ_are_listed(clock, tmp_path):
    report, baseline = parsed(make_report(clock)), parsed(make_report(clock))
    baseline["machine"]["board"] = "Raspberry Pi 5 Model B Rev 1.0"
    baseline["machine"]["versions"]["opencv"] = "0.9"
    baseline["source"]["name"] = "picamera"
    baseline["model"]["sha256"] = "cd" * 32
    baseline["settings"]["threads"] = 4
    baseline["classifier"]["meets_rule"] = False
    differences = compare_to_report(report, baseline, tmp_path).differences
    assert [each.name for each in differences] == [
        "machine.board",
        "source.name",
        "model.sha256",
        "settings.threads",
        "versions.opencv",
        "classifier.meets_rule",
    ]
    assert (differences[3].value, differences[3].baseline) == (1, 4)


def test_a_baseline_that_is_no_report_and_no_model_is_refused(clock, tmp_path):
    report, path = parsed(make_report(clock)), tmp_path / "baseline.json"

    def assert_refused(content, error, words):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(error, match=words):
            load_baseline(path)

    assert_refused("no json", SettingsError, "neither")
    assert_refused("[1, 2]", SettingsError, "neither")
    assert_refused({**report, "schema": 1}, SettingsError, f"schema 1, expected {SCHEMA}")
    assert_refused({**report, "loop": {**report["loop"], "fps": "many"}}, SettingsError, "damaged .*'many'")
    assert_refused({key: report[key] for key in report if key != "process"}, SettingsError, "damaged .*'process'")
    assert_refused("....TFL3", ModelError, "without a card")
    with pytest.raises(UsageError, match="No such file"):
        load_baseline(tmp_path / "nothing.json")


def test_two_models_are_measured_in_one_run(classifier, monkeypatch):
    monkeypatch.setattr(single_stream, "INTERLEAVED_QUERIES", 2)
    comparison = compare_to_model(classifier, shipped_model(), 1, StoppingRule(4, 0.0))
    assert (comparison.method, comparison.error) == ("interleaved", "")
    assert set(comparison.metrics) == {f"classifier_{key}_ms" for key in ("mean", "p50", "p90", "p99")}
    assert all(metric.ratio and metric.ratio > 0 for metric in comparison.metrics.values())


def test_an_interrupted_comparison_of_models_has_no_metrics(classifier):
    comparison = compare_to_model(classifier, shipped_model(), 1, StoppingRule(4, 0.0), lambda: True)
    assert (comparison.error, comparison.metrics) == ("interrupted", {})


@pytest.fixture
def broken(tmp_path):
    """A model file with a valid card whose model is cut off."""
    model, card = model_file.load(shipped_model())
    model_file.attach(model[:8], card, tmp_path / "broken.tflite")
    return tmp_path / "broken.tflite"


def test_a_broken_model_is_refused_before_the_measurement(broken):
    with pytest.raises(ModelError, match=r"broken\.tflite"):
        load_baseline(broken)


def test_a_model_that_breaks_meanwhile_does_not_lose_the_report(broken, classifier):
    comparison = compare_to_model(classifier, broken, 1, StoppingRule(4, 0.0))
    assert "broken.tflite" in comparison.error
    assert comparison.metrics == {}
