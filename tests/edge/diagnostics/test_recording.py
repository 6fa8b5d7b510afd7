"""Files of the sinks csv and jsonl are summed up alike, film by film, in bounded memory; damaged lines are counted."""

import json
import os
from dataclasses import replace

import pytest

from edge.diagnostics import recording
from edge.diagnostics.recording import MAX_BINS, Film, RecordedFace
from edge.errors import SourceNotFoundError, UsageError
from edge.sinks import csv, jsonl
from edge.types import FilePosition, RunInfo
from tests.support.commands import run_edge
from tests.support.fakes import FAKE_LABELS, face_result, frame_result


def write(path, *results):
    """Write `results` to the sink that the suffix of `path` names."""
    sink = (csv if path.suffix == ".csv" else jsonl).Sink(str(path), RunInfo(labels=FAKE_LABELS))
    with sink:
        for result in results:
            sink.write(result)


def at(seconds, *faces, film="a.mp4", begin=0.0):
    """Return a result of a film that begins `begin` seconds after the first one."""
    result = frame_result(*faces, time=begin + seconds, index=int(seconds * 10), source_name=film)
    return replace(result, frame=replace(result.frame, file=FilePosition(seconds, int(seconds * 10), 0.5)))


def write_two_films(path):
    calm, cross, doubtful = face_result(), face_result("cross", track_id=2), face_result(None, 0.5)
    write(path, at(0, calm), at(0.1, calm, cross), at(0.6), at(1.0, doubtful))
    write(path, at(0, film="b.mp4", begin=4), at(2.0, cross, film="b.mp4", begin=4))
    return path


@pytest.mark.parametrize("name", ["faces.csv", "faces.jsonl"])
def test_films_are_summed_up_by_time(tmp_path, name):
    found = recording.read(write_two_films(tmp_path / name))
    first, second = recording.to_dict(found)["films"]
    assert found.labels == FAKE_LABELS
    assert (first["source_name"], first["begin"], first["end"], first["faces"]) == ("a.mp4", 0, 1, 2)
    assert first["label_fractions"] == {"calm": 0.5, "cross": 0.25}
    assert first["uncertain_fraction"] == 0.25
    assert first["probabilities"] == {"calm": 0.575, "cross": 0.425}
    assert first["timeline"] == [
        {"begin": 0, "probabilities": {"calm": 0.6, "cross": 0.4}},
        {"begin": 1.0, "probabilities": {"calm": 0.5, "cross": 0.5}},
    ]
    assert (second["source_name"], second["begin"], second["end"]) == ("b.mp4", 2, 2)


@pytest.mark.parametrize("name", ["faces.csv", "faces.jsonl"])
def test_damaged_lines_are_numbered_and_the_others_counted(tmp_path, name):
    path = write_two_films(tmp_path / name)
    whole = path.read_bytes()
    lines = whole.count(b"\n")
    nan = whole.splitlines()[-1].replace(b"0.8", b"NaN")
    path.write_bytes(whole + b"nonsense\n\xff\xfe\n[1]\n" + nan + b"\n")
    found = recording.read(path)
    assert found.damaged_lines == [lines + number for number in (1, 2, 3, 4)]
    assert sum(film.face_frames for film in found.films.values()) == 5


def test_a_line_with_an_infinite_number_is_damaged(tmp_path):
    path = write_two_films(tmp_path / "faces.jsonl")
    content = json.loads(path.read_text().splitlines()[-1]) | {"frame": float("inf")}
    path.write_text(f"{path.read_text()}{json.dumps(content)}\n")
    assert recording.read(path).damaged_lines == [len(path.read_text().splitlines())]


def test_a_long_film_takes_no_more_memory():
    film = Film("long.mp4")
    for second in range(0, 36_000, 7):
        film.add(RecordedFace("long.mp4", float(second), second, 1, "calm", {"calm": 0.25, "cross": 0.75}))
    assert MAX_BINS / 2 <= len(film.bins) <= MAX_BINS
    assert film.emotions() == {"calm": 0.25, "cross": 0.75}
    assert all(means == {"calm": 0.25, "cross": 0.75} for _, means in film.timeline())


def test_times_far_apart_are_summed_up():
    film = Film("odd.mp4")
    for second in (0.0, 9e6):
        film.add(RecordedFace("odd.mp4", second, 0, 1, "calm", {"calm": 1.0}))
    assert len(film.timeline()) == 2


@pytest.mark.parametrize("content", ["", "name,age\n", "[]\n", "\0\0", "begin,seconds,run,track_id,label,confidence\n"])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "other.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"other\.csv: neither a folder of daily logs nor a file of the sink csv"):
        recording.read(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError, match="no such file or folder"):
        recording.read(tmp_path / "none.csv")


def test_a_fifo_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "faces.csv")
    with pytest.raises(UsageError, match=r"faces\.csv: not a regular file"):
        recording.read(tmp_path / "faces.csv")


@pytest.mark.parametrize("path", ["faces.csv", "."])
def test_a_plot_replaces_no_file_without_overwrite(tmp_path, path):
    (tmp_path / "plot.svg").write_text("mine")
    write_two_films(tmp_path / "faces.csv")
    result = run_edge("summary", path, "--plot", "plot.svg", cwd=tmp_path)
    assert result.returncode == 2
    assert "--plot plot.svg: the file exists; name another file, or replace it by --overwrite" in result.stderr
    assert (tmp_path / "plot.svg").read_text() == "mine"


def test_a_recording_without_faces_is_said(tmp_path):
    write(tmp_path / "empty.csv")
    assert recording.text(recording.read(tmp_path / "empty.csv")) == "no faces"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("faces.csv", "--date", "2026-11-21"), "--date is for a folder of daily logs"),
        (("faces.csv", "--thumbnails", "a.mp4"), "--thumbnails needs --plot FILE"),
        (("faces.csv", "--plot", "a.pdf"), "'.pdf', expected .svg or .png"),
        (("faces.csv", "--plot", "a.svg", "--thumbnails", "none.mp4"), "expected a video of a.mp4, b.mp4"),
        ((".", "--thumbnails", "a.mp4"), "--thumbnails is for a file"),
        (("faces.csv", "--overwrite"), "--overwrite is for --plot FILE"),
        (("faces.csv", "--plot", "./faces.csv", "--overwrite"), "the target is the recording"),
    ],
)
def test_options_that_do_not_fit_are_one_line(tmp_path, arguments, words):
    write_two_films(tmp_path / "faces.csv")
    result = run_edge("summary", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_json_and_plot_are_written(tmp_path):
    (tmp_path / "plot.svg").write_text("old")
    write_two_films(tmp_path / "faces.csv")
    result = run_edge("summary", "faces.csv", "--json", "--plot", "plot.svg", "--overwrite", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [film["source_name"] for film in json.loads(result.stdout)["films"]] == ["a.mp4", "b.mp4"]
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")
