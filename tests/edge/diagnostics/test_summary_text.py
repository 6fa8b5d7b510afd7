"""The text of a day fits the terminal and stays aligned in any script."""

import json
import subprocess

import pytest

from edge.diagnostics import summary
from edge.diagnostics.summary_text import display_width, format_duration, pad, text
from tests.support.commands import EDGE, run_edge
from tests.support.day_logs import segment, write_busy_day, write_log


def test_the_command_prints_a_table(tmp_path):
    write_busy_day(tmp_path)
    result = run_edge("summary", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "2026-11-21, Saturday: 3 faces, 3 min in total, 09:05 to 15:00",
        "",
        "  uncertain  ████████████████████████   45%  2 min",
        "  calm       ████████████████           30%  1 min",
        "  cross      █████████████▍             25%  50 s",
        "",
        "hour   faces        time",
        "09:00      2       3 min  ████████████  uncertain 50%, calm 33%, cross 17%",
        "10:00      0",
        "11:00      0",
        "12:00      0",
        "13:00      0",
        "14:00      1        10 s  ▋             cross 100%",
        "15:00      1        10 s  ▋             cross 100%",
    ]


def test_the_command_prints_json(tmp_path):
    write_busy_day(tmp_path)
    result = run_edge("summary", tmp_path, "--json")
    assert json.loads(result.stdout) == summary.to_dict(summary.read(tmp_path, None))


def test_no_line_is_wider_than_the_terminal(tmp_path):
    labels = ["眠い眠い眠い眠い眠い眠い", "a" * 50, "müde", *(f"label{number}" for number in range(30))]
    write_log(tmp_path, *(segment("10:00:00", 3600, label, track_id=9_999) for label in labels))
    for width in (72, 80, 100):
        lines = text(summary.read(tmp_path, None), width).splitlines()
        assert max(map(display_width, lines)) <= width


def test_bars_are_aligned_behind_labels_of_any_script(tmp_path):
    labels = ("眠い", "müde", "u\u0308")
    write_log(tmp_path, *(segment("10:00:00", 60, label) for label in labels))
    lines = [line for line in text(summary.read(tmp_path, None), 80).splitlines() if line.startswith("  ")]
    assert len(lines) == len(labels)
    assert len({display_width(line.partition("█")[0]) for line in lines}) == 1


@pytest.mark.parametrize(("line", "width"), [("calm", 4), ("müde", 4), ("mu\u0308de", 4), ("眠い", 4), ("", 0)])
def test_the_width_counts_the_columns_of_a_terminal(line, width):
    assert display_width(line) == width
    assert pad(line, 6) == line + " " * (6 - width)
    assert display_width(pad(line, 3)) == 3


def test_damaged_lines_are_named(tmp_path):
    path = write_busy_day(tmp_path)
    path.write_bytes(path.read_bytes() + b"nonsense\n\xff\xfe\n" + b"\0" * 100)
    result = run_edge("summary", tmp_path)
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == f"damaged lines ignored: 3 ({path}:7, 8, 9)"


def test_only_the_first_of_many_damaged_lines_are_named(tmp_path):
    path = write_busy_day(tmp_path)
    path.write_text(path.read_text() + "x\n" * 100)
    last = text(summary.read(tmp_path, None), 80).splitlines()[-1]
    assert last.endswith(f"100 ({path}:7, 8, 9, 10, 11, ...)")


def test_a_day_without_faces_is_one_line(tmp_path):
    write_log(tmp_path)
    assert text(summary.read(tmp_path, None), 80) == "2026-11-21, Saturday: no faces"


def test_a_face_in_a_single_frame_is_counted(tmp_path):
    write_log(tmp_path, segment("09:00:00", 0))
    title = text(summary.read(tmp_path, None), 80).splitlines()[0]
    assert title == "2026-11-21, Saturday: 1 face, 0.0 s in total, 09:00 to 09:00"


def test_a_reader_that_closes_the_pipe_is_no_error(tmp_path):
    write_busy_day(tmp_path)
    shell = f'"{EDGE}" summary "{tmp_path}" | head -1'
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.9, "60 s"),
        (59.96, "1 min"),
        (3570, "1 h 00 min"),
        (3540, "59 min"),
        (8000, "2 h 13 min"),
    ],
)
def test_a_duration_is_in_its_two_largest_units(seconds, expected):
    assert format_duration(seconds) == expected
