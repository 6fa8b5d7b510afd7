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
from tests.support.spreadsheet import save_again


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


@pytest.mark.parametrize(("delimiter", "decimal"), [(",", "."), (";", "."), (";", ","), (",", ",")])
def test_a_file_that_a_spreadsheet_saved_is_the_same(tmp_path, delimiter, decimal):
    path = tmp_path / "faces.csv"
    write(path, at(0.25, face_result(), film="a; b, c.mp4"), at(2, face_result(None), film="=1.mp4"))
    expected = recording.to_dict(recording.read(path))
    path.write_bytes(save_again(path.read_bytes(), delimiter, decimal))
    assert recording.to_dict(recording.read(path)) == expected


def test_lines_after_a_byte_order_mark_are_read(tmp_path):
    path = write_two_films(tmp_path / "faces.jsonl")
    expected = recording.to_dict(recording.read(path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert recording.to_dict(recording.read(path)) == expected


def test_several_files_begin_with_their_total(tmp_path):
    text = recording.text(recording.read(write_two_films(tmp_path / "faces.csv")))
    assert text.splitlines()[:4] == [
        "2 files with faces: 3 faces",
        "   50%  calm",
        "   50%  cross",
        "labels: calm 40%, cross 40%, uncertain 20%",
    ]
    assert "a.mp4: 2 faces, 0.0 to 1.0 s\n" in text
    assert "b.mp4: 1 face\n" in text


def test_of_many_photos_only_the_total_is_shown(tmp_path):
    write(tmp_path / "photos.csv", *(at(0, face_result(), film=f"{number}.jpg") for number in range(500)))
    found = recording.read(tmp_path / "photos.csv")
    assert recording.text(found).splitlines() == [
        "500 files with faces: 500 faces",
        "   80%  calm",
        "   20%  cross",
        "labels: calm 100%",
        "of each file: --json",
    ]
    assert len(recording.to_dict(found)["films"]) == 500


@pytest.mark.parametrize("option", ["--json", "--overwrite"])
def test_a_plot_that_cannot_be_written_is_the_only_line(tmp_path, option):
    write_two_films(tmp_path / "faces.csv")
    (tmp_path / "file").touch()
    result = run_edge("summary", "faces.csv", "--plot", "file/a.svg", option, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("edge: error: file/a.svg: cannot be written (")
    assert result.stderr.count("\n") == 1


def test_films_that_fit_on_no_plot_are_an_error(tmp_path):
    write(tmp_path / "photos.csv", *(at(0, face_result(), film=f"{number}.jpg") for number in range(21)))
    result = run_edge("summary", "photos.csv", "--plot", "a.svg", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "21 films, at most 20 fit on a plot" in result.stderr
