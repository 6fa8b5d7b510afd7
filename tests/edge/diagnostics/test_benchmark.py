"""`edge benchmark`: the report of real runs, and one line for bad input."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.capture import registry as cameras
from edge.cli import app
from edge.config.models import shipped_model
from edge.diagnostics import benchmark
from edge.diagnostics.benchmark_report import SCHEMA
from edge.diagnostics.benchmark_text import TEXT_WIDTH
from edge.errors import EmotionEdgeError
from edge.pipeline import STAGES
from edge.system import machine
from tests.support.commands import EDGE, run_edge

REPORT_KEYS = {
    "schema",
    "version",
    "date",
    "interrupted",
    "source",
    "model",
    "settings",
    "machine",
    "state_at_start",
    "state_at_end",
    "warm_up",
    "loop",
    "process",
    "classifier",
    "comparison",
}


@pytest.fixture(scope="module")
def live_run(tmp_path_factory):
    """A short run on the live synthetic camera: the finished process, and its report."""
    path = tmp_path_factory.mktemp("report") / "new" / "a.json"
    begin = time.monotonic()
    result = run_edge("benchmark", "synthetic", "--duration", 1, "--quick", "--json", path)
    assert result.returncode == 0, result.stderr
    seconds = time.monotonic() - begin
    return SimpleNamespace(result=result, path=path, report=json.loads(path.read_text()), seconds=seconds)


@pytest.fixture(scope="module")
def video_run(live_run, tmp_path_factory):
    """A run on a video that is shorter than the duration, compared with `live_run`, with a frame rate out of reach."""
    folder = tmp_path_factory.mktemp("video")
    writer = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for level in range(6):
        writer.write(np.full((120, 160, 3), 40 * level, np.uint8))
    writer.release()
    result = run_edge(
        *("benchmark", "clip.avi", "--duration", 0.5, "--quick", "--json", "b.json"),
        *("--compare", live_run.path, "--min-fps", 1e6),
        cwd=folder,
    )
    return SimpleNamespace(result=result, report=json.loads((folder / "b.json").read_text()))


def test_the_report_is_complete_and_of_this_machine_and_model(live_run):
    report = live_run.report
    assert set(report) == REPORT_KEYS
    assert report["schema"] == SCHEMA
    assert report["date"].endswith("+00:00")
    assert report["model"]["sha256"] == hashlib.sha256(shipped_model().read_bytes()).hexdigest()
    assert report["machine"]["kernel"] == machine.facts()["kernel"]
    assert report["machine"]["versions"]["numpy"] == np.__version__
    assert report["settings"]["threads"] == 1
    assert report["source"] == {"name": "synthetic", "live": True, "width": 640, "height": 480, "passes": 1}
    assert not report["interrupted"]
    assert not list(live_run.path.parent.glob(".part*"))


def test_a_live_run_measures_stages_classifier_and_memory(live_run):
    loop, classifier, process = (live_run.report[key] for key in ("loop", "classifier", "process"))
    assert set(loop["stages_ms"]) == {*STAGES, "sinks", "total"}
    assert loop["seconds"] > 0.5  # the duration, less what passed after the last frame
    assert loop["fps"] == pytest.approx(loop["frames"] / loop["seconds"])
    assert loop["frames"] >= 1
    assert loop["source_fps"] > 0
    assert loop["stages_ms"]["detect"]["p99"] > 0
    assert loop["end_to_end_ms"]["p50"] > 0
    fractions = loop["stage_fractions"]
    assert sum(fractions[stage] for stage in (*STAGES, "sinks")) == pytest.approx(
        fractions["total"] + fractions["capture"]
    )
    assert (classifier["queries"] >= 100, classifier["seconds"] >= 2, classifier["meets_rule"]) == (True, True, False)
    latency = classifier["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
    assert process["peak_mb"] >= process["resident_mb"] > 10
    assert process["threads"] >= 2  # the camera's own
    assert 0 < live_run.report["warm_up"]["first_result_seconds"] < live_run.seconds
    assert live_run.report["warm_up"]["seconds"] >= 2


def test_the_report_is_on_stdout_and_the_progress_on_stderr(live_run):
    lines = live_run.result.stdout.splitlines()
    assert lines[0].startswith("edge benchmark: ")
    assert max(len(line) for line in lines) <= TEXT_WIDTH
    assert {*STAGES, "sinks", "total"} <= {line.split(" ")[0] for line in lines}
    assert [line.split()[0] for line in live_run.result.stderr.splitlines()] == ["measuring", "measuring"]


def test_a_short_video_is_repeated_until_the_duration_has_passed(video_run):
    report = video_run.report
    assert report["source"]["passes"] >= 2
    assert report["loop"]["skipped"] == 0  # indices continue from pass to pass
    assert (report["loop"]["end_to_end_ms"], report["warm_up"]["first_result_seconds"]) == (None, None)
    words = " ".join(video_run.result.stdout.split())
    assert f"{report['source']['passes']} passes" in words
    assert "no face was detected" in words


def test_a_run_is_compared_with_a_report_and_its_conditions(video_run, live_run):
    comparison = video_run.report["comparison"]
    assert comparison["metrics"]["fps"]["baseline"] == live_run.report["loop"]["fps"]
    names = [difference["name"] for difference in comparison["differences"]]
    assert names == ["source.name", "source.live", "source.width", "source.height", "settings.duration"]
    assert "warning: source.name is clip.avi" in video_run.result.stdout


def test_too_low_a_frame_rate_is_status_1_after_the_report(video_run):
    assert video_run.result.returncode == 1
    assert video_run.result.stderr.splitlines()[-1].startswith("edge: error: ")
    assert "1e+06" in video_run.result.stderr
    assert "classifier alone: p90" in video_run.result.stdout


def test_ctrl_c_ends_the_measurement_with_a_report(tmp_path):
    command = [EDGE, "benchmark", "synthetic", "--duration", "600", "--json", str(tmp_path / "early.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            assert process.stderr.readline().startswith("measuring the loop")  # when a frame has been measured
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert output.splitlines()[0].endswith(", interrupted")
    assert "classifier alone: not measured" in output
    report = json.loads((tmp_path / "early.json").read_text())
    assert (report["interrupted"], report["classifier"]) == (True, None)
    assert report["loop"]["frames"] >= 1


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nothing.mp4",), 2, "nothing.mp4"),
        (("synthetic", "--compare", "nothing.json"), 2, "nothing.json"),
        (("synthetic", "--compare", "notes.txt"), 78, "notes.txt"),
        (("synthetic", "--duration", "0"), 78, "duration is 0.0"),
        (("synthetic", "--json", "notes.txt"), 2, "--json notes.txt: the file exists"),
        (("synthetic", "--overwrite"), 2, "--overwrite is for --json FILE"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_status(tmp_path, arguments, status, words):
    (tmp_path / "notes.txt").write_text("this is a text")
    result = run_edge("benchmark", *arguments, cwd=tmp_path)
    assert result.stderr.startswith("edge: error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert (result.returncode, result.stdout) == (status, "")
    assert (tmp_path / "notes.txt").read_text() == "this is a text"


def test_a_report_is_replaced_with_overwrite(tmp_path):
    (tmp_path / "b.json").write_text("old")
    result = run_edge(
        "benchmark", "synthetic", "--duration", 0.1, "--quick", "--json", "b.json", "--overwrite", cwd=tmp_path
    )
    assert (result.returncode, result.stderr.count("error")) == (0, 0)
    assert json.loads((tmp_path / "b.json").read_text())["schema"] == SCHEMA


def test_without_a_source_one_is_detected_and_nothing_idles(monkeypatch, caplog):
    requested = []

    def measure(settings, *_, **__):
        requested.append(settings)
        raise EmotionEdgeError("measured enough")

    monkeypatch.setattr(cameras, "detect_source", lambda: ("synthetic:fast", "no camera was found"))
    monkeypatch.setattr(benchmark, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["edge", "benchmark"])
    with caplog.at_level("INFO"), pytest.raises(EmotionEdgeError):
        app(prog_name="edge", standalone_mode=False)
    assert "synthetic:fast" in caplog.text
    assert (requested[0].source, requested[0].idle_fps, requested[0].duration) == ("synthetic:fast", 0.0, 60.0)
