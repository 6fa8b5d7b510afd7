"""Writes one JSON object a frame, to stdout or, as `jsonl:FILE`, added to the end of a file.

    {"time": seconds, "frame": index, "faces": [{"id": 1, "box": [x, y, width, height], "label": "happy" or null
     (unsure), "since": seconds, "confidence": 0 to 1, "scores": {label: share, ...}}, ...]}

`time` is on the source's clock: the position in a video, the time since the start for a camera. `since` is when the
label came, on the same clock. Each line is written at once and whole, so that a reader never waits and a file ends with
a whole line. A reader of a camera's lines that is too slow misses some: all but the last 1000 that it has not read. One
that reads from a FIFO may come and go.
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

MODE = 0o666  # less the umask, as of any file


class Line(NamedTuple):
    """What a line is made of: not the frame, whose image would stay in memory."""

    time: float
    frame: int
    readings: Sequence[FaceResult]


class Sink:
    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        self._path = Path(argument).expanduser() if argument else None
        self.reopens = self._path is not None
        self._name = f"jsonl:{self._path or 'stdout'}"
        self._live = run.live
        self._outbox = BackgroundWriter(self._name, self._write, live=run.live)
        self._file = -1

    def __enter__(self) -> Self:
        self._file = self._opened(self._path) if self._path else os.dup(sys.stdout.fileno())
        self._outbox.__enter__()
        return self

    def write(self, seen: FrameResult) -> None:
        self._outbox.put(Line(seen.frame.time, seen.frame.index, seen.faces))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._outbox.__exit__(kind, error, trace)
        finally:
            if not self._outbox.stuck:  # else the rest of a line would go to whatever gets the same number next
                os.close(self._file)

    def _opened(self, path: Path) -> int:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Opened for writing alone a FIFO waits for somebody to read it, and no camera may wait for that.
            how = os.O_RDWR if self._live and path.is_fifo() else os.O_WRONLY
            return os.open(path, how | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        except OSError as error:
            raise SinkError(f"{self._name}: cannot be opened ({error.strerror})") from error

    def _write(self, line: Line) -> None:
        content = f"{json.dumps(serialize.frame_to_dict(*line), ensure_ascii=False)}\n".encode()
        written = 0
        try:
            while written < len(content):
                written += os.write(self._file, content[written:])
        except BrokenPipeError:
            raise  # the reader has gone: the command ends quietly
        except OSError as error:
            if self._path and written:  # the disk became full within the line
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise SinkError(f"{self._name}: cannot be written ({error.strerror})") from error
