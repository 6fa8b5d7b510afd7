"""A child process that crashes, hangs, or takes too much is an error of one request, and the next one works."""

import signal
import socket
import struct
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import WorkerError
from edge.system import worker_process
from edge.system.worker_process import WorkerProcess, command
from tests.support.kiosk import TIMEOUT_SECONDS, wait_until


@pytest.fixture
def worker(tmp_path):
    with closing(WorkerProcess(command("tests.support.worker", str(tmp_path / "written")))) as worker:
        yield worker


def process_exists(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_requests_are_answered_by_one_process(worker):
    assert worker.pid is None, "it starts with the first request"
    content = bytes(1_000_000)
    assert worker.request(content) == content
    assert worker.request(b"pid") == worker.request(b"pid") == str(worker.pid).encode()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"crash", "SIGABRT"),
        pytest.param(b"loop", "more than 1 s of processor time", marks=pytest.mark.slow),
    ],
)
def test_crash_is_an_error_and_the_next_request_works(worker, monkeypatch, request_, reason):
    monkeypatch.setattr(worker_process, "CPU_SECONDS", 1)  # as in the child
    with pytest.raises(WorkerError, match=reason):
        worker.request(request_)
    assert worker.request(b"again") == b"again"


@pytest.mark.parametrize("sent", [2, 4, 6])
def test_half_a_message_is_an_error(sent):
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall((struct.pack(">I", 3) + b"abc")[:sent])
        with pytest.raises(ConnectionError, match="half a message"):
            worker_process.receive(ours)


def test_a_closed_connection_and_an_empty_message_differ():
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            worker_process.send(theirs, b"")
        assert worker_process.receive(ours) == b""
        assert worker_process.receive(ours) is None


def test_deadline_ends_the_process(worker, monkeypatch):
    worker.request(b"start")
    pid = worker.pid
    monkeypatch.setattr(worker_process, "ANSWER_SECONDS", 0.1)
    with pytest.raises(WorkerError, match="no answer in time"):
        worker.request(b"loop")
    assert not process_exists(pid)


def test_memory_and_files_are_limited(worker, tmp_path):
    assert worker.request(b"allocate") == b"MemoryError"
    assert worker.request(b"write") == b"File too large"
    assert (tmp_path / "written").read_bytes() == b""
    assert worker.request(b"core") == b"0"


def test_what_the_process_prints_is_discarded(worker, capfd):
    assert worker.request(b"print") == b"print"
    assert capfd.readouterr() == ("", "")


def test_process_that_cannot_start_is_an_error():
    with closing(WorkerProcess(command("tests.support.worker", "broken"))) as worker:
        for _ in range(2):
            with pytest.raises(WorkerError, match="exit status 3"):
                worker.request(b"x")


def test_close_ends_a_request_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    worker = WorkerProcess(command("tests.support.worker"))
    errors: list[WorkerError] = []

    def request():
        try:
            worker.request(b"loop")
        except WorkerError as error:
            errors.append(error)

    thread = threading.Thread(target=request)
    thread.start()
    wait_until((tmp_path / "started").exists)
    pid = worker.pid
    worker.close()
    thread.join(TIMEOUT_SECONDS)
    assert signal.SIGKILL.name in str(errors[0])
    assert not process_exists(pid)
    with pytest.raises(WorkerError, match="the run is ending"):
        worker.request(b"x")


def test_idle_process_is_ended_and_started_again():
    with closing(WorkerProcess(command("tests.support.worker"), idle_seconds=0.05)) as worker:
        first = worker.request(b"pid")
        wait_until(lambda: not process_exists(int(first)))
        assert worker.pid is None
        assert worker.request(b"pid") != first


def test_one_request_at_a_time(worker):
    answers = []
    threads = [threading.Thread(target=lambda n=n: answers.append(worker.request(b"%d" % n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert sorted(answers) == [b"%d" % n for n in range(8)]


def test_child_ends_with_its_parent(worker):
    worker.request(b"start")
    assert worker.pid is not None
    assert worker._connection is not None
    worker._connection.shutdown(2)  # what the kernel does when the parent is killed
    end = time.monotonic() + TIMEOUT_SECONDS
    while "zombie" not in Path(f"/proc/{worker.pid}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
