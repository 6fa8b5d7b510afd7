"""The daily log: exact durations, a line for each label, ten seconds lost at most, one file a day, never too many."""

import json
import os
import re
import signal
import time
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks import daily_log, daylog
from edge.sinks.daily_log import HEADER, Segment, parse_line
from edge.sinks.daylog import WRITE_INTERVAL_SECONDS, Sample, SegmentTracker, Sink
from edge.types import RunInfo
from tests.support.commands import run_edge
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import EdgeProcess, wait_until

NOON = datetime(2026, 11, 21, 12, 0, 0).astimezone()
LIVE = RunInfo(live=True)


class TwoClocks:
    """Replaces the module `time`: a monotonic clock, and a wall clock that can be set."""

    def __init__(self):
        self.start, self.now = NOON.timestamp(), 0.0

    def time(self):
        return self.start + self.now

    def monotonic(self):
        return 5000.0 + self.now

    def set_wall_clock(self, wall):
        self.start = wall.timestamp() - self.now


@pytest.fixture
def clock(monkeypatch):
    clock = TwoClocks()
    monkeypatch.setattr(daylog, "time", clock)
    return clock


class Visitor:
    """Writes results to the sink, at given seconds of the run."""

    def __init__(self, sink, clock):
        self.sink, self.clock = sink, clock

    def show(self, second, *faces):
        """Write a frame with `faces`."""
        self.clock.now = second
        result = frame_result(*faces)
        self.sink.write(replace(result, frame=replace(result.frame, captured_at=self.clock.monotonic())))

    def stay(self, begin, end, *faces, fps=10):
        """Write frames with `faces` from second `begin` to `end`, both included."""
        for number in range(round((end - begin) * fps) + 1):
            self.show(begin + number / fps, *faces)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def visitor(log, clock, no_threads):
    with Sink(str(log), LIVE) as sink:
        yield Visitor(sink, clock)


def read_segments(folder) -> list[Segment]:
    """Return the segments of all files, each of which has its header."""
    segments = []
    for path in sorted(folder.glob("emotions-*.csv")):
        header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        assert header == HEADER
        segments += [parse_line(line) for line in lines]
    return segments


def rows(folder) -> list[tuple[float, float, int, str | None]]:
    """Return begin (seconds of the run), duration, track id and label of each segment."""
    return [
        (round((segment.begin - NOON).total_seconds(), 3), segment.seconds, segment.track_id, segment.label)
        for segment in read_segments(folder)
    ]


# --- segments -----------------------------------------------------------------------------------------------------


def test_each_label_is_a_segment_without_gaps(visitor, log):
    visitor.stay(0, 2, face_result("calm", 0.6))
    visitor.stay(2.1, 3, face_result("cross", 0.8))
    visitor.stay(3.1, 4, face_result(None, 0.5))
    visitor.stay(4.1, 12)
    assert rows(log) == [(0, 2.1, 1, "calm"), (2.1, 1.0, 1, "cross"), (3.1, 0.9, 1, None)]
    assert [segment.confidence for segment in read_segments(log)] == pytest.approx([0.6, 0.8, 0.5])


def test_each_face_has_its_own_segments(visitor, log):
    visitor.stay(0, 2, face_result(), face_result("cross", track_id=2))
    visitor.stay(2.1, 4, face_result("cross", track_id=2))
    visitor.stay(4.1, 10)
    assert rows(log) == [(0, 2, 1, "calm"), (0, 4, 2, "cross")]


def test_a_missed_face_continues_and_a_returning_one_begins_anew(visitor, log):
    visitor.stay(0, 1, face_result())
    visitor.stay(1.1, 1.9)
    visitor.stay(2, 3, face_result())
    visitor.stay(3.1, 5)
    visitor.stay(5.1, 6, face_result())
    visitor.stay(6.1, 10)
    assert rows(log) == [(0, 3, 1, "calm"), (5.1, 0.9, 1, "calm")]


def test_in_a_slow_run_a_face_in_each_frame_stays_present(visitor, log):
    for second in (0, 8, 16, 24):
        visitor.show(second, face_result())
    visitor.show(32)
    assert sum(segment.seconds for segment in read_segments(log)) == 24


def test_an_interruption_of_the_camera_is_not_counted(visitor, log):
    visitor.show(0, face_result())
    visitor.show(1, face_result())
    visitor.show(300, face_result())
    visitor.show(310)
    assert [(begin, seconds) for begin, seconds, *_ in rows(log)] == [(0, 1), (300, 0)]


def test_a_face_in_a_single_frame_has_a_segment_of_no_length(visitor, log):
    visitor.show(0, face_result())
    visitor.stay(0.1, 10)
    assert rows(log) == [(0, 0, 1, "calm")]


def test_a_long_segment_is_split_every_interval(visitor, log):
    visitor.stay(3, 41, face_result())
    assert [begin for begin, *_ in rows(log)] == [3, 10, 20, 30]
    visitor.stay(41.1, 50)
    assert sum(segment.seconds for segment in read_segments(log)) == pytest.approx(38, abs=0.001)


def test_no_segment_spans_two_hours_or_days(log, clock, no_threads):
    clock.start = datetime(2026, 11, 21, 23, 59, 55).astimezone().timestamp()
    with Sink(str(log), LIVE) as sink:
        Visitor(sink, clock).stay(0, 12, face_result(), fps=30)
    first, second = read_segments(log)
    assert (first.begin.date(), second.begin.date()) == (date(2026, 11, 21), date(2026, 11, 22))
    assert first.begin.timestamp() + first.seconds == pytest.approx(second.begin.timestamp(), abs=0.002)
    assert (second.begin.hour, second.begin.minute, second.begin.second) == (0, 0, 0)
    assert [path.name for path in sorted(log.iterdir())] == ["emotions-2026-11-21.csv", "emotions-2026-11-22.csv"]


def test_the_segments_of_a_run_share_its_id(log, clock):
    for _ in range(2):
        with Sink(str(log), LIVE) as sink:
            sink.write(frame_result(face_result()))
            sink.write(frame_result(face_result(track_id=2)))
    assert len({segment.run for segment in read_segments(log)}) == 2
    assert len({(segment.run, segment.track_id) for segment in read_segments(log)}) == 4


def test_the_end_of_a_run_writes_open_segments(log, clock, no_threads):
    with Sink(str(log), LIVE) as sink:
        Visitor(sink, clock).stay(0, 2, face_result())
    assert rows(log) == [(0, 2, 1, "calm")]


def test_a_day_without_faces_has_a_file(visitor, log):
    visitor.show(0)
    assert (log / "emotions-2026-11-21.csv").read_text() == HEADER


def test_a_segment_without_frames_after_a_split_is_not_logged():
    segments = SegmentTracker()
    segments.add(Sample(0.0, [face_result()]))
    segments.add(Sample(1.0, [face_result()]))
    segments.split()
    segments.finish_all()
    assert [(segment.begin, segment.end) for segment in segments.finished] == [(0.0, 1.0)]


# --- frequency of writes ------------------------------------------------------------------------------------------


def test_an_hour_of_changes_is_one_write_in_each_interval(visitor, monkeypatch):
    writes = []
    monkeypatch.setattr(daylog, "append", lambda path, _: writes.append(path))
    for second in range(3601):
        visitor.show(second, face_result("calm" if second % 2 else "cross"))
    assert len(writes) == 3600 / WRITE_INTERVAL_SECONDS + 1


def test_without_a_face_nothing_is_written(visitor, monkeypatch):
    visitor.show(0)
    monkeypatch.setattr(daylog, "append", lambda *_: pytest.fail("written"))
    visitor.stay(1, 600, fps=5)


def test_a_face_present_all_day_takes_the_documented_size():
    line = daily_log.format_line(Segment(NOON, 10.0, "5f21c0", 999, "calm" * 2, 0.873))
    lines = 86_400 / WRITE_INTERVAL_SECONDS + 7.5 * 60 * 24  # 7.5 changes a minute
    assert 0.4e6 < len(line) * lines < 1.5e6


# --- wrong clocks -------------------------------------------------------------------------------------------------


def test_setting_the_clock_changes_dates_and_no_duration(visitor, log, clock):
    visitor.stay(0, 4, face_result())
    clock.set_wall_clock(NOON + timedelta(hours=3))
    visitor.stay(4.1, 8, face_result())
    visitor.stay(8.1, 20)
    assert sum(segment.seconds for segment in read_segments(log)) == pytest.approx(8, abs=0.001)
    # The clock was set at second 4: what was not written by then gets the new date.
    offset = read_segments(log)[0].begin - (NOON + timedelta(hours=3))
    assert offset.total_seconds() == pytest.approx(-4, abs=0.002)


def test_a_board_that_starts_in_the_past_logs_to_that_date(log, clock, no_threads):
    clock.start = datetime(1970, 1, 1, 0, 0, 5).astimezone().timestamp()
    with Sink(str(log), LIVE) as sink:
        visitor = Visitor(sink, clock)
        visitor.stay(0, 6, face_result())
        clock.set_wall_clock(NOON + timedelta(seconds=6))
        visitor.stay(6.1, 8, face_result())
    assert [path.name for path in sorted(log.iterdir())] == ["emotions-1970-01-01.csv", "emotions-2026-11-21.csv"]
    assert sum(segment.seconds for segment in read_segments(log)) == pytest.approx(8, abs=0.001)


# --- limits -------------------------------------------------------------------------------------------------------


def test_the_oldest_days_are_deleted_and_no_other_file(log, clock, no_threads):
    log.mkdir()
    days = [f"emotions-2026-11-{number:02d}.csv" for number in (1, 2, 3)]
    others = ["emotions-2026-11-01.csv.bak", "emotions.csv", "notes.txt", "emotions-2026-02-31.csv"]
    for name in (*days, *others):
        (log / name).write_text(HEADER)
    with Sink(f"{log},days=3", LIVE) as sink:
        Visitor(sink, clock).show(0)
    assert {path.name for path in log.iterdir()} == {*days[1:], "emotions-2026-11-21.csv", *others}


def test_a_clock_far_in_the_future_deletes_nothing(log, clock, no_threads):
    with Sink(f"{log},days=2", LIVE) as sink:
        visitor = Visitor(sink, clock)
        visitor.show(0, face_result())
        clock.set_wall_clock(NOON + timedelta(days=36_000))
        visitor.show(1)
    assert len(list(log.iterdir())) == 2


def test_today_is_not_deleted_even_if_it_is_the_oldest(log, clock, no_threads):
    log.mkdir()
    (log / "emotions-2099-01-01.csv").write_text(HEADER)
    with Sink(f"{log},days=1", LIVE) as sink:
        Visitor(sink, clock).show(0)
    assert (log / "emotions-2026-11-21.csv").exists()


def test_a_day_at_its_size_limit_is_reported_once(log, clock, no_threads, caplog):
    log.mkdir()
    path = log / "emotions-2026-11-21.csv"
    path.write_bytes(HEADER.encode() + b"\n" * 1_000_000)
    with Sink(f"{log},max-mb=1", LIVE) as sink:
        Visitor(sink, clock).stay(0, 40, face_result())
    assert path.stat().st_size == len(HEADER) + 1_000_000
    (message,) = caplog.messages
    assert str(path) in message
    assert "1 MB" in message


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "no folder found, expected daylog:FOLDER"),
        ("days=3", "no folder found"),
        ("log,days=0", "days is '0'"),
        ("log,max-mb=x", "max-mb is 'x'"),
        ("log,day=3", "unknown option 'day'; did you mean days?"),
    ],
)
def test_an_invalid_argument_is_refused(argument, words):
    with pytest.raises(UsageError, match=re.escape(f"sink daylog: {words}")):
        Sink(argument, LIVE)


def test_making_the_sink_opens_nothing(log):
    Sink(str(log), LIVE)
    assert not log.exists()


def test_a_run_over_files_is_refused(portrait_file, log):
    result = run_edge("run", portrait_file, "-s", f"daylog:{log}")
    assert result.returncode == 2
    assert "sink daylog: " in result.stderr
    assert "csv:FILE.csv" in result.stderr


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    error = pytest.raises(SinkError, match=f"daylog:{tmp_path}/file/log: cannot be created")
    with error, Sink(f"{tmp_path}/file/log", LIVE):
        pass


def test_a_folder_without_permission_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(SinkError, match=f"daylog:{tmp_path}: cannot be written"), Sink(str(tmp_path), LIVE):
        pass


def test_segments_wait_for_room_on_a_full_disk(log, clock, no_threads, monkeypatch):
    def fail(path, segments):
        raise OSError(28, "No space left on device")

    sink = Sink(str(log), LIVE)
    sink.__enter__()
    visitor = Visitor(sink, clock)
    visitor.stay(0, 4, face_result())
    monkeypatch.setattr(daylog, "append", fail)
    with pytest.raises(SinkError, match=r"emotions-2026-11-21\.csv: cannot be written \(No space left on device\)"):
        visitor.stay(4.1, 12, face_result())
    sink.__exit__(None, None, None)  # tries once more
    monkeypatch.setattr(daylog, "append", daily_log.append)
    with sink:
        visitor.stay(70, 74, face_result(track_id=2))
    assert sum(seconds for _, seconds, track_id, _ in rows(log) if track_id == 1) == pytest.approx(10, abs=0.2)
    assert sum(seconds for _, seconds, track_id, _ in rows(log) if track_id == 2) == pytest.approx(4, abs=0.001)


# --- real runs ----------------------------------------------------------------------------------------------------


def has_duration(log) -> bool:
    return log.exists() and any(segment.seconds for segment in read_segments(log))


def test_edge_summary_reads_the_log_of_a_run(log):
    run = run_edge("run", "synthetic:faces=2", "--duration", 3, "-s", f"daylog:{log}")
    assert run.returncode == 0
    segments = read_segments(log)
    assert len({segment.track_id for segment in segments}) == 2
    assert sum(segment.seconds for segment in segments) > 1
    summary = run_edge("summary", log, "--json")
    assert summary.returncode == 0
    assert json.loads(summary.stdout)["faces"] == 2


@pytest.mark.slow
def test_a_killed_run_loses_at_most_one_interval(log):
    with EdgeProcess("run", "synthetic", "-s", f"daylog:{log}") as run:
        wait_until(lambda: has_duration(log))
        killed_at = time.time()
        run.process.send_signal(signal.SIGKILL)
        run.wait_for_exit()
    kept = read_segments(log)
    end = max(segment.begin.timestamp() + segment.seconds for segment in kept)
    assert killed_at - end < WRITE_INTERVAL_SECONDS + 1
    path = next(iter(log.iterdir()))
    os.truncate(path, path.stat().st_size - 5)  # a power failure also loses the disk's last block
    with EdgeProcess("run", "synthetic", "--max-frames", 3, "-s", f"daylog:{log}") as run:
        assert run.wait_for_exit() == 0
    assert read_segments(log)[: len(kept) - 1] == kept[:-1]
    assert len({segment.run for segment in read_segments(log)}) == 2
