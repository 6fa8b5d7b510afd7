"""A process that is killed at any line while it writes leaves nothing half, and nothing after the next start."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edge.sinks.csv import COLUMNS
from edge.sinks.daily_log import HEADER, parse_line
from tests.support.killed_writing import FRAMES
from tests.support.paths import ROOT

KILLS = 50


@pytest.fixture
def killed(tmp_path):
    """Return a function: a sink's spec -> the folders in which a process was killed, and another one has written."""

    def kill(spec):
        command = [sys.executable, "-m", "tests.support.killed_writing", spec, tmp_path, str(KILLS)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
        assert result.returncode == 0, result.stderr
        assert int(result.stdout) > KILLS
        return [tmp_path / str(number) for number in range(KILLS)]

    return kill


def killed_files(folders, pattern):
    """Return the files that there were in `folders` when a process had been killed."""
    return [path for folder in folders for path in (folder.parent / "killed" / folder.name).glob(pattern)]


def frame_count(path):
    capture = cv2.VideoCapture(str(path))
    frames = 0
    while capture.read()[0]:
        frames += 1
    capture.release()
    return frames


def has_partial_line(files):
    return any(content and not content.endswith(b"\n") for content in map(Path.read_bytes, files))


def assert_no_remains(folders):
    """Check that no partial file is left, and that one was left by at least one process that was killed."""
    assert not [path for folder in folders for path in folder.glob(".part.*")]
    assert killed_files(folders, ".part.*")


@pytest.mark.slow
def test_a_killed_recording_is_complete_or_absent(killed):
    folders = killed("video:out.mp4")
    present = [folder / "out.mp4" for folder in folders if (folder / "out.mp4").exists()]
    assert all(frame_count(path) == FRAMES for path in [*present, *(folder / "again.mp4" for folder in folders)])
    assert len(present) < KILLS
    assert_no_remains(folders)


@pytest.mark.slow
def test_killed_images_are_complete_or_absent(killed):
    folders = killed("video:out.png")
    images = [path for folder in folders for path in folder.glob("*.png")]
    assert all(cv2.imread(str(path)) is not None for path in images)
    assert len(list(folders[-1].glob("out*.png"))) > len(list(folders[0].glob("out*.png")))
    assert all(len(list(folder.glob("again*.png"))) == FRAMES for folder in folders)
    assert_no_remains(folders)


@pytest.mark.slow
def test_killed_json_lines_are_complete(killed):
    folders = killed("jsonl:out.jsonl")
    assert has_partial_line(killed_files(folders, "out.jsonl"))
    for folder in folders:
        numbers = [json.loads(line)["frame"] for line in (folder / "out.jsonl").read_text().splitlines()]
        before = len(numbers) - FRAMES
        assert numbers == [*range(before), *range(FRAMES)]


@pytest.mark.slow
def test_killed_tables_have_complete_rows(killed):
    folders = killed("csv:out.csv")
    assert has_partial_line(killed_files(folders, "out.csv"))
    for folder in folders:
        header, *lines = (folder / "out.csv").read_text().splitlines(keepends=True)
        assert header == ",".join(COLUMNS) + "\n"
        assert all(line.endswith(",0.8000\n") and line.count(",") == len(COLUMNS) - 1 for line in lines)
        numbers = [int(line.split(",")[1]) for line in lines]
        before = len(numbers) - FRAMES
        assert numbers == [*range(before), *range(FRAMES)]


@pytest.mark.slow
def test_killed_daily_logs_have_complete_lines(killed):
    folders = killed("daylog:log")
    assert has_partial_line(killed_files(folders, "log/*.csv"))
    for folder in folders:
        (path,) = (folder / "log").iterdir()
        header, *lines = path.read_text().splitlines(keepends=True)
        assert header == HEADER
        assert all(line.endswith("\n") and parse_line(line).label == "calm" for line in lines)
        assert len({parse_line(line).run for line in lines}) in (1, 2)
