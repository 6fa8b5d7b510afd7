"""One sink's failure is told once and hurts neither a live run nor the other sinks; of files it ends the run."""

import pytest

from edge.errors import SinkError
from edge.sinks.group import RETRY_SECONDS, TRIAL_SECONDS, SinkGroup
from tests.support.fakes import frame_result


class Note:
    """A sink that fails where told to: `bad` is what write raises, `shut` what entering raises."""

    def __init__(self, log, name, reopens=False, bad=None, shut=None, late=None):
        self.log, self.name, self.reopens = log, name, reopens
        self.bad, self.shut, self.late = bad, shut, late

    def __enter__(self):
        if self.shut:
            raise self.shut
        self.log.append(f"{self.name} open")
        return self

    def write(self, observation):
        if self.bad:
            raise self.bad
        self.log.append(f"{self.name} {observation.frame.index}")

    def __exit__(self, kind, error, trace):
        self.log.append(f"{self.name} closed")
        if self.late:
            raise self.late


def run(outputs, *indices):
    with outputs:
        for index in indices:
            outputs.write(frame_result(index=index))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def log():
    return []


@pytest.fixture
def clock():
    return Clock()


FULL = SinkError("jsonl:x: cannot be written (No space left on device)")


def test_all_are_opened_written_to_in_their_order_and_closed_the_last_one_first(log):
    with SinkGroup({name: Note(log, name) for name in "ab"}, live=True) as outputs:
        outputs.write(frame_result(index=7))
    assert log == ["a open", "b open", "a 7", "b 7", "b closed", "a closed"]


@pytest.mark.parametrize("live", [True, False])
def test_one_that_cannot_be_opened_ends_the_run_before_it_begins_with_the_others_closed(log, live):
    outputs = SinkGroup({"a": Note(log, "a"), "b": Note(log, "b", shut=FULL)}, live)
    with pytest.raises(SinkError), outputs:
        pass
    assert log == ["a open", "a closed"]


def test_of_files_a_failure_ends_the_run_with_everything_closed(log):
    with (
        pytest.raises(SinkError),
        SinkGroup({"a": Note(log, "a", bad=FULL), "b": Note(log, "b")}, live=False) as outputs,
    ):
        outputs.write(frame_result())
    assert log == ["a open", "b open", "b closed", "a closed"]


def test_a_live_run_goes_on_without_one_that_fails_and_says_so_once_and_in_the_end(log, capfd):
    sinks = {"a": Note(log, "a"), "b": Note(log, "b", bad=KeyError("x")), "c": Note(log, "c")}
    with pytest.raises(KeyError):
        run(SinkGroup(sinks, live=True), 0, 1)
    assert log[3:] == ["a 0", "b closed", "c 0", "a 1", "c 1", "c closed", "a closed"]
    assert capfd.readouterr().err == "edge: error: b: failed (KeyError: 'x'); the run goes on without it\n"


def test_two_that_fail_in_the_same_frame_are_both_left_out(log, capfd):
    sinks = {"a": Note(log, "a", bad=FULL), "b": Note(log, "b", bad=KeyError("x")), "c": Note(log, "c")}
    with pytest.raises(SinkError):
        run(SinkGroup(sinks, live=True), 0, 1)
    assert [line for line in log if line.startswith("c")] == ["c open", "c 0", "c 1", "c closed"]
    assert capfd.readouterr().err.count("the run goes on without it") == 2


def test_a_live_run_ends_when_none_is_left(log, capfd):
    with pytest.raises(SinkError, match="No space"), SinkGroup({"a": Note(log, "a", bad=FULL)}, live=True) as outputs:
        outputs.write(frame_result())
    assert capfd.readouterr().err == ""  # the command says it


@pytest.mark.parametrize("live", [True, False])
def test_a_reader_that_goes_ends_any_run(log, live):
    sinks = {"a": Note(log, "a", bad=BrokenPipeError()), "b": Note(log, "b")}
    with pytest.raises(BrokenPipeError), SinkGroup(sinks, live) as outputs:
        outputs.write(frame_result())
    assert log[-2:] == ["b closed", "a closed"]


def test_one_that_reopens_is_tried_again_after_a_while_and_works_again_when_it_has_for_a_while(log, clock, capfd):
    bad = Note(log, "a", reopens=True, bad=FULL)
    with SinkGroup({"a": bad}, live=True, clock=clock) as outputs:
        outputs.write(frame_result(index=0))
        assert "No space left on device); tried again every 60 s" in capfd.readouterr().err
        bad.bad = None
        clock.now = RETRY_SECONDS - 1
        outputs.write(frame_result(index=1))
        assert log == ["a open", "a closed"]
        clock.now = RETRY_SECONDS
        outputs.write(frame_result(index=2))
        assert log[2:] == ["a open", "a 2"]
        assert capfd.readouterr().err == ""
        clock.now += TRIAL_SECONDS
        outputs.write(frame_result(index=3))
        assert capfd.readouterr().err == "edge: a works again\n"
    assert log[4:] == ["a 3", "a closed"]


def test_a_disk_that_stays_full_is_one_line_however_long_the_run(log, clock, capfd):
    sinks = {"a": Note(log, "a", reopens=True, bad=FULL), "b": Note(log, "b")}
    clock.now = -1.0

    def each_second():
        clock.now += 1
        return clock.now

    with pytest.raises(SinkError):
        run(SinkGroup(sinks, live=True, clock=each_second), *range(1000))
    assert log.count("a open") == 1 + clock.now // RETRY_SECONDS
    assert capfd.readouterr().err.count("\n") == 1


def test_another_failure_than_the_one_before_is_told(log, clock, capfd):
    bad = Note(log, "a", reopens=True, bad=FULL)
    with pytest.raises(SinkError, match="gone"), SinkGroup({"a": bad}, live=True, clock=clock) as outputs:  # noqa: PT012
        outputs.write(frame_result())
        bad.bad = SinkError("the stick is gone")
        clock.now = RETRY_SECONDS
        outputs.write(frame_result())
    assert capfd.readouterr().err.count("\n") == 2


def test_one_that_cannot_be_entered_again_is_tried_until_it_can(log, clock):
    bad = Note(log, "a", reopens=True, bad=FULL)
    with SinkGroup({"a": bad}, live=True, clock=clock) as outputs:
        outputs.write(frame_result())
        bad.bad, bad.shut = None, FULL
        clock.now = RETRY_SECONDS
        outputs.write(frame_result())
        bad.shut = None
        clock.now = 2 * RETRY_SECONDS
        outputs.write(frame_result(index=5))
    assert log[-3:] == ["a open", "a 5", "a closed"]  # and that it never came back is no error then


def test_an_error_while_closing_is_raised_after_all_are_closed(log):
    sinks = {"a": Note(log, "a"), "b": Note(log, "b", late=FULL)}
    with pytest.raises(SinkError), SinkGroup(sinks, live=True):
        pass
    assert log[-2:] == ["b closed", "a closed"]


def test_the_error_that_ended_the_run_is_not_hidden_by_one_while_closing(log):
    with pytest.raises(KeyError), SinkGroup({"a": Note(log, "a", late=FULL)}, live=True):
        raise KeyError
