"""A live sink's work is done by a thread, in order, bounded, and never waited for; any other's in its caller's time."""

import threading
import time

import pytest

from edge.sinks.background_writer import BackgroundWriter

PATIENCE = 10.0  # seconds; only a failing test waits as long


class Gate:
    """A worker that can be held up: `at` says which item it has in hand."""

    def __init__(self):
        self.open, self.arrived = threading.Event(), threading.Event()
        self.done, self.threads = [], set()

    def __call__(self, item):
        self.arrived.set()
        assert self.open.wait(PATIENCE)
        self.threads.add(threading.current_thread().name)
        self.done.append(item)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


def test_items_are_worked_on_in_their_order_by_a_thread_of_its_own(gate, capfd):
    gate.open.set()
    with BackgroundWriter("x", gate, live=True) as outbox:
        for number in range(100):
            outbox.put(number)
    assert gate.done == list(range(100))
    assert gate.threads == {"sink x"}
    assert capfd.readouterr().err == ""


def test_of_files_each_item_is_worked_on_at_once_in_the_callers_thread(gate):
    gate.open.set()
    with BackgroundWriter("x", gate, live=False) as outbox:
        outbox.put(1)
        assert gate.done == [1]
    assert gate.threads == {threading.current_thread().name}


def test_a_put_never_waits_and_the_oldest_are_dropped_for_the_newest(gate, capfd):
    with BackgroundWriter("x", gate, live=True, size=3, what="images") as outbox:
        outbox.put(0)
        assert gate.arrived.wait(PATIENCE)
        for number in range(1, 11):
            outbox.put(number)
        assert gate.done == []
        gate.open.set()
    assert gate.done == [0, 8, 9, 10]
    assert outbox.dropped == 7
    assert capfd.readouterr().err == "edge: x: 7 images dropped, as they were not taken in time\n"


def test_leaving_waits_for_its_grace_and_tells_what_was_not_taken(gate, capfd):
    start = time.monotonic()
    with BackgroundWriter("x", gate, live=True, grace=0.1) as outbox:
        outbox.put(0)
        assert gate.arrived.wait(PATIENCE)
        outbox.put(1)
        outbox.put(2)
        assert outbox.stuck
    assert 0.1 <= time.monotonic() - start < 1
    assert outbox.stuck
    assert outbox.dropped == 3  # the one in hand may never arrive either
    assert "3 lines dropped" in capfd.readouterr().err


def test_the_item_in_hand_may_be_given_more_time_than_those_that_wait(gate, capfd):
    threading.Timer(0.2, gate.open.set).start()
    with BackgroundWriter("x", gate, live=True, grace=0.0, in_hand=PATIENCE) as outbox:
        outbox.put(0)
        assert gate.arrived.wait(PATIENCE)
        outbox.put(1)
    assert gate.done == [0]
    assert not outbox.stuck
    assert (outbox.dropped, "1 lines dropped" in capfd.readouterr().err) == (1, True)


def failing(item):
    raise OSError(f"no place for {item}")


def test_what_the_work_raises_is_raised_where_the_next_item_is_put_and_by_leaving(capfd):
    outbox = BackgroundWriter("x", failing, live=True)
    with pytest.raises(OSError, match="no place for 0"), outbox:  # noqa: PT012 (leaving is what is tested)
        outbox.put(0)
        assert outbox._thread
        outbox._thread.join(PATIENCE)
        with pytest.raises(OSError, match="no place for 0"):
            outbox.put(1)
    assert capfd.readouterr().err == ""  # the error says enough


def test_of_an_error_what_it_kept_from_being_done_is_not_told_as_well(gate, capfd):
    def fail(item):
        gate(item)
        failing(item)

    with pytest.raises(OSError, match="no place for 0"), BackgroundWriter("x", fail, live=True) as outbox:  # noqa: PT012
        for number in range(5):
            outbox.put(number)
        gate.open.set()
    assert outbox.dropped == 4
    assert capfd.readouterr().err == ""


def test_an_error_of_the_last_item_is_raised_by_leaving():
    with pytest.raises(OSError, match="no place for 0"), BackgroundWriter("x", failing, live=True) as outbox:
        outbox.put(0)


def test_another_error_that_ends_the_run_is_not_hidden_by_the_works():
    with pytest.raises(KeyError), BackgroundWriter("x", failing, live=True) as outbox:  # noqa: PT012 (the error comes in between)
        outbox.put(0)
        raise KeyError


def test_of_files_an_error_is_raised_by_the_put_itself():
    with BackgroundWriter("x", failing, live=False) as outbox, pytest.raises(OSError, match="no place for 0"):
        outbox.put(0)


def test_one_that_failed_can_be_entered_again_and_has_forgotten_everything(capfd):
    done: list[int] = []
    works = iter([failing, done.append])
    outbox: BackgroundWriter[int] = BackgroundWriter("x", lambda item: next(works)(item), live=True)  # noqa: PLW0108 (another one each time)
    with pytest.raises(OSError, match="no place"), outbox:
        outbox.put(0)
    with outbox:
        outbox.put(1)
    assert done == [1]
    assert outbox.dropped == 0
    assert capfd.readouterr().err == ""


def test_a_thread_that_never_comes_back_does_not_keep_the_process_from_ending():
    outbox: BackgroundWriter[int] = BackgroundWriter("x", lambda _: None, live=True)
    with outbox:
        assert outbox._thread
        assert outbox._thread.daemon
