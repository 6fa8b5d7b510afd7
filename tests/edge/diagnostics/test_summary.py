"""A day's log is summed up exactly, by hour and in total, and damaged lines are counted."""

from datetime import timedelta

import pytest

from edge.diagnostics import summary
from edge.sinks import daily_log
from tests.support.commands import run_edge
from tests.support.day_logs import DAY, at, segment, write_busy_day, write_log
from tests.support.spreadsheet import save_again


def test_faces_and_seconds_are_summed_up_in_total_and_by_hour(tmp_path):
    write_busy_day(tmp_path)
    found = summary.to_dict(summary.read(tmp_path, None))
    assert (found["date"], found["faces"], found["seconds"], found["uncertain_seconds"]) == ("2026-11-21", 3, 200, 90)
    assert found["label_seconds"] == {"calm": 60, "cross": 50}
    assert (found["begin"], found["end"]) == (at("09:05:00").isoformat(), at("15:00:10").isoformat())
    assert found["hours"] == [
        {"hour": 9, "faces": 2, "seconds": 180, "label_seconds": {"calm": 60, "cross": 30}, "uncertain_seconds": 90},
        {"hour": 14, "faces": 1, "seconds": 10, "label_seconds": {"cross": 10}, "uncertain_seconds": 0},
        {"hour": 15, "faces": 1, "seconds": 10, "label_seconds": {"cross": 10}, "uncertain_seconds": 0},
    ]
    assert found["damaged_lines"] == []


def test_the_last_day_is_read_unless_another_is_requested(tmp_path):
    write_log(tmp_path, segment("09:00:00", 1), day=DAY)
    write_log(tmp_path, segment("09:00:00", 2), day=DAY - timedelta(days=1))
    assert summary.read(tmp_path, None).totals.seconds == 1
    assert summary.read(tmp_path, "2026-11-20").totals.seconds == 2


def test_a_log_that_a_spreadsheet_saved_is_the_same(tmp_path):
    path = write_busy_day(tmp_path)
    expected = summary.to_dict(summary.read(tmp_path, None))
    written = path.read_bytes()
    path.write_bytes(save_again(written) + written.splitlines(keepends=True)[1])  # and the run went on
    found = summary.to_dict(summary.read(tmp_path, None))
    assert found["damaged_lines"] == []
    assert found["seconds"] == expected["seconds"] + float(written.splitlines()[1].split(b",")[1])
    path.write_bytes(save_again(written))
    assert summary.to_dict(summary.read(tmp_path, None)) == expected


def test_damaged_lines_are_numbered_and_the_others_counted(tmp_path):
    path = write_busy_day(tmp_path)
    path.write_bytes(path.read_bytes() + b"nonsense\n\xff\xfe\n" + b"\0" * 100)
    found = summary.read(tmp_path, None)
    assert found.totals.seconds == 200
    assert found.damaged_lines == [7, 8, 9]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("none",), 2, "none: no such file or folder"),
        (("empty",), 2, "emotions-2026-11-21.csv"),
        (("log", "--date", "2026-11-30"), 2, "no log of 2026-11-30"),
        (("log", "--date", "yesterday"), 2, "--date is 'yesterday'"),
        (("log", "--plot", "day.png"), 2, "'.png', expected .svg"),
        (("log", "--plot", "file/day.svg"), 1, "file/day.svg: cannot be written"),
        (("log", "--json", "--plot", "file/day.svg"), 1, "file/day.svg: cannot be written"),
        ((), 2, "Missing argument"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_status(tmp_path, arguments, status, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "log").mkdir()
    (tmp_path / "file").touch()
    for number in range(4):
        write_log(tmp_path / "log", day=DAY - timedelta(days=number))
    result = run_edge("summary", *arguments, cwd=tmp_path)
    assert result.returncode == status
    assert result.stderr.startswith("edge: error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_nearest_days_are_named_when_one_is_missing(tmp_path):
    for number in (1, 2, 3, 9):
        write_log(tmp_path, day=DAY - timedelta(days=number))
    result = run_edge("summary", tmp_path, "--date", DAY)
    assert result.stderr.endswith(": 2026-11-18, 2026-11-19, 2026-11-20\n")


def test_the_name_of_a_days_file_is_part_of_the_summary(tmp_path):
    write_log(tmp_path)
    assert summary.to_dict(summary.read(tmp_path, None))["file"] == str(daily_log.log_path(tmp_path, DAY))
