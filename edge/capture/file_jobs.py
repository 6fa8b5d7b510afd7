"""Reads files by several processes at the same time, and delivers their results in the order of the files.

    this process                               each of the processes (edge.file_worker)
    JobRunner.frames     the next file ------> decodes it, detects and classifies its faces
                         a message   <-------- for each frame: its result, without its image
    frames, result       replay the results of a file when it is complete, and those of all files before it are

So a process that crashes costs its file as a whole, and nothing of the others: the next file gets a new process.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.capture.file_list import ListedFile
from edge.errors import CameraError, SinkError, WorkerError
from edge.system.worker_process import START_SECONDS, describe_exit, receive, send
from edge.types import FilePosition, Frame, FrameResult, RunStats

POLL_SECONDS = 0.25  # between two looks at the progress while the next file is not complete
MAX_FILES_AHEAD = 200  # complete ones that wait for an earlier file: each has an open temporary file
MEMORY_BYTES_OF_FILE = 1_000_000  # of the results of a file; more of them are on the disk

_log = logging.getLogger(__name__)


class FrameMessage(NamedTuple):
    """The result of a frame, without its image."""

    time: float  # seconds in the file
    frame_index: int  # in the file
    share: float  # of the file that has been read, 0 to 1
    size: tuple[int, int]  # height and width in pixels
    result: tuple[Any, ...]  # faces, timings, inference statistics, tracks


class FileDone(NamedTuple):
    """The end of a file."""

    problem: str  # why it is left out; empty: none


class JobRunner:
    """Delivers frames and results of `files`, which `jobs` processes analyze.

    Args:
        command: that starts a process, which serves edge.file_worker's side on its standard input.
        left_out: the names of files that are left out are added to it, and logged with the reason.
        stopped: whether the run is to end.
        report: called with the name of a file in progress, the share of all files that has been read, 0 to 1, and the
            frames per second of all processes, while the next file is not complete.
        unfinished: the names of files whose results are missing because the run was `stopped` are added to it.
    """

    def __init__(
        self,
        files: Sequence[ListedFile],
        command: Sequence[str],
        jobs: int,
        left_out: list[str],
        stopped: Callable[[], bool],
        report: Callable[[str, float, float], None],
        unfinished: list[str] | None = None,
    ) -> None:
        self._unfinished = [] if unfinished is None else unfinished
        self._files, self._command, self._jobs, self._left_out = files, list(command), jobs, left_out
        self._stopped, self._report = stopped, report
        self._sizes = [file.size() for file in files]
        self._shares = [0.0] * len(files)  # of each file that has been read
        self._analyzed, self._begin = 0, time.monotonic()
        self._local = threading.local()  # the process of each thread
        self._processes: dict[subprocess.Popen[bytes], socket.socket] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._result: tuple[Any, ...] = ()

    def result(self, frame: Frame) -> FrameResult:
        """Return the result of `frame`, the last one that `frames` has yielded, on the clock of its file."""
        faces, timings, inference, tracks = self._result
        return FrameResult(frame, faces, timings, RunStats(inference=inference), tracks)

    def frames(self) -> Generator[Frame, None, None]:
        """Yield frames without their images, as edge.capture.file.read_files does."""
        begin, first_index, completed = 0.0, 0, 0
        in_progress = ""  # name of the file whose first results have been yielded, but not all
        futures: dict[int, Future[tuple[str, IO[bytes]]]] = {}
        with ThreadPoolExecutor(self._jobs, "file job") as executor:
            try:
                for number, file in enumerate(self._files):
                    for ahead in range(number, min(number + MAX_FILES_AHEAD, len(self._files))):
                        if ahead not in futures and not self._files[ahead].problem:
                            futures[ahead] = executor.submit(self._analyze, ahead)
                    problem, end, index = file.problem, begin, first_index - 1
                    if not problem:
                        outcome = self._wait_for(futures[number], file)
                        if outcome is None:
                            return
                        del futures[number]
                        problem, results = outcome
                        with results:
                            in_progress = file.name
                            for message in () if problem else read_messages(results):
                                end = begin + message.time + file.interval_seconds
                                index = first_index + message.frame_index
                                self._result = message.result
                                yield self._make_frame(file, message, begin + message.time, index)
                    if problem:
                        self._left_out.append(file.name)
                        _log.warning("edge: %s: left out (%s)", file.name, problem)
                    begin, first_index, completed, in_progress = end, index + 1, completed + 1, ""
                if len(self._left_out) == len(self._files):
                    raise CameraError(f"none of {len(self._files)} files can be read, see the reasons above")
            finally:
                self._log_unfinished(self._files[completed:], in_progress)
                self._end_all_processes()
                executor.shutdown(wait=True, cancel_futures=True)
                for connection in self._processes.values():
                    connection.close()
                for future in futures.values():
                    if not future.cancelled():
                        future.result()[1].close()

    def share(self) -> float:
        """Return the share of all files, by their size, that has been read, 0 to 1."""
        read = sum(size * share for size, share in zip(self._sizes, self._shares, strict=True))
        return read / max(1, sum(self._sizes))

    def _wait_for(self, future: Future[tuple[str, IO[bytes]]], file: ListedFile) -> tuple[str, IO[bytes]] | None:
        """Return the outcome of `file`, and report the progress until then; None: the run is to end."""
        while not self._stopped():
            with suppress(FutureTimeoutError):
                return future.result(POLL_SECONDS)
            self._report(file.name, self.share(), self._analyzed / (time.monotonic() - self._begin))
        return None

    def _log_unfinished(self, files: Sequence[ListedFile], in_progress: str) -> None:
        """Log of a stopped run how many of `files` have no results; the one named `in_progress` has the first ones."""
        names = [file.name for file in files if not file.problem] if self._stopped() else []
        self._unfinished += names
        without = len(names) - (in_progress in names)
        if without:
            _log.warning("edge: stopped: %d file%s unfinished, nothing of them written", without, "s" * (without != 1))
        if in_progress in names:
            _log.warning("edge: %s: stopped, its last frames are not written", in_progress)

    def _make_frame(self, file: ListedFile, message: FrameMessage, seconds: float, index: int) -> Frame:
        def color() -> NDArray[np.uint8]:
            raise SinkError("with several jobs there are no images; run with --jobs 1")

        position = FilePosition(message.time, message.frame_index, self.share())
        gray = np.broadcast_to(np.uint8(0), message.size)
        return Frame(gray, color, seconds, index, file.name, is_image=file.is_image, file=position)

    def _analyze(self, number: int) -> tuple[str, IO[bytes]]:
        """Have the file of this number analyzed; return why it is left out, or "", and its pickled messages."""
        file, results = self._files[number], tempfile.SpooledTemporaryFile(MEMORY_BYTES_OF_FILE)  # noqa: SIM115 (the caller closes it)
        try:
            connection = self._connection()
            send(connection, pickle.dumps(file))
            while True:
                content = receive(connection)
                if content is None:
                    raise ConnectionError
                message = pickle.loads(content)  # noqa: S301 (of our own process)
                if isinstance(message, FileDone):
                    break
                results.write(content)
                self._shares[number] = message.share
                with self._lock:
                    self._analyzed += 1
            problem = message.problem
        except (OSError, WorkerError) as error:
            problem = f"its process ended: {self._end_process() or error}"
        self._shares[number] = 1.0
        results.seek(0)
        return problem, results

    def _connection(self) -> socket.socket:
        """Return the connection to the process of this thread, which is started if there is none."""
        connection: socket.socket | None = getattr(self._local, "connection", None)
        if connection is None:
            connection, far_end = socket.socketpair()
            with far_end, self._lock:
                if self._closed:
                    raise WorkerError("the run is ending")
                process = subprocess.Popen(
                    self._command,
                    stdin=far_end.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "NOTIFY_SOCKET": ""},
                )
                self._processes[process] = connection
            self._local.connection, self._local.process = connection, process
            if receive(connection, time.monotonic() + START_SECONDS) != b"":
                raise ConnectionError("it could not start")
        return connection

    def _end_process(self) -> str:
        """End the process of this thread, and return why it ended."""
        process, connection = getattr(self._local, "process", None), getattr(self._local, "connection", None)
        if process is None or connection is None:
            return ""
        connection.close()
        self._local.process = self._local.connection = None
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
        process.kill()
        return describe_exit(process.wait())

    def _end_all_processes(self) -> None:
        """End all processes, also within a file, and start no other."""
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()
                process.wait()


class ReplayedResults:
    """The results of `runner` for edge.pipeline, with the faces of images numbered on, as the other processors do."""

    def __init__(self, runner: JobRunner) -> None:
        self._runner = runner
        self._last_id = 0

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:  # noqa: ARG002 (of FrameProcessor)
        """Return the result of `frame`, the last one that `runner.frames` has yielded."""
        result = self._runner.result(frame)
        if not frame.is_image:
            return result
        faces = tuple(replace(face, track_id=face.track_id + self._last_id) for face in result.faces)
        self._last_id += len(faces)
        return replace(result, faces=faces)


def read_messages(results: IO[bytes]) -> Generator[FrameMessage, None, None]:
    """Yield the messages that are pickled in `results`."""
    with suppress(EOFError):
        while True:
            yield pickle.load(results)  # noqa: S301 (of our own process)


def make_message(result: FrameResult) -> FrameMessage:
    """Return what another process needs of `result`, a frame of a file."""
    frame = result.frame
    assert frame.file is not None
    height, width = frame.gray.shape
    # Numbers from 1 in each image; those of a video already are.
    faces = result.faces
    if frame.is_image:
        faces = tuple(replace(face, track_id=number) for number, face in enumerate(faces, start=1))
    return FrameMessage(
        *frame.file, (height, width), (faces, dict(result.timings), result.stats.inference, result.tracks)
    )
