"""The files of the log of the day: whole lines on the disk, healed after a power cut, and read back as they were."""

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

from edge.sinks.daily_log import HEADER, Span, append, days, file_of, from_line, to_line

BEGIN = datetime(2026, 11, 21, 14, 3, 20, 21_000, timezone(timedelta(hours=1)))
SPAN = Span(BEGIN, 9.967, "5f21c0", 3, "calm", 0.873)
LINE = "2026-11-21T14:03:20.021+01:00,9.967,5f21c0,3,calm,0.873\n"


def test_a_span_is_a_line_of_the_documented_form_and_comes_back_from_it():
    assert to_line(SPAN) == LINE
    assert from_line(LINE) == SPAN
    assert from_line(LINE.rstrip()) == SPAN


@pytest.mark.parametrize("label", [None, "müde", "眠い", 'a "b", c', "=1+1", "'", " calm "])
def test_any_label_comes_back_as_it_was(label):
    assert from_line(to_line(SPAN._replace(label=label))).label == label


def test_a_line_break_in_a_label_does_not_make_two_lines():
    assert to_line(SPAN._replace(label="a\r\nb")).count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "",
        HEADER,
        LINE[:-9],
        LINE[:30],
        LINE.replace("+01:00", ""),  # of which nobody knows when it was
        LINE.replace("9.967", "-1"),
        LINE.replace("9.967", "nan"),
        LINE.replace("9.967", "inf"),
        LINE.replace("0.873", "87"),
        LINE.replace(",3,", ",three,"),
        LINE.replace("calm", '"calm'),
        LINE.replace("2026-11", "2026-13"),
        LINE.replace("calm", "calm,calm"),
        "\0" * 60,
        LINE + LINE,
    ],
)
def test_what_is_no_span_is_refused(line):
    with pytest.raises(ValueError, match=r"."):
        from_line(line)


def test_lines_are_added_under_one_header(tmp_path):
    path = tmp_path / "log.csv"
    append(path, [])
    assert path.read_text() == HEADER
    append(path, [SPAN])
    append(path, [SPAN, SPAN])
    assert path.read_text() == HEADER + 3 * LINE


@pytest.mark.parametrize(
    ("left", "healed"),
    [
        ("", HEADER),
        (HEADER[:10], HEADER),
        (HEADER + LINE + LINE[:20], HEADER + LINE),
        (HEADER + LINE + "\0" * 5000, HEADER + LINE),
        (HEADER + LINE + "\udcff", HEADER + LINE),  # a byte that is no UTF-8
        (HEADER + LINE + LINE.rstrip(), HEADER + LINE + LINE),  # as an editor may leave it
        (HEADER + "damaged\n", HEADER + "damaged\n"),  # what stands within is not ours to judge
    ],
)
def test_what_a_power_cut_left_of_a_line_goes_and_all_whole_ones_stay(tmp_path, left, healed):
    path = tmp_path / "log.csv"
    path.write_bytes(left.encode(errors="surrogateescape"))
    append(path, [SPAN])
    assert path.read_text() == healed + LINE


def test_on_a_full_disk_nothing_is_added_and_nothing_is_lost(tmp_path):
    path = tmp_path / "log.csv"
    append(path, [SPAN])
    before = path.read_text()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            append(path, [SPAN, SPAN])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == before
    append(path, [SPAN])
    assert path.read_text() == before + LINE


def test_what_was_added_is_on_the_disk_with_the_name_of_a_new_file(tmp_path, monkeypatch):
    synced = []
    real = os.fsync

    def fsync(file):
        synced.append(Path(f"/proc/self/fd/{file}").readlink())
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    append(tmp_path / "log.csv", [SPAN])
    append(tmp_path / "log.csv", [SPAN])
    assert synced == [tmp_path / "log.csv", tmp_path, tmp_path / "log.csv"]


def test_two_processes_that_log_to_one_file_do_not_spoil_each_others_lines(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import sys; from pathlib import Path; from edge.sinks.daily_log import append, from_line\n"
        "for _ in range(200): append(Path(sys.argv[1]), [from_line(sys.argv[2])] * 5)"
    )
    two = [subprocess.Popen([sys.executable, "-c", program, str(path), LINE]) for _ in range(2)]
    assert [process.wait(60) for process in two] == [0, 0]
    assert path.read_text() == HEADER + 2000 * LINE


def test_it_waits_for_another_process_that_has_the_file_in_hand(tmp_path):
    path = tmp_path / "log.csv"
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        adding = threading.Thread(target=append, args=(path, [SPAN]))
        adding.start()
        adding.join(0.1)
        assert adding.is_alive()
        other.write((HEADER + LINE).encode())
    adding.join(10)
    assert path.read_text() == HEADER + 2 * LINE


def test_a_process_that_is_killed_while_it_writes_leaves_whole_lines_for_the_next_one(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import sys; from pathlib import Path; from edge.sinks.daily_log import append, from_line\n"
        "print(flush=True)\nwhile True: append(Path(sys.argv[1]), [from_line(sys.argv[2])] * 100)"
    )
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", program, str(path), LINE], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    append(path, [SPAN])
    header, *lines = path.read_text().splitlines(keepends=True)
    assert header == HEADER
    assert set(lines) == {LINE}


def test_days_are_those_of_files_that_have_exactly_such_a_name(tmp_path):
    for day in (date(2026, 11, 21), date(2025, 1, 2)):
        append(file_of(tmp_path, day), [])
    for other in ("emotions-2026-02-31.csv", "emotions-2026-11-20.csv.bak", "my-emotions-2026-11-20.csv", "notes.txt"):
        (tmp_path / other).touch()
    (tmp_path / "emotions-2026-11-19.csv").mkdir()
    assert days(tmp_path) == [date(2025, 1, 2), date(2026, 11, 21)]
