"""The files of the daily log: complete lines on the disk, repaired after a power failure, and read back unchanged."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from edge.sinks.daily_log import HEADER, Segment, append, format_line, log_path, logged_days, parse_line

BEGIN = datetime(2026, 11, 21, 14, 3, 20, 21_000, timezone(timedelta(hours=1)))
SEGMENT = Segment(BEGIN, 9.967, "5f21c0", 3, "calm", 0.873)
LINE = "2026-11-21T14:03:20.021+01:00,9.967,5f21c0,3,calm,0.873\n"


def test_a_segment_is_a_line_as_documented_and_back():
    assert format_line(SEGMENT) == LINE
    assert parse_line(LINE) == SEGMENT
    assert parse_line(LINE.rstrip()) == SEGMENT


@pytest.mark.parametrize("label", [None, "müde", "眠い", 'a "b", c', "=1+1", "'", " calm "])
def test_any_label_is_read_back_unchanged(label):
    assert parse_line(format_line(SEGMENT._replace(label=label))).label == label


@pytest.mark.parametrize("label", ["a\r\nb", "\x1b[2J", "\x9b", "\u202eb", "\ud800"])
def test_a_label_of_any_characters_is_one_printable_line(label):
    line = format_line(SEGMENT._replace(label=label))
    assert line[:-1].isprintable()
    assert parse_line(line).label == label.encode("unicode_escape").decode()


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@sum(a1)", "'=1"])
def test_a_label_is_no_formula_of_a_spreadsheet(label):
    assert f",'{label}," in format_line(SEGMENT._replace(label=label))


@pytest.mark.parametrize(
    "line",
    [
        "",
        HEADER,
        LINE[:-9],
        LINE[:30],
        LINE.replace("+01:00", ""),  # without an offset the time is ambiguous
        LINE.replace("9.967", "-1"),
        LINE.replace("9.967", "nan"),
        LINE.replace("9.967", "inf"),
        LINE.replace("calm", "\x1b[2J"),
        LINE.replace("calm", "calm" * 250),
        LINE.replace("2026", "9999"),  # its end has no date
        LINE.replace("0.873", "87"),
        LINE.replace(",3,", ",three,"),
        LINE.replace("calm", '"calm'),
        LINE.replace("2026-11", "2026-13"),
        LINE.replace("calm", "calm,calm"),
        "\0" * 60,
        LINE + LINE,
    ],
)
def test_a_damaged_line_is_refused(line):
    with pytest.raises(ValueError, match=r"."):
        parse_line(line)


def test_lines_are_appended_under_one_header(tmp_path):
    path = tmp_path / "log.csv"
    append(path, [])
    assert path.read_text() == HEADER
    append(path, [SEGMENT])
    append(path, [SEGMENT, SEGMENT])
    assert path.read_text() == HEADER + 3 * LINE


@pytest.mark.parametrize(
    ("before", "repaired"),
    [
        ("", HEADER),
        (HEADER[:10], HEADER),
        (HEADER + LINE + LINE[:20], HEADER + LINE),
        (HEADER + LINE + "\0" * 5000, HEADER + LINE),
        (HEADER + LINE + "\udcff", HEADER + LINE),  # a byte that is no UTF-8
        (HEADER + LINE + LINE.rstrip(), HEADER + LINE + LINE),  # complete, but for its line break
        (HEADER + "damaged\n", HEADER + "damaged\n"),  # only the last line is repaired
    ],
)
def test_a_partial_line_is_removed_and_complete_ones_stay(tmp_path, before, repaired):
    path = tmp_path / "log.csv"
    path.write_bytes(before.encode(errors="surrogateescape"))
    append(path, [SEGMENT])
    assert path.read_text() == repaired + LINE


def test_on_a_full_disk_nothing_is_added_or_lost(tmp_path):
    path = tmp_path / "log.csv"
    append(path, [SEGMENT])
    before = path.read_text()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            append(path, [SEGMENT, SEGMENT])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == before
    append(path, [SEGMENT])
    assert path.read_text() == before + LINE


def test_lines_and_a_new_file_s_name_are_synced(tmp_path, monkeypatch):
    synced = []
    real = os.fsync

    def fsync(file):
        synced.append(Path(f"/proc/self/fd/{file}").readlink())
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    append(tmp_path / "log.csv", [SEGMENT])
    append(tmp_path / "log.csv", [SEGMENT])
    assert synced == [tmp_path / "log.csv", tmp_path, tmp_path / "log.csv"]


def test_two_processes_can_append_to_one_file(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import sys; from pathlib import Path; from edge.sinks.daily_log import append, parse_line\n"
        "for _ in range(200): append(Path(sys.argv[1]), [parse_line(sys.argv[2])] * 5)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(path), LINE]) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert path.read_text() == HEADER + 2000 * LINE


def test_append_waits_for_another_process_s_lock(tmp_path):
    path = tmp_path / "log.csv"
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        adding = threading.Thread(target=append, args=(path, [SEGMENT]))
        adding.start()
        adding.join(0.1)
        assert adding.is_alive()
        other.write((HEADER + LINE).encode())
    adding.join(10)
    assert path.read_text() == HEADER + 2 * LINE


def test_a_killed_process_leaves_complete_lines(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import sys; from pathlib import Path; from edge.sinks.daily_log import append, parse_line\n"
        "print(flush=True)\nwhile True: append(Path(sys.argv[1]), [parse_line(sys.argv[2])] * 100)"
    )
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", program, str(path), LINE], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    append(path, [SEGMENT])
    header, *lines = path.read_text().splitlines(keepends=True)
    assert header == HEADER
    assert set(lines) == {LINE}


def test_only_files_with_exact_names_are_logged_days(tmp_path):
    for day in (date(2026, 11, 21), date(2025, 1, 2)):
        append(log_path(tmp_path, day), [])
    for other in ("emotions-2026-02-31.csv", "emotions-2026-11-20.csv.bak", "my-emotions-2026-11-20.csv", "notes.txt"):
        (tmp_path / other).touch()
    (tmp_path / "emotions-2026-11-19.csv").mkdir()
    assert logged_days(tmp_path) == [date(2025, 1, 2), date(2026, 11, 21)]


def test_a_link_in_place_of_a_log_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("old")
    (tmp_path / "emotions-2026-11-21.csv").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"):
        append(tmp_path / "emotions-2026-11-21.csv", [])
    assert (tmp_path / "victim").read_text() == "old"
