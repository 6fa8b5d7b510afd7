"""Writes a JSON object for each frame, to standard output or, as `jsonl:FILE`, appended to a file.

docs/contract.md describes the object. Each line is written at once and completely, so that a reader never waits and a
file ends with a complete line. A slow reader never blocks a live run: the newest 1000 lines that it has not read are
kept. A reader of a FIFO may come and go. A file that exists is continued if it holds such lines; a partial last line,
left by a power failure, is removed first.
"""

from __future__ import annotations

import errno
import json
import os
import re
import select
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from edge.errors import SinkError
from edge.sinks import serialize
from edge.sinks.background_writer import BackgroundWriter
from edge.sinks.line_file import LineFormat, open_lines
from edge.sinks.output_file import check_not_source, make_output_folder
from edge.system.file_access import NO_WAIT
from edge.system.paths import display_name, expand_path
from edge.types import Disclosure, FaceResult, FrameResult, RunInfo

PIPE_BYTES = getattr(select, "PIPE_BUF", 512)  # that a pipe takes without waiting when it is ready
STOP_CHECK_SECONDS = 0.05  # between two looks whether the run is to end, while a FIFO has no reader or is full
_NUMBER = re.compile(rb"(?<=: )[-+.\de]+")
_LINE_BEGINS = b'{"time": 0, "frame": 0, "source_name": ', b'{"time": 0, "frame": 0, "faces": '


class QueuedLine(NamedTuple):
    """What a line is made of: without the frame, whose image would stay in memory."""

    time: float  # seconds on the source's clock
    frame_index: int
    faces: Sequence[FaceResult]
    source_name: str


class Sink:
    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        self._path = expand_path(argument) if argument else None
        self.output = self._path
        self.reopens = self._path is not None
        self._name = f"jsonl:{display_name(self._path) if self._path else 'stdout'}"
        self._run = run
        self._replaces = run.overwrite  # until the file was opened once
        self._writer = BackgroundWriter(self._name, self._write_line, live=run.live)
        self._file = -1

    def disclose(self) -> Disclosure:
        line = "a line for each frame: its time, and the box, label and probabilities of each face"
        if self._path is None:
            return Disclosure(sent=(f"to standard output, which is the system's journal for the service: {line}",))
        return Disclosure(kept=(f"in {display_name(self._path)}, until you delete it: {line}",))

    def __enter__(self) -> Self:
        if self._path is None:
            self._file = os.dup(sys.stdout.fileno())
        else:
            check_not_source("jsonl", self._path, self._run)
            try:
                make_output_folder("jsonl", self._path.parent)
                if sys.platform != "win32" and self._path.is_fifo():
                    self._file = self._open_fifo(self._path)
                else:
                    self._file = open_lines(self._name, self._path, LINE_FORMAT, replace=self._replaces)
                    self._replaces = False
            except OSError as error:
                if isinstance(error, SinkError):
                    raise
                raise SinkError(f"{self._name}: cannot be opened ({error.strerror})") from error
        self._writer.__enter__()
        return self

    def write(self, result: FrameResult) -> None:
        self._writer.put(QueuedLine(result.frame.time, result.frame.index, result.faces, result.frame.source_name))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
        finally:
            if not self._writer.stuck:  # else the rest of its line would go to the next file with this descriptor
                os.close(self._file)

    def _open_fifo(self, path: Path) -> int:
        if self._run.live:  # opening a FIFO only for writing would block until a reader opens it
            return os.open(path, os.O_RDWR)
        while True:
            try:
                file = os.open(path, os.O_WRONLY | NO_WAIT)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            else:
                if sys.platform != "win32":
                    os.set_blocking(file, True)
                return file
            if self._run.stopped():
                raise SinkError(f"{self._name}: stopped before a reader opened it")
            time.sleep(STOP_CHECK_SECONDS)

    def _write_part(self, content: bytes) -> int:
        """Write a part of `content`, and return its length. Raises SinkError if the run ends while the reader waits."""
        if sys.platform == "win32":  # which cannot wait for a pipe
            return os.write(self._file, content)
        if self._run.live or not stat.S_ISFIFO(os.fstat(self._file).st_mode):
            return os.write(self._file, content)
        poll = select.poll()
        poll.register(self._file, select.POLLOUT)
        while not poll.poll(1000 * STOP_CHECK_SECONDS):
            if self._run.stopped():
                raise SinkError(f"{self._name}: stopped while its reader did not read")
        return os.write(self._file, content[:PIPE_BYTES])

    def _write_line(self, line: QueuedLine) -> None:
        content = f"{json.dumps(serialize.frame_to_dict(*line), ensure_ascii=False)}\n".encode()
        written = 0
        try:
            while written < len(content):
                written += self._write_part(content[written:])
        except (BrokenPipeError, SinkError):  # the first one, of a reader that has exited, ends a run without a message
            raise
        except OSError as error:
            if self._path and written:  # the disk became full within the line
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise SinkError(f"{self._name}: cannot be written ({error.strerror})") from error


def _is_line(line: bytes) -> bool:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"time", "frame", "faces"} <= content.keys()


def _may_begin(part: bytes) -> bool:
    """Return whether `part` is the beginning of a line, however short."""
    shape = _NUMBER.sub(b"0", part, count=2)
    return any(begin.startswith(shape) or shape.startswith(begin) for begin in _LINE_BEGINS)


LINE_FORMAT = LineFormat(_is_line, _is_line, _may_begin)
