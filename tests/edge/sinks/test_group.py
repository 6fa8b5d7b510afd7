"""A failed sink is logged once and affects neither a live run nor the other sinks; it ends a run over files."""

import logging
from pathlib import Path
from typing import Any

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks import registry
from edge.sinks.group import CONFIRM_SECONDS, REOPEN_SECONDS, SinkGroup
from edge.types import RunInfo
from tests.support.fakes import FakeClock, frame_result

DISK_FULL = SinkError("jsonl:x: cannot be written (No space left on device)")


class FailingSink:
    """A sink that logs its calls to `calls`, and raises the errors that are set."""

    def __init__(self, calls, name, reopens=False, write_error=None, open_error=None, close_error=None):
        self.calls, self.name, self.reopens = calls, name, reopens
        self.write_error, self.open_error, self.close_error = write_error, open_error, close_error

    def __enter__(self):
        if self.open_error:
            raise self.open_error
        self.calls.append(f"{self.name} open")
        return self

    def write(self, result):
        if self.write_error:
            raise self.write_error
        self.calls.append(f"{self.name} {result.frame.index}")

    def __exit__(self, kind, error, trace):
        self.calls.append(f"{self.name} closed")
        if self.close_error:
            raise self.close_error


def write_frames(group, *indices):
    with group:
        for index in indices:
            group.write(frame_result(index=index))


@pytest.fixture
def calls():
    return []


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level(logging.INFO)
    return caplog


def test_sinks_are_opened_in_order_and_closed_in_reverse(calls):
    with SinkGroup({name: FailingSink(calls, name) for name in "ab"}, live=True) as group:
        group.write(frame_result(index=7))
    assert calls == ["a open", "b open", "a 7", "b 7", "b closed", "a closed"]


@pytest.mark.parametrize("live", [True, False])
def test_an_error_of_opening_closes_the_open_sinks(calls, live):
    group = SinkGroup({"a": FailingSink(calls, "a"), "b": FailingSink(calls, "b", open_error=DISK_FULL)}, live)
    with pytest.raises(SinkError), group:
        pass
    assert calls == ["a open", "a closed"]


def test_a_failure_ends_a_run_over_files_with_all_sinks_closed(calls):
    sinks = {"a": FailingSink(calls, "a", write_error=DISK_FULL), "b": FailingSink(calls, "b")}
    with pytest.raises(SinkError):
        write_frames(SinkGroup(sinks, live=False), 0)
    assert calls == ["a open", "b open", "b closed", "a closed"]


def test_a_live_run_continues_without_the_failed_sink(calls, log):
    sinks = {
        "a": FailingSink(calls, "a"),
        "b": FailingSink(calls, "b", write_error=KeyError("x")),
        "c": FailingSink(calls, "c"),
    }
    with pytest.raises(KeyError):
        write_frames(SinkGroup(sinks, live=True), 0, 1)
    assert calls[3:] == ["a 0", "b closed", "c 0", "a 1", "c 1", "c closed", "a closed"]
    (message,) = log.messages
    assert "b: KeyError: 'x'" in message
    assert log.records[0].levelno == logging.ERROR


def test_two_sinks_that_fail_in_one_frame_are_both_removed(calls, log):
    sinks = {
        "a": FailingSink(calls, "a", write_error=DISK_FULL),
        "b": FailingSink(calls, "b", write_error=KeyError("x")),
        "c": FailingSink(calls, "c"),
    }
    with pytest.raises(SinkError):
        write_frames(SinkGroup(sinks, live=True), 0, 1)
    assert [call for call in calls if call.startswith("c")] == ["c open", "c 0", "c 1", "c closed"]
    assert len(log.messages) == 2


def test_a_live_run_ends_when_no_sink_is_left(calls, log):
    with pytest.raises(SinkError, match="No space"):
        write_frames(SinkGroup({"a": FailingSink(calls, "a", write_error=DISK_FULL)}, live=True), 0)
    assert log.messages == []  # the command reports it


@pytest.mark.parametrize("live", [True, False])
def test_a_reader_that_exits_ends_any_run(calls, live):
    sinks = {"a": FailingSink(calls, "a", write_error=BrokenPipeError()), "b": FailingSink(calls, "b")}
    with pytest.raises(BrokenPipeError):
        write_frames(SinkGroup(sinks, live), 0)
    assert calls[-2:] == ["b closed", "a closed"]


def test_a_sink_is_reopened_and_recovers_after_a_while(calls, clock, log):
    sink = FailingSink(calls, "a", reopens=True, write_error=DISK_FULL)
    with SinkGroup({"a": sink}, live=True, clock=clock) as group:
        group.write(frame_result(index=0))
        assert "60 s" in log.messages[0]
        sink.write_error = None
        clock.now = REOPEN_SECONDS - 1
        group.write(frame_result(index=1))
        assert calls == ["a open", "a closed"]
        clock.now = REOPEN_SECONDS
        group.write(frame_result(index=2))
        assert calls[2:] == ["a open", "a 2"]
        assert len(log.messages) == 1
        clock.now += CONFIRM_SECONDS
        group.write(frame_result(index=3))
        assert "a works again" in log.messages[1]
    assert calls[4:] == ["a 3", "a closed"]


def test_a_permanent_failure_is_logged_once(calls, clock, log):
    sinks = {"a": FailingSink(calls, "a", reopens=True, write_error=DISK_FULL), "b": FailingSink(calls, "b")}
    with pytest.raises(SinkError), SinkGroup(sinks, live=True, clock=clock) as group:  # noqa: PT012
        for second in range(1000):
            clock.now = second
            group.write(frame_result(index=second))
    assert calls.count("a open") == 1 + clock.now // REOPEN_SECONDS
    assert len(log.messages) == 1


def test_a_different_failure_after_reopening_is_logged(calls, clock, log):
    sink = FailingSink(calls, "a", reopens=True, write_error=DISK_FULL)
    with pytest.raises(SinkError, match="gone"), SinkGroup({"a": sink}, live=True, clock=clock) as group:  # noqa: PT012
        group.write(frame_result())
        sink.write_error = SinkError("the stick is gone")
        clock.now = REOPEN_SECONDS
        group.write(frame_result())
    assert ["the stick is gone" in message for message in log.messages] == [False, True]


def test_a_sink_that_cannot_be_reopened_is_tried_again(calls, clock):
    sink = FailingSink(calls, "a", reopens=True, write_error=DISK_FULL)
    with SinkGroup({"a": sink}, live=True, clock=clock) as group:
        group.write(frame_result())
        sink.write_error, sink.open_error = None, DISK_FULL
        clock.now = REOPEN_SECONDS
        group.write(frame_result())
        sink.open_error = None
        clock.now = 2 * REOPEN_SECONDS
        group.write(frame_result(index=5))
    assert calls[-3:] == ["a open", "a 5", "a closed"]  # a reopened sink does not make the run fail


def test_an_error_of_closing_is_raised_after_all_are_closed(calls):
    sinks = {"a": FailingSink(calls, "a"), "b": FailingSink(calls, "b", close_error=DISK_FULL)}
    with pytest.raises(SinkError), SinkGroup(sinks, live=True):
        pass
    assert calls[-2:] == ["b closed", "a closed"]


def test_an_error_of_closing_does_not_hide_the_run_s_error(calls):
    with pytest.raises(KeyError), SinkGroup({"a": FailingSink(calls, "a", close_error=DISK_FULL)}, live=True):
        raise KeyError


class FileSink(FailingSink):
    """A sink that writes to `output`."""

    def __init__(self, output):
        super().__init__([], "file")
        self.output = output


class OtherFileSink(FileSink):
    """A sink of another kind."""


def test_two_sinks_that_write_the_same_file_are_refused(tmp_path):
    (tmp_path / "old").touch()
    (tmp_path / "link").symlink_to("old")
    (tmp_path / "new-link").symlink_to("new")
    (tmp_path / "hard").hardlink_to(tmp_path / "old")
    for one, other in (("old", "old"), ("old", "link"), ("old", "hard"), ("new", "new"), ("new", "new-link")):
        paths = tmp_path / one, tmp_path / other
        with pytest.raises(UsageError, match="sinks a and b write to the same place"):
            SinkGroup(dict(zip("ab", map(FileSink, paths), strict=True)), live=False)


def test_sinks_of_different_files_and_of_one_device_are_opened(tmp_path):
    (tmp_path / "old").touch()
    outputs = tmp_path / "old", tmp_path / "new", tmp_path, Path("/dev/null"), Path("/dev/null"), None, None
    SinkGroup({str(number): FileSink(output) for number, output in enumerate(outputs)}, live=False)
    SinkGroup({"a": FileSink(tmp_path), "b": OtherFileSink(tmp_path)}, live=False)
    with pytest.raises(UsageError):
        SinkGroup({"a": FileSink(tmp_path / "old"), "b": OtherFileSink(tmp_path / "old")}, live=False)
    with pytest.raises(UsageError):
        SinkGroup({"a": FileSink(tmp_path), "b": FileSink(tmp_path)}, live=False)


def test_sinks_of_two_kinds_that_write_one_new_file_are_refused(tmp_path):
    (tmp_path / "link").symlink_to("new.csv")
    for name in ("new.csv", "link"):
        with pytest.raises(UsageError, match="sinks a and b write to the same place"):
            SinkGroup({"a": FileSink(tmp_path / "new.csv"), "b": OtherFileSink(tmp_path / name)}, live=False)
    SinkGroup({"a": FileSink(tmp_path / "folder"), "b": OtherFileSink(tmp_path / "folder")}, live=False)


@pytest.mark.parametrize(
    "spec", ["jsonl:{}/a", "video:{}/a.png", "video:{}", "csv:{}/a.csv", "daylog:{}", "daylog:{},days=2"]
)
def test_each_sink_of_a_file_names_it(tmp_path, spec):
    sink: Any = registry.find(spec.format(tmp_path))(RunInfo(live=True))
    assert sink.output == Path(spec.format(tmp_path).partition(":")[2].partition(",")[0])
