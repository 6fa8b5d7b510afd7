"""Several processes read files: results in the order of the files, a crash costs one of them, none is left running."""

import csv
import sys
from contextlib import closing

import cv2
import numpy as np
import pytest

from edge.capture.file_jobs import JobRunner, ReplayedResults
from edge.capture.file_list import list_files
from edge.errors import CameraError, SinkError
from edge.file_processor import FileProcessor
from tests.support.commands import run_edge

VIDEOS = ("b.avi", "d.avi")
COMMAND = [sys.executable, "-m", "tests.support.fake_file_worker"]


class Jobs:
    """Runs fake jobs over files in a folder; see tests/support/fake_file_worker.py."""

    def __init__(self, folder):
        self.folder, self.left_out, self.reports, self.is_stopped = folder, [], [], False
        self.unfinished = []

    def runner(self, jobs=2, **contents):
        """Write the files `contents`, name -> lines, and return what runs over them."""
        for name, content in contents.items():
            (self.folder / f"{name}.mp4").write_text("\n".join(map(str, content)))
        files = list_files([str(self.folder)])
        return JobRunner(
            files,
            COMMAND,
            jobs,
            self.left_out,
            lambda: self.is_stopped,
            lambda *report: self.reports.append(report),
            self.unfinished,
        )

    def results(self, runner):
        """Return (file, index, time rounded, track ids) of each frame."""
        processor = FileProcessor(lambda _: ReplayedResults(runner))
        found = [processor.process(frame) for frame in runner.frames()]
        return [
            (
                each.frame.source_name,
                each.frame.index,
                round(each.frame.time, 3),
                [face.track_id for face in each.faces],
            )
            for each in found
        ]


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path)


def test_files_keep_their_order_whichever_is_ready_first(jobs):
    runner = jobs.runner(a=["wait b.done", 1], b=[2, 0], c=[1])
    runner._report = lambda *_: (jobs.folder / "b.done").touch()  # called while a.mp4 is not complete
    assert [frame.source_name for frame in runner.frames()] == ["a.mp4", "b.mp4", "b.mp4", "c.mp4"]


def test_times_indices_and_track_ids_go_on_from_file_to_file(jobs):
    assert jobs.results(jobs.runner(a=[1, 2], b=[1])) == [
        ("a.mp4", 0, 0.0, [1]),
        ("a.mp4", 1, 0.1, [1, 2]),
        ("b.mp4", 2, 3.1, [3]),
    ]


def test_a_crash_costs_its_file_and_no_other(jobs, caplog):
    found = jobs.results(jobs.runner(a=[1], b=[1, "crash"], c=[1], d=[1]))
    assert [name for name, *_ in found] == ["a.mp4", "c.mp4", "d.mp4"]
    assert jobs.left_out == ["b.mp4"]
    assert caplog.messages == ["edge: b.mp4: left out (its process ended: SIGSEGV)"]


def test_a_bad_file_is_left_out_with_its_reason(jobs, caplog):
    jobs.results(jobs.runner(a=[1, "bad"], b=[1]))
    assert jobs.left_out == ["a.mp4"]
    assert caplog.messages == ["edge: a.mp4: left out (it is bad)"]


def test_only_bad_files_are_an_error(jobs):
    with pytest.raises(CameraError, match="none of 2 files can be read"):
        jobs.results(jobs.runner(a=["bad"], b=["crash"]))


def test_a_run_that_ends_early_leaves_no_process(jobs):
    runner = jobs.runner(a=[1], b=["wait never"], c=["wait never"])
    frames = runner.frames()
    assert next(frames).source_name == "a.mp4"
    frames.close()
    assert runner._processes
    assert all(process.returncode is not None for process in runner._processes)


def test_a_stopped_run_ends_while_a_file_is_in_progress(jobs):
    runner = jobs.runner(a=["wait never"])
    runner._report = lambda *_: setattr(jobs, "is_stopped", True)
    assert list(runner.frames()) == []


def test_what_a_stopped_run_did_not_write_is_told(jobs, caplog):
    runner = jobs.runner(a=[1], b=[1, 1], c=["wait never"], d=[1])
    with closing(runner.frames()) as frames:
        jobs.is_stopped = [next(frames).source_name for _ in range(2)] == ["a.mp4", "b.mp4"]
    assert jobs.unfinished == ["b.mp4", "c.mp4", "d.mp4"]
    assert [record.getMessage() for record in caplog.records] == [
        "edge: stopped: 2 files unfinished, nothing of them written",
        "edge: b.mp4: stopped, its last frames are not written",
    ]


def test_a_run_that_reads_all_files_has_none_unfinished(jobs, caplog):
    assert len(list(jobs.runner(a=[1], b=[1]).frames())) == 2
    assert (jobs.unfinished, caplog.records) == ([], [])


def test_progress_is_reported_while_a_file_is_read(jobs):
    runner = jobs.runner(a=[1, "wait a.done"])
    reports = []

    def report(name, share, fps):
        reports.append((name, share, fps))
        if share == 0.5:
            (jobs.folder / "a.done").touch()

    runner._report = report
    assert len(list(runner.frames())) == 1
    name, share, fps = reports[-1]
    assert (name, share) == ("a.mp4", 0.5)
    assert fps > 0


def test_a_sink_that_needs_the_image_is_told(jobs):
    (frame,) = jobs.runner(a=[1]).frames()
    assert frame.gray.shape == (64, 96)
    with pytest.raises(SinkError, match="run with --jobs 1"):
        frame.color()


@pytest.mark.slow
def test_results_are_those_of_one_job(tmp_path, portrait_file):
    folder = tmp_path / "in"
    folder.mkdir()
    image = cv2.imread(str(portrait_file))
    assert image is not None
    for name in VIDEOS:
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"MJPG"), 25, image.shape[1::-1])
        for number in range(40):
            writer.write(np.roll(image, number, axis=1))
        writer.release()
    for name in ("a.jpg", "c.jpg", "e.jpg"):
        cv2.imwrite(str(folder / name), image)
    (folder / "f.jpg").write_text("no image")
    for jobs in (1, 3):
        sinks = ("--sink", f"jsonl:{tmp_path}/{jobs}.jsonl", "--sink", f"csv:{tmp_path}/{jobs}.csv")
        result = run_edge("run", folder, "--jobs", jobs, *sinks)
        assert result.returncode == 0, result.stderr
        assert "f.jpg: left out" in result.stderr
        assert "1 file left out" in result.stderr
    for suffix in ("jsonl", "csv"):
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"3.{suffix}").read_bytes()
    with (tmp_path / "3.csv").open() as file:
        rows = list(csv.DictReader(file))
    first, second = ([(row["time"], *list(row.values())[8:]) for row in rows if row["file"] == name] for name in VIDEOS)
    assert first == second != []
