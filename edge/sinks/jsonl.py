"""Writes a JSON object for each frame, to standard output or, as `jsonl:FILE`, appended to a file.

docs/contract.md describes the object. Each line is written at once and completely, so that a reader never waits and a
file ends with a complete line. A slow reader never blocks a live run: the newest 1000 lines that it has not read are
kept. A reader of a FIFO may come and go.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from edge.errors import SinkError
from edge.sinks import serialize
from edge.sinks.background_writer import BackgroundWriter
from edge.types import FaceResult, FrameResult, RunInfo

JSONL_FILE_MODE = 0o666  # less the umask, as of any file


class QueuedLine(NamedTuple):
    """What a line is made of: without the frame, whose image would stay in memory."""

    time: float
    frame_index: int
    faces: Sequence[FaceResult]


class Sink:
    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        self._path = Path(argument).expanduser() if argument else None
        self.reopens = self._path is not None
        self._name = f"jsonl:{self._path or 'stdout'}"
        self._live = run.live
        self._writer = BackgroundWriter(self._name, self._write_line, live=run.live)
        self._file = -1

    def __enter__(self) -> Self:
        if self._path is None:
            self._file = os.dup(sys.stdout.fileno())
        else:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                # Opening a FIFO only for writing would block until a reader opens it.
                access = os.O_RDWR if self._live and self._path.is_fifo() else os.O_WRONLY
                flags = access | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._file = os.open(self._path, flags, JSONL_FILE_MODE)
            except OSError as error:
                raise SinkError(f"{self._name}: cannot be opened ({error.strerror})") from error
        self._writer.__enter__()
        return self

    def write(self, result: FrameResult) -> None:
        self._writer.put(QueuedLine(result.frame.time, result.frame.index, result.faces))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
        finally:
            if not self._writer.stuck:  # else the rest of its line would go to the next file with this descriptor
                os.close(self._file)

    def _write_line(self, line: QueuedLine) -> None:
        content = f"{json.dumps(serialize.frame_to_dict(*line), ensure_ascii=False)}\n".encode()
        written = 0
        try:
            while written < len(content):
                written += os.write(self._file, content[written:])
        except BrokenPipeError:
            raise  # the reader has exited: the command ends without a message
        except OSError as error:
            if self._path and written:  # the disk became full within the line
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise SinkError(f"{self._name}: cannot be written ({error.strerror})") from error
