"""A live run is never blocked by the reader of a sink, and stops in time: in real processes.

The lines of a second sink, which writes to a file, show the progress of the loop.
"""

import fcntl
import json
import os
import signal
import statistics
import subprocess
import threading
import time

import pytest

from edge.sinks import registry
from edge.types import RunInfo
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import EdgeProcess, wait_until

pytestmark = pytest.mark.slow

# The documented second for a stop, and time for a busy machine; systemd allows 5 s. A blocked sink would never stop.
STOP_TIMEOUT_SECONDS = 5.0
FRAMES = 30  # about a second
# Eight faces and no smoothing: the console has several lines to print each second.
MANY_CHANGES = ("synthetic:faces=8", "--min-confidence", 0, "--half-life", 0)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


class SmallPipe:
    """A pipe with the smallest buffer, one page."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        self._open = {self.reader, self.writer}

    def close(self, *ends: int) -> None:
        """Close those of `ends` that are open in this process."""
        for end in self._open.intersection(ends):
            os.close(end)
            self._open.remove(end)


@pytest.fixture
def pipe():
    pipe = SmallPipe()
    yield pipe
    pipe.close(pipe.reader, pipe.writer)


def fill(writer: int) -> None:
    """Write to the pipe until it is full."""
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"\n")
    except BlockingIOError:
        os.set_blocking(writer, True)


def read_lines(path):
    """Return the objects of the complete lines of the file at `path`."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def wait_for_frames(log, frames=FRAMES) -> None:
    """Wait until the loop has written so many more frames."""
    before = len(read_lines(log))
    wait_until(lambda: len(read_lines(log)) >= before + frames)


@pytest.mark.parametrize("sink", ["jsonl", "console"])
def test_a_full_pipe_blocks_neither_the_loop_nor_the_stop(sink, pipe, log):
    fill(pipe.writer)
    with EdgeProcess("run", *MANY_CHANGES, "-s", sink, "-s", f"jsonl:{log}", stdout=pipe.writer) as run:
        wait_for_frames(log)
        assert run.stop() < STOP_TIMEOUT_SECONDS
    assert run.process.returncode == 0
    (message,) = [line for line in run.lines if "dropped" in line]
    assert ("jsonl:stdout" if sink == "jsonl" else sink) in message


def test_a_paused_reader_gets_complete_lines_when_it_continues(pipe, log, tmp_path):
    received = tmp_path / "received.jsonl"
    with received.open("wb") as file, subprocess.Popen(["cat"], stdin=pipe.reader, stdout=file) as reader:
        reader.send_signal(signal.SIGSTOP)
        with EdgeProcess("run", "synthetic", "-s", "jsonl", "-s", f"jsonl:{log}", stdout=pipe.writer) as run:
            wait_for_frames(log)
            assert len(read_lines(received)) == 0
            reader.send_signal(signal.SIGCONT)
            wait_until(lambda: len(read_lines(received)) >= FRAMES)
            reader.send_signal(signal.SIGSTOP)
            wait_for_frames(log)
            assert run.stop() < STOP_TIMEOUT_SECONDS
        assert run.process.returncode == 0
        assert any("lines dropped" in line for line in run.lines)
        pipe.close(pipe.writer)
        reader.send_signal(signal.SIGCONT)
        reader.wait(STOP_TIMEOUT_SECONDS)
    *complete, _ = received.read_text().splitlines(keepends=True)  # the last line may be partial
    frames = [json.loads(line)["frame"] for line in complete]
    assert frames == [line["frame"] for line in read_lines(log)][: len(frames)]


def test_the_reader_of_a_fifo_may_come_and_go(tmp_path, log):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with EdgeProcess("run", "synthetic", "-s", f"jsonl:{fifo}", "-s", f"jsonl:{log}") as run:
        for _ in range(2):
            wait_for_frames(log, 10)
            with fifo.open("rb") as reader:
                reader.readline()  # the rest of a line that the reader before had begun
                assert "faces" in json.loads(reader.readline())
        wait_for_frames(log)
        assert run.stop() < STOP_TIMEOUT_SECONDS
    assert run.process.returncode == 0


@pytest.mark.parametrize("sink", ["jsonl", "console"])
def test_a_reader_that_exits_ends_a_live_run_without_a_message(sink, pipe, log):
    with EdgeProcess("run", *MANY_CHANGES, "-s", sink, "-s", f"jsonl:{log}", stdout=pipe.writer) as run:
        wait_for_frames(log, 5)
        pipe.close(pipe.writer, pipe.reader)
        run.wait_for_exit()
    assert run.lines == []


@pytest.mark.parametrize("spec", ["console", "jsonl", "daylog:log", "video:out.avi", "video:out.webm"])
def test_a_write_takes_less_than_a_fifth_of_a_millisecond(spec, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    seconds, pause = [], threading.Event()
    with registry.find(spec)(RunInfo(live=True, labels=("calm", "cross"))) as sink:
        for index in range(100):
            face = face_result("calm" if index % 2 else "cross")
            result = frame_result(face, time=time.monotonic(), index=index, size=(640, 480))
            start = time.thread_time()  # of the CPU: independent of other processes
            sink.write(result)
            seconds.append(time.thread_time() - start)
            pause.wait(0.01)  # as in the loop, the sink's thread gets time to work
    capfd.readouterr()
    assert statistics.median(seconds) < 0.0002
