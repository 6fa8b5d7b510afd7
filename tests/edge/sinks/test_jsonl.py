"""One JSON object for each frame, exactly as documented, each line complete and at once."""

import json
import os
import resource
from dataclasses import replace
from typing import Any

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks.jsonl import LINE_FORMAT, Sink
from edge.types import Box, RunInfo
from tests.support.fakes import face_result, frame_result


def lines(path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_frame_is_one_object_as_documented(capfd):
    certain = face_result(track_id=3, box=Box(1, 2, 30, 40), since=0.33333333, age=0.1)
    with Sink() as sink:
        sink.write(frame_result(certain, face_result(None, probability=0.55), time=1.23456789, index=7))
    out = capfd.readouterr().out
    assert out.endswith("\n")
    assert json.loads(out) == {
        "time": 1.2346,
        "frame": 7,
        "faces": [
            {
                "track_id": 3,
                "box": [1, 2, 30, 40],
                "label": "calm",
                "since": 0.3333,
                "age": 0.1,
                "confidence": 0.8,
                "probabilities": {"calm": 0.8, "cross": 0.2},
            },
            {
                "track_id": 1,
                "box": [10, 12, 20, 24],
                "label": None,
                "since": 0.0,
                "age": 0.0,
                "confidence": 0.55,
                "probabilities": {"calm": 0.55, "cross": 0.45},
            },
        ],
    }


def test_a_frame_without_faces_has_a_line(capfd):
    with Sink() as sink:
        sink.write(frame_result(time=0.5, index=15))
    assert json.loads(capfd.readouterr().out) == {"time": 0.5, "frame": 15, "faces": []}


def test_a_file_is_appended_to(tmp_path):
    path = tmp_path / "new" / "folder" / "log.jsonl"
    for index in range(3):
        with Sink(str(path)) as sink:
            sink.write(frame_result(index=index))
    assert [line["frame"] for line in lines(path)] == [0, 1, 2]


def test_each_line_is_in_the_file_at_once(tmp_path):
    path = tmp_path / "log.jsonl"
    with Sink(str(path)) as sink:
        for index in range(3):
            sink.write(frame_result(face_result(), index=index))
            assert len(lines(path)) == index + 1


def test_labels_of_any_language_are_readable(tmp_path):
    path = tmp_path / "log.jsonl"
    with Sink(str(path)) as sink:
        sink.write(frame_result(replace(face_result(), probabilities={"müde": 1.0})))
    assert "müde" in path.read_text(encoding="utf-8")


def test_a_full_disk_is_an_error_with_the_file_s_name():
    with (
        pytest.raises(SinkError, match=r"jsonl:/dev/full: cannot be written \(No space left"),
        Sink("/dev/full") as sink,
    ):
        sink.write(frame_result())


@pytest.mark.parametrize("live", [False, True])
def test_a_partial_line_on_a_full_disk_is_removed(tmp_path, live):
    path = tmp_path / "log.jsonl"
    sink = Sink(str(path), RunInfo(live))
    with sink:
        sink.write(frame_result(face_result(), index=1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        with pytest.raises(SinkError, match=r"log\.jsonl: cannot be written \(File too large"), sink:
            sink.write(frame_result(face_result(), index=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [line["frame"] for line in lines(path)] == [1]
    with sink:
        sink.write(frame_result(face_result(), index=3))
    assert [line["frame"] for line in lines(path)] == [1, 3]


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "log.jsonl"):
        with pytest.raises(SinkError, match=f"jsonl:{path}: cannot be opened"), Sink(str(path)):
            pass


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with Sink("~/log.jsonl") as sink:
        sink.write(frame_result())
    assert len(lines(tmp_path / "log.jsonl")) == 1


def test_a_line_of_a_file_has_the_file_s_name(tmp_path):
    with Sink(str(tmp_path / "log.jsonl")) as sink:
        sink.write(frame_result(source_name="a.png"))
    assert lines(tmp_path / "log.jsonl") == [{"time": 0, "frame": 0, "source_name": "a.png", "faces": []}]


WHOLE = b'{"time": 0.0, "frame": 0, "faces": []}'


@pytest.mark.parametrize(
    ("before", "frames"),
    [
        (b"", [7]),
        (WHOLE + b"\n", [0, 7]),
        (WHOLE, [0, 7]),
        (WHOLE + b"\n" + WHOLE[:9], [0, 7]),
        (WHOLE + b"\n" + bytes(50), [0, 7]),
        (WHOLE[:-3], [7]),
    ],
)
def test_a_torn_last_line_is_mended(tmp_path, before, frames):
    path = tmp_path / "log.jsonl"
    path.write_bytes(before)
    with Sink(str(path)) as sink:
        sink.write(frame_result(index=7))
    assert [line["frame"] for line in lines(path)] == frames


def test_a_first_line_may_be_torn_anywhere():
    for whole in (WHOLE, b'{"time": -1.5e-05, "frame": 12, "source_name": "a.png", "faces": []}'):
        assert all(LINE_FORMAT.may_begin(whole[:length]) for length in range(1, len(whole)))


@pytest.mark.parametrize(
    "before", [b"\xff\xd8 a photo", b"text\n", b'{"a": 1}\n', WHOLE + b"\ntext\n", b"[" * 9000 + b"\n"]
)
def test_a_file_of_others_is_only_replaced_by_overwrite(tmp_path, before):
    path = tmp_path / "log.jsonl"
    path.write_bytes(before)
    with pytest.raises(UsageError, match=r"log\.jsonl: the file exists, .*--overwrite"), Sink(str(path)):
        pass
    assert path.read_bytes() == before
    sink = Sink(str(path), RunInfo(overwrite=True))
    for index in (0, 1):  # opened again after a failure, it goes on
        with sink:
            sink.write(frame_result(index=index))
    assert [line["frame"] for line in lines(path)] == [0, 1]


def test_the_source_is_not_written_to(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"")
    run = RunInfo(is_source=path.samefile, overwrite=True)
    with pytest.raises(UsageError, match=r"photo\.jpg: the target is the source"), Sink(str(path), run):
        pass


def test_a_fifo_without_a_reader_ends_when_the_run_is_stopped(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with (
        pytest.raises(SinkError, match="stopped before a reader"),
        Sink(str(tmp_path / "fifo"), RunInfo(stopped=lambda: True)),
    ):
        pass


def test_a_fifo_whose_reader_waits_ends_when_the_run_is_stopped(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(str(tmp_path / "fifo"), RunInfo(stopped=lambda: True))
    with pytest.raises(SinkError, match="stopped while its reader did not read"), sink:  # noqa: PT012
        for index in range(100_000):
            sink.write(frame_result(face_result(), index=index))
    os.close(reader)
