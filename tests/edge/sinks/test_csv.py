"""A table of faces: a row for each face and frame, no cell that is a formula, complete rows in a file of its own."""

import csv
import resource
from dataclasses import replace

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks.csv import COLUMNS, Sink
from edge.types import Box, FilePosition, RunInfo
from tests.support.commands import run_edge
from tests.support.fakes import FAKE_LABELS, face_result, frame_result

RUN = RunInfo(labels=FAKE_LABELS)
HEADER = ",".join((*COLUMNS, *FAKE_LABELS))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "faces.csv"


def write(path, *results, run=RUN):
    with Sink(str(path), run) as sink:
        for result in results:
            sink.write(result)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def frames_of(path):
    return [int(row["frame"]) for row in rows(path)]


def test_each_face_of_a_frame_has_a_row(path):
    certain = face_result(track_id=3, box=Box(1, 2, 30, 40))
    write(path, frame_result(certain, face_result(None, 0.55), time=1.23456789, index=7), frame_result(index=8))
    assert path.read_text().splitlines() == [
        HEADER,
        "1.2346,7,,3,1,2,30,40,calm,0.8000,0.8000,0.2000",
        "1.2346,7,,1,10,12,20,24,,0.5500,0.5500,0.4500",
    ]


def test_time_and_frame_are_those_of_the_file(path):
    result = frame_result(face_result(), time=63.0, index=900, source_name="b.mp4")
    write(path, replace(result, frame=replace(result.frame, file=FilePosition(2.5, 75, 0.9))))
    (row,) = rows(path)
    assert (row["time"], row["frame"], row["file"]) == ("2.5000", "75", "b.mp4")


@pytest.mark.parametrize("name", ["=1+1.mp4", "@x", "'quoted", 'a,"b".mp4', "-5.png"])
def test_no_name_is_a_formula(path, name):
    write(path, frame_result(face_result(), source_name=name))
    (row,) = rows(path)
    assert row["file"].removeprefix("'") == name
    assert row["file"][0] not in "=+-@"


def test_no_label_is_a_formula_or_breaks_a_line(path):
    label = "=cmd|' /C calc'!A0\n"
    face = replace(face_result(), label=label, probabilities={label: 1.0})
    write(path, frame_result(face), run=RunInfo(labels=(label,)))
    assert path.read_text().count("\n") == 2
    (row,) = rows(path)
    assert row["label"] == list(row)[-1] == "'=cmd|' /C calc'!A0\\n"


def test_a_table_of_the_same_labels_is_continued(path):
    for index in range(3):
        write(path, frame_result(face_result(), index=index))
    assert frames_of(path) == [0, 1, 2]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_partial_row_is_removed_first(path, cut):
    write(path, frame_result(face_result(), index=1), frame_result(face_result(), index=2))
    path.write_bytes(path.read_bytes()[:-cut])
    write(path, frame_result(face_result(), index=3))
    assert frames_of(path) == ([1, 2, 3] if cut == 1 else [1, 3])


def test_a_partial_header_is_written_again(path):
    path.write_text(HEADER[:20])
    write(path, frame_result(face_result(), index=3))
    assert frames_of(path) == [3]


@pytest.mark.parametrize(
    "content", ["name,age\n", "notes", f"{HEADER.replace('calm', 'glad')}\n", f"{HEADER}\nnot,a,row\n"]
)
def test_another_file_is_refused_and_kept_unless_overwritten(path, content):
    path.write_text(content)
    with pytest.raises(UsageError, match=r"faces\.csv: the file exists, and was not written by this sink.*--overwrite"):
        write(path)
    assert path.read_text() == content
    write(path, frame_result(face_result(), index=4), run=replace(RUN, overwrite=True))
    assert frames_of(path) == [4]


def test_the_source_is_never_the_target(path):
    with pytest.raises(UsageError, match="the target is the source"):
        write(path, run=replace(RUN, is_source=lambda _: True, overwrite=True))


@pytest.mark.parametrize("argument", ["", "log", "out.txt"])
def test_a_name_that_is_no_csv_file_names_the_daily_log(argument):
    with pytest.raises(UsageError, match=rf"sink csv: found '{argument}', expected csv:FILE\.csv; .*daylog:FOLDER"):
        Sink(argument)


def test_a_partial_row_on_a_full_disk_is_removed(path):
    write(path, frame_result(face_result(), index=1))
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
    try:
        with pytest.raises(SinkError, match=r"faces\.csv: cannot be written \(File too large"):
            write(path, frame_result(face_result(), index=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == whole


def test_a_folder_of_images_is_a_table(path, portrait_file):
    result = run_edge("run", portrait_file, "-s", f"csv:{path}")
    assert result.returncode == 0, result.stderr
    (row,) = rows(path)
    assert row["file"] == portrait_file.name
    assert (row["time"], row["frame"], row["track_id"]) == ("0.0000", "0", "1")
    assert sum(float(row[label]) for label in list(row)[len(COLUMNS) :]) == pytest.approx(1, abs=0.001)
