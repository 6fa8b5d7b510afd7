"""One JSON object a frame, of exactly the documented form, each line whole and at once."""

import json
import resource
from typing import Any

import pytest

from edge.errors import SinkError
from edge.sinks.jsonl import Sink
from edge.types import Box, RunInfo
from tests.support.fakes import face_result, frame_result


def lines(path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_frame_is_one_object_of_the_documented_form(capfd):
    with Sink() as sink:
        sink.write(
            frame_result(face_result(track_id=3, box=Box(1, 2, 30, 40)), face_result(None, share=0.55), time=1.23456789, index=7)
        )
    out = capfd.readouterr().out
    assert out.endswith("\n")
    assert json.loads(out) == {
        "time": 1.2346,
        "frame": 7,
        "faces": [
            {
                "id": 3,
                "box": [1, 2, 30, 40],
                "label": "calm",
                "since": 0.0,
                "confidence": 0.8,
                "scores": {"calm": 0.8, "cross": 0.2},
            },
            {
                "id": 1,
                "box": [10, 12, 20, 24],
                "label": None,
                "since": 0.0,
                "confidence": 0.55,
                "scores": {"calm": 0.55, "cross": 0.45},
            },
        ],
    }


def test_a_frame_without_faces_has_a_line_too(capfd):
    with Sink() as sink:
        sink.write(frame_result(time=0.5, index=15))
    assert json.loads(capfd.readouterr().out) == {"time": 0.5, "frame": 15, "faces": []}


def test_a_file_is_added_to_and_never_overwritten(tmp_path):
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


def test_labels_of_any_language_are_written_as_they_are(tmp_path):
    path = tmp_path / "log.jsonl"
    observation = frame_result(face_result())
    object.__setattr__(observation.faces[0], "scores", {"müde": 1.0})
    with Sink(str(path)) as sink:
        sink.write(observation)
    assert "müde" in path.read_text(encoding="utf-8")


def test_a_full_disk_is_an_error_that_names_the_file():
    with (
        pytest.raises(SinkError, match=r"jsonl:/dev/full: cannot be written \(No space left"),
        Sink("/dev/full") as sink,
    ):
        sink.write(frame_result())


@pytest.mark.parametrize("live", [False, True])
def test_a_line_that_a_full_disk_took_half_of_is_taken_back_and_the_next_one_follows_the_last_whole_one(tmp_path, live):
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


def test_a_file_that_cannot_be_opened_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "log.jsonl"):
        with pytest.raises(SinkError, match=f"jsonl:{place}: cannot be opened"), Sink(str(place)):
            pass


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with Sink("~/log.jsonl") as sink:
        sink.write(frame_result())
    assert len(lines(tmp_path / "log.jsonl")) == 1
