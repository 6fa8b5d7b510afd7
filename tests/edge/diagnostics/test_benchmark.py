"""The report tells what was measured, by known definitions, and on what; bad input is told before minutes pass."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from itertools import islice
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.capture import registry as cameras
from edge.cli import app
from edge.config.models import shipped_model
from edge.diagnostics import benchmark
from edge.diagnostics.benchmark import QUICK, WARM_UP_FRAMES, Again, Listener, Reservoir
from edge.diagnostics.benchmark_report import SINGLE_STREAM, WIDTH, Rule, Spread, text
from edge.errors import EmotionEdgeError, ModelError
from edge.inference import model_file
from edge.system import machine
from tests.support.benchmarked import STAGES, Clock, Slow, listened, look, report, slow
from tests.support.commands import EDGE, run_edge
from tests.support.fakes import frame

KEYS = {
    "schema",
    "emotion_edge",
    "date",
    "ended_early",
    "source",
    "model",
    "settings",
    "machine",
    "start",
    "end",
    "warm_up",
    "loop",
    "process",
    "classifier",
    "comparison",
}


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


# Definitions


@pytest.mark.parametrize(
    ("count", "answers"),
    [(1, (0, 0, 0)), (2, (1, 1, 1)), (10, (5, 9, 9)), (100, (50, 90, 99)), (1024, (512, 921, 1013))],
)
def test_a_percentile_is_the_one_of_mlperfs_load_generator(count, answers):
    ordered = [float(value) for value in range(count)]
    assert tuple(benchmark.percentile(ordered, percent) for percent in (50, 90, 99)) == answers


def test_a_spread_is_of_sorted_values_in_milliseconds():
    assert benchmark.spread([0.004, 0.001, 0.003, 0.002]) == Spread(2.5, 3.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("waited", "live", "bound", "words"),
    [
        (6.0, True, "camera", "camera-bound: the loop waits 60% of the time for the camera's next frame"),
        (6.0, False, "camera", "camera-bound: the loop waits 60% of the time for frames to be read from the source"),
        (4.0, True, "compute", "compute-bound: the loop waits only 40% of the time"),
    ],
)
def test_the_verdict_says_what_sets_the_pace_and_which_stage_takes_most(waited, live, bound, words):
    verdict = benchmark.judge({"capture": waited, "detect": 1.0, "classify": 3.0}, 10.0, live)
    assert (verdict.bound, verdict.slowest) == (bound, "classify")
    assert verdict.words.startswith(words)
    assert verdict.words.endswith("of its own work classify takes most, 75%")


def test_a_reservoir_keeps_all_rows_while_they_fit():
    kept = Reservoir(2, room=4)
    for value in (0.003, 0.001, 0.002, 0.004):
        kept.add((0.0, value))
    assert kept.spread(1) == benchmark.spread([0.001, 0.002, 0.003, 0.004])


def test_a_reservoir_that_is_full_keeps_some_of_all_and_the_mean_of_all_without_growing():
    kept = Reservoir(1, room=500)
    size = kept._rows.nbytes
    for value in range(20_000):
        kept.add((float(value),))
    assert kept._rows.nbytes == size
    rows = kept._rows[:, 0]
    assert len(set(rows)) == 500
    # Of 500 even draws the share below any bound has a standard deviation of at most 2.3 %; the seed is fixed.
    assert [np.mean(rows < bound) for bound in (5_000, 10_000, 15_000)] == pytest.approx([0.25, 0.5, 0.75], abs=0.07)
    assert kept.spread(0).mean == pytest.approx(1000 * 19_999 / 2)


# The loop


def test_the_figures_of_the_loop_are_those_of_the_frames_after_the_warm_up(clock):
    warm_up, loop, process = listened(clock, frames=100).result(live=True)
    assert (warm_up.frames, loop.frames, loop.faces_per_frame) == (WARM_UP_FRAMES, 100, 1.0)
    assert loop.seconds == pytest.approx(10.0)  # 60 ms wait, 20 search, 10 classify, 5 steady, 5 sinks
    assert (loop.fps, loop.source_fps) == (pytest.approx(10), pytest.approx(10))
    assert loop.stages_ms["sinks"].p90 == pytest.approx(5)
    assert loop.stages_ms["total"].p50 == pytest.approx(40)
    assert loop.stages_ms["capture"].p99 == pytest.approx(60)
    assert loop.shares["detect"] == pytest.approx(0.2)
    assert loop.overhead == pytest.approx(0.25)  # 10 of the 40 ms not waited
    assert loop.age_ms
    assert loop.age_ms.p99 == pytest.approx(15)
    assert (loop.verdict.bound, loop.verdict.slowest) == ("camera", "detect")
    assert process.cpu_percent == pytest.approx(25)


def test_the_measuring_itself_is_no_overhead_of_the_loop(clock, monkeypatch):
    listener = listened(clock, frames=1)
    added = listener._kept.add

    def slowly(row):
        clock.now += 0.5
        added(row)

    monkeypatch.setattr(listener._kept, "add", slowly)
    for index in range(50):
        look(clock, listener, 1000 + index)
    assert listener.result(live=True)[1].overhead == pytest.approx(0.25)


def test_percentiles_tell_the_rare_slow_frame_from_the_others(clock):
    listener = listened(clock, frames=95)
    for number in range(5):
        look(clock, listener, 1000 + number, search=0.2)
    search = listener.result(live=True)[1].stages_ms["detect"]
    assert (search.p50, search.p90, search.p99) == pytest.approx((20, 20, 200))
    assert search.mean == pytest.approx(29)


def test_frames_that_nobody_looked_at_are_counted_and_are_the_cameras(clock):
    loop = listened(clock, frames=100, step=3).result(live=True)[1]
    assert (loop.frames, loop.skipped) == (100, 200)
    assert (loop.fps, loop.skipped_fps, loop.source_fps) == pytest.approx((10, 20, 30))


def test_of_a_source_that_waits_neither_its_rate_nor_the_age_is_claimed(clock):
    loop = listened(clock).result(live=False)[1]
    assert (loop.source_fps, loop.age_ms) == (None, None)
    assert "not measured: this source is read when it is asked" in text(report(clock, live=False))


def test_the_warm_up_lasts_two_seconds_and_thirty_frames(clock):
    for wait, frames in ((1.0, WARM_UP_FRAMES), (0.0, 51)):  # of 40 ms each: 2 s are over after 50 more
        listener = Listener(Slow(clock), 600)
        for index in range(60):
            look(clock, listener, index, wait=wait)
        assert listener.result(live=True)[0].frames == frames


def test_the_time_is_up_after_the_seconds_that_follow_the_warm_up(clock):
    listener = Listener(Slow(clock), 1.0)
    for index in range(WARM_UP_FRAMES):
        look(clock, listener, index, wait=0.96)
        assert not listener.over()
    look(clock, listener, 100, wait=0.9)
    assert not listener.over()
    look(clock, listener, 101)
    assert listener.over()


def test_that_counting_began_is_told_once_with_the_first_counted_frame(clock):
    told = []
    listener = Listener(Slow(clock), 600, began=lambda: told.append(listener._kept.count))
    for index in range(WARM_UP_FRAMES + 5):
        look(clock, listener, index, wait=1.0)
    assert told == [1]


def test_nothing_measured_is_an_error_that_says_so(clock):
    listener = Listener(Slow(clock), 600)
    look(clock, listener, 0)
    with pytest.raises(EmotionEdgeError, match="in the warm-up, after 1 frames: nothing was measured"):
        listener.result(live=True)


def test_memory_is_told_with_its_growth_since_the_warm_up(clock, monkeypatch):
    sizes = iter((100.0, 107.5))
    monkeypatch.setattr(machine, "resident", lambda: next(sizes))
    monkeypatch.setattr(machine, "resident_peak", lambda: 120.0)
    process = listened(clock).result(live=True)[2]
    assert (process.resident_mb, process.peak_mb, process.growth_mb) == (107.5, 120.0, 7.5)


def test_the_first_reading_is_timed_from_the_start_of_the_process(clock, monkeypatch):
    ages = iter((4.5, 9.9))
    monkeypatch.setattr(machine, "process_age", lambda: next(ages))
    listener = Listener(Slow(clock), 600)
    for index in range(WARM_UP_FRAMES + 1):
        look(clock, listener, index, wait=1.0, faces=int(index > 2))
    assert listener.result(live=True)[0].first_reading_seconds == 4.5


def test_a_process_knows_its_age_whatever_its_name(tmp_path):
    ticks = round((time.clock_gettime(time.CLOCK_BOOTTIME) - 5) * 100)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/stat").write_text(f"7 (a) b (c) S {'0 ' * 18}{ticks} 0 0\n")
    age = machine.process_age(tmp_path)
    assert age is not None
    assert 4.9 <= age < 100
    assert machine.process_age(tmp_path / "nowhere") is None
    own = machine.process_age()
    assert own is not None
    assert 0 < own < time.clock_gettime(time.CLOCK_BOOTTIME)


def test_the_threads_of_the_process_are_counted(tmp_path):
    before, done = machine.threads(), threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    after = machine.threads()
    done.set()
    thread.join()
    assert before is not None
    assert after == before + 1
    assert machine.threads(tmp_path) is None


def test_a_source_that_ends_is_begun_anew_with_stamps_and_positions_that_go_on(monkeypatch):
    def three(source):
        yield from (frame(time, index) for time, index in ((0.0, 0), (0.25, 1), (0.5, 3)))

    monkeypatch.setattr(cameras, "frames", three)
    again = Again("clip.mp4")
    found = [(shown.time, shown.index) for shown in islice(again.frames(), 7)]
    assert found == [(0.0, 0), (0.25, 1), (0.5, 3), (0.75, 4), (1.0, 5), (1.25, 7), (1.5, 8)]
    assert again.passes == 3


def test_a_single_image_is_shown_once_a_second(portrait_file):
    found = [(shown.time, shown.index, shown.name) for shown in islice(Again(str(portrait_file)).frames(), 3)]
    assert found == [(0.0, 0, "portrait.png"), (1.0, 1, "portrait.png"), (2.0, 2, "portrait.png")]


# The classifier alone


@pytest.mark.parametrize(
    ("each", "queries", "seconds"),
    [(0.1, 1024, 102.4), (0.01, 6000, 60.0), (0.0625, 1024, 64.0), (0.03125, 1920, 60.0)],
)
def test_by_the_rule_are_at_least_1024_queries_and_at_least_60_seconds(clock, each, queries, seconds):
    alone = benchmark.single_stream(slow(clock, each), SINGLE_STREAM)
    assert alone
    assert alone.by_rule
    assert alone.queries == pytest.approx(queries, abs=1)  # sums of hundredths are not exact
    assert alone.seconds == pytest.approx(seconds, abs=0.02)
    assert (alone.ms.p50, alone.ms.p90, alone.ms.p99, alone.ms.mean) == pytest.approx((1000 * each,) * 4)


def test_a_quick_figure_is_told_not_to_be_by_the_rule(clock):
    alone = benchmark.single_stream(slow(clock, 1 / 1024), QUICK)
    assert alone
    assert (alone.queries, alone.by_rule) == (2048, False)  # enough queries, but not long enough
    said = " ".join(text(report(clock, classifier=alone)).split())
    assert "NOT by MLPerf Mobile's single-stream rule, which asks for at least 1,024 queries and 60 s" in said
    assert "As MLPerf Mobile's single stream asks" not in said


def test_a_figure_by_the_rule_is_told_to_be_no_mlperf_result(clock):
    said = " ".join(text(report(clock)).split())
    assert "the classifier alone: p90 0.600 ms a face (p50 0.400, p99 0.900, mean 0.500)" in said
    assert "As MLPerf Mobile's single stream asks: at least 1,024 queries and 60 s, p90." in said
    assert "not an MLPerf result" in said
    assert "NOT by" not in said


def test_stopped_before_the_first_query_there_is_no_figure(clock):
    assert benchmark.single_stream(slow(clock, 1.0), QUICK, stopped=lambda: True) is None
    assert "the classifier alone: not measured, ended early" in text(report(clock, classifier=None))


def test_two_models_are_asked_in_turn_and_equally_often(clock):
    order = []

    def named(name, seconds):
        model = slow(clock, seconds)

        def classify(face):
            order.append(name)
            model.write(face)

        model.probabilities = scores
        return model

    both = benchmark.in_turn(named("ours", 0.002), named("theirs", 0.001), Rule(200, 0.0))
    assert both
    assert [each.p90 for each in both] == pytest.approx([2.0, 1.0])
    blocks = "".join(name[0] for name in order[2 * benchmark.WARM_UP_QUERIES :: benchmark.BLOCK])
    assert blocks == "otto" * 3 + "ot"  # 7 blocks of 32 each


def test_the_image_that_is_asked_about_has_the_models_size_and_all_levels():
    face = benchmark.gray_face(128)
    assert face.shape == (128, 128)
    assert face.dtype == np.uint8
    assert set(np.unique(face)) == set(range(256))
    assert (face == benchmark.gray_face(128)).all()


# As a user meets it


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A short run on the live synthetic camera: the finished process, and the file of its report."""
    path = tmp_path_factory.mktemp("report") / "new" / "a.json"
    began = time.monotonic()
    result = run_edge("benchmark", "synthetic", "--duration", 1, "--quick", "--json", path)
    assert result.returncode == 0, result.stderr
    return SimpleNamespace(result=result, path=path, report=json.loads(path.read_text()), took=time.monotonic() - began)


@pytest.fixture(scope="module")
def compared(measured, tmp_path_factory):
    """A run on a video that is over before the time is, compared with `measured` and asked for too much."""
    folder = tmp_path_factory.mktemp("video")
    writer = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for level in range(6):
        writer.write(np.full((120, 160, 3), 40 * level, np.uint8))
    writer.release()
    result = run_edge(
        *("benchmark", "clip.avi", "--duration", 0.5, "--quick", "--json", "b.json"),
        *("--compare", measured.path, "--min-fps", 1e6),
        cwd=folder,
    )
    return SimpleNamespace(result=result, report=json.loads((folder / "b.json").read_text()))


def test_the_report_of_a_run_is_whole_and_of_this_machine_and_model(measured):
    found = measured.report
    assert set(found) == KEYS
    assert found["schema"] == 1
    assert found["date"].endswith("+00:00")
    assert found["model"]["sha256"] == hashlib.sha256(shipped_model().read_bytes()).hexdigest()
    assert found["machine"]["kernel"] == machine.facts()["kernel"]
    assert found["settings"]["threads"] == 1
    assert found["source"] == {"name": "synthetic", "live": True, "width": 640, "height": 480, "passes": 1}
    assert not found["ended_early"]
    assert not list(measured.path.parent.glob(".part*"))


def test_a_run_measures_loop_stages_age_classifier_and_memory(measured):
    loop, alone, process = (measured.report[key] for key in ("loop", "classifier", "process"))
    assert set(loop["stages_ms"]) == {*STAGES, "sinks", "total"}
    assert loop["seconds"] >= 0.9  # from the last frame of the warm-up to the last one within the second
    assert loop["fps"] == pytest.approx(loop["frames"] / loop["seconds"])
    assert loop["frames"] >= 1
    assert loop["source_fps"] > 0
    assert loop["stages_ms"]["detect"]["p99"] > 0
    assert loop["age_ms"]["p50"] > 0
    assert sum(loop["shares"][stage] for stage in (*STAGES, "sinks")) == pytest.approx(
        loop["shares"]["total"] + loop["shares"]["capture"]
    )
    assert (alone["queries"] >= 100, alone["seconds"] >= 2, alone["by_rule"]) == (True, True, False)
    assert 0 < alone["ms"]["p50"] <= alone["ms"]["p90"] <= alone["ms"]["p99"]
    assert process["peak_mb"] >= process["resident_mb"] > 10
    assert process["threads"] >= 2  # the camera's own
    assert 0 < measured.report["warm_up"]["first_reading_seconds"] < measured.took
    assert measured.report["warm_up"]["seconds"] >= 2


def test_the_table_is_on_stdout_within_the_page_and_the_progress_on_stderr(measured):
    lines = measured.result.stdout.splitlines()
    assert lines[0].startswith("edge benchmark: emotion-edge ")
    assert max(len(line) for line in lines) <= WIDTH
    assert {*STAGES, "sinks", "total"} <= {line.split(" ")[0] for line in lines}
    assert measured.result.stderr == "measuring the loop for 1 s\nmeasuring the classifier alone for 2 s\n"


def test_a_video_that_ends_is_begun_anew_until_the_time_is_up(compared):
    found = compared.report
    assert found["source"]["passes"] >= 2
    assert found["loop"]["seconds"] >= 0.4  # to the last frame that was whole before the time was up
    assert found["loop"]["skipped"] == 0  # positions go on from pass to pass
    assert (found["loop"]["age_ms"], found["warm_up"]["first_reading_seconds"]) == (None, None)
    said = " ".join(compared.result.stdout.split())
    assert f"it ended before the time was up and was begun anew, {found['source']['passes']} times in all" in said
    assert "no face was read" in said


def test_a_run_is_compared_with_a_report_and_warned_of_what_differs(compared, measured):
    found = compared.report["comparison"]
    assert found["figures"]["frames a second"]["theirs"] == measured.report["loop"]["fps"]
    assert [warning.split(" differs")[0] for warning in found["warnings"]] == ["source", "settings: seconds"]
    assert "warning: source differs: ours clip.avi" in compared.result.stdout


def test_too_few_frames_a_second_are_exit_status_1_after_the_whole_report(compared):
    assert compared.result.returncode == 1
    assert compared.result.stderr.splitlines()[-1].startswith("edge: error: ")
    assert "frames a second, at least 1e+06 were asked for" in compared.result.stderr
    assert "the classifier alone: p90" in compared.result.stdout


def test_ctrl_c_ends_the_measuring_and_reports_what_there_is(tmp_path):
    command = [EDGE, "benchmark", "synthetic", "--duration", "600", "--json", str(tmp_path / "early.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            assert process.stderr.readline() == "measuring the loop for 600 s\n"  # told when a frame has been counted
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()  # one that goes on would be waited for
    assert process.returncode == 0
    assert said.splitlines()[0].endswith(", ended early")
    assert "the classifier alone: not measured, ended early" in said
    found = json.loads((tmp_path / "early.json").read_text())
    assert (found["ended_early"], found["classifier"]) == (True, None)
    assert found["loop"]["frames"] >= 1


def test_both_models_are_measured_in_one_run(classifier, monkeypatch):
    monkeypatch.setattr(benchmark, "BLOCK", 2)
    comparison = benchmark.with_model(shipped_model(), classifier, 1, Rule(4, 0.0), lambda: False)
    assert set(comparison.figures) == {f"classifier alone {key}, ms" for key in ("mean", "p50", "p90", "p99")}
    assert all(each.ratio and each.ratio > 0 for each in comparison.figures.values())
    stopped = benchmark.with_model(shipped_model(), classifier, 1, Rule(4, 0.0), lambda: True)
    assert (stopped.how, stopped.figures) == ("not measured, ended early", {})


@pytest.fixture
def broken(tmp_path):
    """A model file with a good card whose model is cut off."""
    model, about = model_file.load(shipped_model())
    model_file.attach(model[:8], about, tmp_path / "broken.tflite")
    return tmp_path / "broken.tflite"


def test_a_second_model_that_is_broken_is_refused_before_anything_is_measured(broken):
    with pytest.raises(ModelError, match="not a whole one"):
        benchmark.rival(broken)


def test_a_second_model_that_breaks_meanwhile_does_not_take_the_report_along(broken, classifier):
    comparison = benchmark.with_model(broken, classifier, 1, Rule(4, 0.0), lambda: False)
    assert comparison.how.startswith("not measured: ")
    assert "not a whole one" in comparison.how
    assert comparison.figures == {}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nothing.mp4",), 2, "nothing.mp4: no such file"),
        (("synthetic", "--compare", "nothing.json"), 2, "nothing.json: cannot be read"),
        (("synthetic", "--compare", "notes.txt"), 78, "notes.txt: neither a report nor a .tflite model"),
        (("synthetic", "--duration", "0"), 78, "seconds is 0.0, expected more than 0"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_status(tmp_path, arguments, status, words):
    (tmp_path / "notes.txt").write_text("this is a text")
    result = run_edge("benchmark", *arguments, cwd=tmp_path)
    assert result.stderr.startswith("edge: error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert (result.returncode, result.stdout) == (status, "")


def test_without_a_source_the_choice_is_told_and_the_loop_does_not_idle(monkeypatch, capsys):
    asked = []

    def measure(settings, *_, **__):
        asked.append(settings)
        raise EmotionEdgeError("enough")

    monkeypatch.setattr(cameras, "choose", lambda: ("synthetic:fast", "no camera was found"))
    monkeypatch.setattr(benchmark, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["edge", "benchmark"])
    with pytest.raises(EmotionEdgeError):
        app(prog_name="edge", standalone_mode=False)
    assert capsys.readouterr().err == "source: synthetic:fast (no camera was found)\n"
    assert (asked[0].source, asked[0].idle_fps, asked[0].seconds) == ("synthetic:fast", 0.0, 60.0)
