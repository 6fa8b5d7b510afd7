"""No frame waits for a sink, whatever becomes of its reader, and the run stops in time: in real processes.

How fast the loop goes on is seen in the lines of a second sink, to a file.
"""

import fcntl
import json
import os
import signal
import statistics
import subprocess
import time
from itertools import pairwise

import pytest

from edge.sinks import registry as sinks
from edge.types import RunInfo as SettingSpec
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import RunInfo, until

pytestmark = pytest.mark.slow

PROMISED = 1.5  # seconds to stop: a second, and the machine of a test is busy
ENOUGH = 30  # frames, a second of the camera
# Eight faces and no patience: the console has several lines to say each second.
BUSY = ("synthetic:faces=8", "--min-confidence", 0, "--half-life", 0)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


class Pipe:
    """A pipe of a page, the smallest there is."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        self._open = {self.reader, self.writer}

    def close(self, *ends: int) -> None:
        """Close `ends`, those of them that are open in this process."""
        for end in self._open.intersection(ends):
            os.close(end)
            self._open.remove(end)


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.close(pipe.reader, pipe.writer)


def fill(end: int) -> int:
    """Write to the pipe until it takes no more; return how many bytes it took."""
    os.set_blocking(end, False)
    taken = 0
    try:
        while True:
            taken += os.write(end, b"\n")
    except BlockingIOError:
        os.set_blocking(end, True)
        return taken


def lines(path):
    if not path.exists():
        return []
    # The last one may be in the middle of being written.
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def frames_come(log, frames=ENOUGH) -> None:
    """Wait until so many more frames have gone the whole way, none of them held up."""
    before = len(lines(log))
    until(lambda: len(lines(log)) >= before + frames)
    times = [line["time"] for line in lines(log)[before:]]
    assert max(later - sooner for sooner, later in pairwise(times)) < 1.0


@pytest.mark.parametrize("sink", ["jsonl", "console"])
def test_a_pipe_that_is_full_and_that_nobody_reads_delays_no_frame_and_no_stop(sink, pipe, log):
    fill(pipe.writer)
    with RunInfo("run", *BUSY, "-s", sink, "-s", f"jsonl:{log}", stdout=pipe.writer) as run:
        frames_come(log)
        assert run.stop() < PROMISED
    assert run.process.returncode == 0
    (told,) = [line for line in run.lines if "dropped" in line]
    assert told.startswith(f"edge: {'jsonl:stdout' if sink == 'jsonl' else sink}: ")
    assert told.endswith(" lines dropped, as they were not taken in time")
    assert "frames a second" in run.lines[-2]


def test_a_reader_that_is_stopped_delays_nothing_and_gets_whole_lines_when_it_goes_on(pipe, log, tmp_path):
    got = tmp_path / "got.jsonl"
    with got.open("wb") as file, subprocess.Popen(["cat"], stdin=pipe.reader, stdout=file) as reader:
        reader.send_signal(signal.SIGSTOP)
        with RunInfo("run", "synthetic", "-s", "jsonl", "-s", f"jsonl:{log}", stdout=pipe.writer) as run:
            frames_come(log)
            assert len(lines(got)) == 0
            reader.send_signal(signal.SIGCONT)
            until(lambda: len(lines(got)) >= ENOUGH)
            reader.send_signal(signal.SIGSTOP)
            frames_come(log)
            assert run.stop() < PROMISED
        assert run.process.returncode == 0
        assert any("lines dropped" in line for line in run.lines)
        pipe.close(pipe.writer)
        reader.send_signal(signal.SIGCONT)
        reader.wait(10)
    *whole, last = got.read_text().splitlines(keepends=True)
    frames = [json.loads(line)["frame"] for line in whole]  # the last one may have been in hand when the run ended
    assert frames == [line["frame"] for line in lines(log)][: len(frames)]
    assert last


def test_a_fifo_that_nobody_reads_delays_nothing_and_its_reader_may_come_and_go(tmp_path, log):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with RunInfo("run", "synthetic", "-s", f"jsonl:{fifo}", "-s", f"jsonl:{log}") as run:
        for _ in range(2):
            frames_come(log, 10)
            with fifo.open("rb") as reader:
                reader.readline()  # the rest of a line that the reader before had begun to take
                assert json.loads(reader.readline())["faces"]
        frames_come(log)
        assert run.stop() < PROMISED
    assert run.process.returncode == 0


@pytest.mark.parametrize("sink", ["jsonl", "console"])
def test_a_reader_that_goes_ends_the_run_of_a_camera_quietly(sink, pipe, log):
    with RunInfo("run", *BUSY, "-s", sink, "-s", f"jsonl:{log}", stdout=pipe.writer) as run:
        frames_come(log, 5)
        pipe.close(pipe.writer, pipe.reader)
        run.end()
    assert run.lines == []


@pytest.mark.parametrize("spec", ["console", "jsonl", "csv:log", "video:out.avi", "video:out.webm"])
def test_a_write_takes_less_than_a_fifth_of_a_millisecond(spec, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    taken = []
    with sinks.make(spec, SettingSpec(live=True, labels=("calm", "cross"))) as sink:
        for index in range(100):
            said = face_result("calm" if index % 2 else "cross")
            observation = frame_result(said, time=time.monotonic(), index=index, size=(640, 480))
            start = time.perf_counter()
            sink.write(observation)
            taken.append(time.perf_counter() - start)
            time.sleep(0.01)  # as the loop does its work: the sink's thread has its turn
    capfd.readouterr()
    assert statistics.median(taken) < 0.0002
