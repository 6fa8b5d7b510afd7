"""The log of the day: exact lengths, a line a label and at most ten seconds lost, one file a day, never too many."""

import os
import re
import signal
import time
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from edge.diagnostics import summary
from edge.errors import SinkError, UsageError
from edge.sinks import background_writer as outbox
from edge.sinks import csv
from edge.sinks import daily_log as daylog
from edge.sinks.csv import SLOT, Sink, Stays
from edge.sinks.daily_log import HEADER, Span, from_line
from edge.types import RunInfo
from tests.support.commands import run_edge
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import RunInfo as Process
from tests.support.kiosk import until

NOON = datetime(2026, 11, 21, 12, 0, 0).astimezone()
LIVE = RunInfo(live=True)


class Time:
    """The clocks of the sink: one that never is set, and one on the wall that may be."""

    def __init__(self, wall=NOON):
        self.started, self.now = wall.timestamp(), 0.0

    def time(self):
        return self.started + self.now

    def monotonic(self):
        return 5000.0 + self.now

    def set(self, wall):
        self.started = wall.timestamp() - self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(csv, "time", clock)
    return clock


@pytest.fixture
def at_once(monkeypatch):
    """Has the sink do its work in `write`, so that a test may turn the clock in between."""

    monkeypatch.setattr(outbox.BackgroundWriter, "put", lambda self, item: self._work(item))


class Day:
    """Somebody before the camera: `look` shows the sink who is there at a second of the run."""

    def __init__(self, sink, clock):
        self.sink, self.clock = sink, clock

    def look(self, second, *readings):
        self.clock.now = second
        observation = frame_result(*readings)
        arrived = replace(observation.frame, captured_at=self.clock.monotonic())
        self.sink.write(replace(observation, frame=arrived))

    def stay(self, begin, end, *readings, fps=10):
        """Show `readings` in each frame from second `begin` to `end`, both included."""
        for number in range(round((end - begin) * fps) + 1):
            self.look(begin + number / fps, *readings)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def day(log, clock, at_once):
    with Sink(str(log), LIVE) as sink:
        yield Day(sink, clock)


def spans(folder) -> list[Span]:
    """Return what all files hold, each of which has its header."""
    found = []
    for path in sorted(folder.glob("emotions-*.csv")):
        header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        assert header == HEADER
        found += [from_line(line) for line in lines]
    return found


def short(folder) -> list[tuple[float, float, int, str | None]]:
    """Return begin (seconds of the run), length, face and label of each span."""
    return [
        (round((each.begin - NOON).total_seconds(), 3), each.seconds, each.face, each.label) for each in spans(folder)
    ]


# What is written


def test_a_face_that_changes_is_a_span_for_each_label_without_a_gap(day, log):
    day.stay(0, 2, face_result("calm", 0.6))
    day.stay(2.1, 3, face_result("cross", 0.8))
    day.stay(3.1, 4, face_result(None, 0.5))
    day.stay(4.1, 12)
    assert short(log) == [(0, 2.1, 1, "calm"), (2.1, 1.0, 1, "cross"), (3.1, 0.9, 1, None)]
    assert [each.confidence for each in spans(log)] == pytest.approx([0.6, 0.8, 0.5])


def test_each_face_has_its_own_spans(day, log):
    day.stay(0, 2, face_result(), face_result("cross", track_id=2))
    day.stay(2.1, 4, face_result("cross", track_id=2))
    day.stay(4.1, 10)
    assert short(log) == [(0, 2, 1, "calm"), (0, 4, 2, "cross")]


def test_a_face_that_is_overlooked_for_a_moment_goes_on_and_one_that_was_away_begins_anew(day, log):
    day.stay(0, 1, face_result())
    day.stay(1.1, 1.9)
    day.stay(2, 3, face_result())
    day.stay(3.1, 5)
    day.stay(5.1, 6, face_result())
    day.stay(6.1, 10)
    assert short(log) == [(0, 3, 1, "calm"), (5.1, 0.9, 1, "calm")]


def test_of_a_slow_run_a_face_that_is_in_each_frame_is_there_all_the_while(day, log):
    for second in (0, 8, 16, 24):
        day.look(second, face_result())
    day.look(32)
    assert sum(each.seconds for each in spans(log)) == 24


def test_a_camera_that_was_away_does_not_make_a_long_stay(day, log):
    day.look(0, face_result())
    day.look(1, face_result())
    day.look(300, face_result())
    day.look(310)
    assert [(begin, length) for begin, length, *_ in short(log)] == [(0, 1), (300, 0)]


def test_a_face_in_a_single_frame_has_a_line_of_no_length(day, log):
    day.look(0, face_result())
    day.stay(0.1, 10)
    assert short(log) == [(0, 0, 1, "calm")]


def test_a_long_stay_is_written_every_ten_seconds_and_its_parts_are_the_whole(day, log):
    day.stay(3, 41, face_result())
    assert [begin for begin, *_ in short(log)] == [3, 10, 20, 30]
    day.stay(41.1, 50)
    assert sum(each.seconds for each in spans(log)) == pytest.approx(38, abs=0.001)


def test_no_span_lies_in_two_hours_or_two_days(log, clock, at_once):
    clock.started = datetime(2026, 11, 21, 23, 59, 55).astimezone().timestamp()
    with Sink(str(log), LIVE) as sink:
        Day(sink, clock).stay(0, 12, face_result(), fps=30)
    first, second = spans(log)
    assert (first.begin.date(), second.begin.date()) == (date(2026, 11, 21), date(2026, 11, 22))
    assert first.begin.timestamp() + first.seconds == pytest.approx(second.begin.timestamp(), abs=0.002)
    assert (second.begin.hour, second.begin.minute, second.begin.second) == (0, 0, 0)
    assert [path.name for path in sorted(log.iterdir())] == ["emotions-2026-11-21.csv", "emotions-2026-11-22.csv"]


def test_all_of_a_run_is_of_that_run_and_of_another_run_is_not(log, clock):
    for _ in range(2):
        with Sink(str(log), LIVE) as sink:
            sink.write(frame_result(face_result()))
            sink.write(frame_result(face_result(track_id=2)))
    assert len({each.run for each in spans(log)}) == 2
    assert len({(each.run, each.face) for each in spans(log)}) == 4


def test_the_end_of_a_run_writes_what_is_open(log, clock, at_once):
    with Sink(str(log), LIVE) as sink:
        Day(sink, clock).stay(0, 2, face_result())
    assert short(log) == [(0, 2, 1, "calm")]


def test_a_day_with_nobody_has_a_file_too(day, log):
    day.look(0)
    assert (log / "emotions-2026-11-21.csv").read_text() == HEADER


# How often


def test_an_hour_of_somebody_who_changes_all_the_time_is_one_write_in_ten_seconds(day, monkeypatch):
    writes = []
    monkeypatch.setattr(csv, "append", lambda path, _: writes.append(path))
    for second in range(3601):
        day.look(second, face_result("calm" if second % 2 else "cross"))
    assert len(writes) == 3600 / SLOT + 1


def test_while_nobody_is_there_nothing_is_written(day, log, monkeypatch):
    day.look(0)
    monkeypatch.setattr(csv, "append", None)
    day.stay(1, 600, fps=5)


def test_a_face_all_day_makes_a_file_of_the_stated_size():
    line = daylog.to_line(Span(NOON, 10.0, "5f21c0", 999, "calm" * 2, 0.873))
    assert 0.4e6 < len(line) * 86_400 / SLOT + len(line) * 7.5 * 60 * 24 < 1.5e6  # 7.5 changes a minute


# Clocks that are wrong


def test_a_clock_that_is_set_changes_dates_and_no_length(day, log, clock):
    day.stay(0, 4, face_result())
    clock.set(NOON + timedelta(hours=3))
    day.stay(4.1, 8, face_result())
    day.stay(8.1, 20)
    assert sum(each.seconds for each in spans(log)) == pytest.approx(8, abs=0.001)
    # The clock was set at second 4, and what was not yet written then is dated by the new one.
    moved = spans(log)[0].begin - (NOON + timedelta(hours=3))
    assert moved.total_seconds() == pytest.approx(-4, abs=0.002)


def test_a_board_that_starts_in_the_past_logs_to_that_date_until_it_knows_better(log, clock, at_once):
    clock.started = datetime(1970, 1, 1, 0, 0, 5).astimezone().timestamp()
    with Sink(str(log), LIVE) as sink:
        day = Day(sink, clock)
        day.stay(0, 6, face_result())
        clock.set(NOON + timedelta(seconds=6))
        day.stay(6.1, 8, face_result())
    assert [path.name for path in sorted(log.iterdir())] == ["emotions-1970-01-01.csv", "emotions-2026-11-21.csv"]
    assert sum(each.seconds for each in spans(log)) == pytest.approx(8, abs=0.001)


# How much


def test_of_more_days_than_asked_for_the_oldest_goes_and_nobody_elses_file(log, clock, at_once):
    log.mkdir()
    mine = [f"emotions-2026-11-{number:02d}.csv" for number in (1, 2, 3)]
    others = ["emotions-2026-11-01.csv.bak", "emotions.csv", "notes.txt", "emotions-2026-02-31.csv"]
    for name in (*mine, *others):
        (log / name).write_text(HEADER)
    with Sink(f"{log},days=3", LIVE) as sink:
        Day(sink, clock).look(0)
    assert {path.name for path in log.iterdir()} == {*mine[1:], "emotions-2026-11-21.csv", *others}


def test_a_clock_in_the_far_future_does_not_delete_what_is_there(log, clock, at_once):
    with Sink(f"{log},days=2", LIVE) as sink:
        day = Day(sink, clock)
        day.look(0, face_result())
        clock.set(NOON + timedelta(days=36_000))
        day.look(1)
    assert len(list(log.iterdir())) == 2


def test_the_day_that_is_written_to_is_not_deleted_though_its_date_is_the_oldest(log, clock, at_once):
    log.mkdir()
    (log / "emotions-2099-01-01.csv").write_text(HEADER)
    with Sink(f"{log},days=1", LIVE) as sink:
        Day(sink, clock).look(0)
    assert (log / "emotions-2026-11-21.csv").exists()


def test_a_day_of_the_largest_size_is_not_logged_on_which_is_said_once(log, clock, at_once, capfd):
    log.mkdir()
    path = log / "emotions-2026-11-21.csv"
    path.write_bytes(HEADER.encode() + b"\n" * 1_000_000)
    with Sink(f"{log},max-mb=1", LIVE) as sink:
        Day(sink, clock).stay(0, 40, face_result())
    assert path.stat().st_size == len(HEADER) + 1_000_000
    told = capfd.readouterr().err
    assert told == f"edge: csv:{path}: holds 1 MB, the rest of the day is not logged; 'max-mb=' sets more\n"


# What goes wrong


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "no folder found, expected csv:FOLDER"),
        ("days=3", "no folder found"),
        ("log,days=0", "days is '0', expected a whole number from 1 to"),
        ("log,max-mb=x", "max-mb is 'x', expected a whole number"),
        ("log,day=3", "no option 'day'; did you mean days?"),
    ],
)
def test_a_wrong_argument_is_refused_when_it_is_made(argument, words):
    with pytest.raises(UsageError, match=re.escape(f"sink csv: {words}")):
        Sink(argument, LIVE)


def test_making_one_opens_nothing(log):
    Sink(str(log), LIVE)
    assert not log.exists()


def test_a_run_of_files_is_refused(portrait_file, log):
    result = run_edge("run", portrait_file, "-s", f"csv:{log}")
    assert result.returncode == 2
    assert result.stderr == (
        "edge: error: sink csv: the log of the day is of a live camera; for files there is jsonl:FILE\n"
    )


def test_a_folder_that_cannot_be_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=f"csv:{tmp_path}/file/log: cannot be made"), Sink(f"{tmp_path}/file/log", LIVE):
        pass


def test_a_folder_that_may_not_be_written_to_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(SinkError, match="cannot be written to, check its owner and mode"), Sink(str(tmp_path), LIVE):
        pass


def test_what_a_full_disk_did_not_take_is_written_when_there_is_room_again(log, clock, at_once, monkeypatch):
    def full(path, spans):
        raise OSError(28, "No space left on device")

    sink = Sink(str(log), LIVE)
    sink.__enter__()
    day = Day(sink, clock)
    day.stay(0, 4, face_result())
    monkeypatch.setattr(csv, "append", full)
    with pytest.raises(SinkError, match=r"emotions-2026-11-21\.csv: cannot be written \(No space left on device\)"):
        day.stay(4.1, 12, face_result())
    sink.__exit__(None, None, None)  # which tries once more
    monkeypatch.setattr(csv, "append", daylog.append)
    with sink:
        day.stay(70, 74, face_result(track_id=2))
    assert sum(length for _, length, face, _ in short(log) if face == 1) == pytest.approx(10, abs=0.2)
    assert sum(length for _, length, face, _ in short(log) if face == 2) == pytest.approx(4, abs=0.001)


# In a real run


def test_a_run_logs_a_day_that_the_summary_tells(log):
    with Process("run", "synthetic:faces=2", "-s", f"csv:{log}", "-s", "console") as run:
        until(lambda: log.exists() and list(log.iterdir()))
        time.sleep(1)  # of somebody being there
        assert run.stop() < 1.5  # promised is a second; the machine of a test is busy
        assert run.process.returncode == 0
    found = summary.read(log, None)
    assert len(found.whole.faces) == 2
    assert found.whole.seconds > 1
    assert found.damaged == []
    result = run_edge("summary", log)
    assert result.stdout.startswith(f"{date.today()}, ")  # noqa: DTZ011 (the log's date is a local one)
    assert ": 2 faces, " in result.stdout


@pytest.mark.slow
def test_a_run_that_is_killed_loses_at_most_ten_seconds_and_the_next_one_goes_on(log):
    with Process("run", "synthetic", "-s", f"csv:{log}") as run:
        until(lambda: [each for each in (spans(log) if log.exists() and list(log.iterdir()) else []) if each.seconds])
        killed = time.time()
        run.process.send_signal(signal.SIGKILL)
        run.end()
    kept = spans(log)
    ended = max(each.begin.timestamp() + each.seconds for each in kept)
    assert killed - ended < SLOT + 1
    path = next(iter(log.iterdir()))
    os.truncate(path, path.stat().st_size - 5)  # and the disk's last block with it
    with Process("run", "synthetic", "--max-frames", 3, "-s", f"csv:{log}") as run:
        assert run.end() == 0
    assert spans(log)[: len(kept) - 1] == kept[:-1]
    assert len({each.run for each in spans(log)}) == 2


def test_stays_that_were_cut_and_not_seen_again_are_not_told():
    stays = Stays()
    stays.see(0.0, [face_result()])
    stays.see(1.0, [face_result()])
    stays.cut()
    stays.leave()
    assert [(stay.begin, stay.last) for stay in stays.done] == [(0.0, 1.0)]
