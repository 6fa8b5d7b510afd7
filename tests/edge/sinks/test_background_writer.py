"""In a live run a thread does the work, in order, bounded, and never waited for; otherwise the caller does it."""

import threading
import time

import pytest

from edge.sinks.background_writer import BackgroundWriter
from tests.support.kiosk import wait_until

TIMEOUT_SECONDS = 30.0  # only a failing test waits as long


class BlockedWorker:
    """Works only after `unblock` is set; `started` is set when it gets its first item."""

    def __init__(self):
        self.unblock, self.started = threading.Event(), threading.Event()
        self.done, self.threads = [], set()

    def __call__(self, item):
        self.started.set()
        assert self.unblock.wait(TIMEOUT_SECONDS)
        self.threads.add(threading.current_thread())
        self.done.append(item)


@pytest.fixture
def worker():
    worker = BlockedWorker()
    yield worker
    worker.unblock.set()


def fail(item):
    raise OSError(f"no space for {item}")


def test_a_thread_handles_the_items_in_order(worker, caplog):
    worker.unblock.set()
    with BackgroundWriter("x", worker, live=True, drain_timeout=TIMEOUT_SECONDS) as writer:
        for number in range(100):
            writer.put(number)
    assert worker.done == list(range(100))
    assert [thread.name for thread in worker.threads] == ["sink x"]
    assert caplog.messages == []


def test_without_a_live_source_the_caller_handles_each_item(worker):
    worker.unblock.set()
    with BackgroundWriter("x", worker, live=False) as writer:
        writer.put(1)
        assert worker.done == [1]
    assert worker.threads == {threading.current_thread()}


def test_put_never_blocks_and_the_oldest_items_are_dropped(worker, caplog):
    with BackgroundWriter("x", worker, live=True, max_items=3, drain_timeout=TIMEOUT_SECONDS, unit="images") as writer:
        writer.put(0)
        assert worker.started.wait(TIMEOUT_SECONDS)
        for number in range(1, 11):
            writer.put(number)
        assert worker.done == []
        worker.unblock.set()
    assert worker.done == [0, 8, 9, 10]
    assert writer.dropped == 7
    (message,) = caplog.messages
    assert "x: " in message
    assert "7 images dropped" in message


def test_leaving_waits_for_the_drain_timeout_and_logs_the_rest(worker, caplog):
    start = time.monotonic()
    with BackgroundWriter("x", worker, live=True, drain_timeout=0.1) as writer:
        writer.put(0)
        assert worker.started.wait(TIMEOUT_SECONDS)
        writer.put(1)
        writer.put(2)
        assert writer.stuck
    assert 0.1 <= time.monotonic() - start < TIMEOUT_SECONDS
    assert writer.stuck
    assert writer.dropped == 3  # the item in progress may never be done either
    assert "3 lines dropped" in caplog.text


def test_the_item_in_progress_may_get_more_time(worker, caplog):
    threading.Timer(0.2, worker.unblock.set).start()
    with BackgroundWriter("x", worker, live=True, drain_timeout=0.0, finish_timeout=TIMEOUT_SECONDS) as writer:
        writer.put(0)
        assert worker.started.wait(TIMEOUT_SECONDS)
        writer.put(1)
    assert worker.done == [0]
    assert not writer.stuck
    assert writer.dropped == 1
    assert "1 lines dropped" in caplog.text


def test_an_error_is_raised_by_the_next_put_and_by_leaving(caplog):
    writer = BackgroundWriter("x", fail, live=True)
    with pytest.raises(OSError, match="no space for 0"), writer:  # noqa: PT012 (leaving is tested)
        writer.put(0)
        wait_until(lambda: not writer.stuck)
        with pytest.raises(OSError, match="no space for 0"):
            writer.put(1)
    assert caplog.messages == []


def test_items_dropped_because_of_an_error_are_not_logged(worker, caplog):
    def work_and_fail(item):
        worker(item)
        fail(item)

    with pytest.raises(OSError, match="no space for 0"), BackgroundWriter("x", work_and_fail, live=True) as writer:  # noqa: PT012
        for number in range(5):
            writer.put(number)
        worker.unblock.set()
        wait_until(lambda: not writer.stuck)
    assert writer.dropped == 4
    assert caplog.messages == []


def test_an_error_of_the_last_item_is_raised_by_leaving():
    writer = BackgroundWriter("x", fail, live=True, drain_timeout=TIMEOUT_SECONDS)
    with pytest.raises(OSError, match="no space for 0"), writer:
        writer.put(0)


def test_an_error_of_the_work_does_not_hide_the_run_s_error():
    with pytest.raises(KeyError), BackgroundWriter("x", fail, live=True) as writer:  # noqa: PT012
        writer.put(0)
        raise KeyError


def test_without_a_live_source_put_raises_the_error_itself():
    with BackgroundWriter("x", fail, live=False) as writer, pytest.raises(OSError, match="no space for 0"):
        writer.put(0)


def test_a_failed_writer_can_be_entered_again(caplog):
    done: list[int] = []
    workers = iter([fail, done.append])
    writer: BackgroundWriter[int] = BackgroundWriter(
        "x",
        lambda item: next(workers)(item),  # noqa: PLW0108 (a different one each time)
        live=True,
        drain_timeout=TIMEOUT_SECONDS,
    )
    with pytest.raises(OSError, match="no space"), writer:
        writer.put(0)
    with writer:
        writer.put(1)
    assert done == [1]
    assert writer.dropped == 0
    assert caplog.messages == []


def test_a_stuck_thread_does_not_keep_the_process():
    threads: list[threading.Thread] = []
    writer: BackgroundWriter[int] = BackgroundWriter(
        "x", lambda _: threads.append(threading.current_thread()), live=True
    )
    with writer:
        writer.put(0)
        wait_until(lambda: threads)
    assert threads[0].daemon
