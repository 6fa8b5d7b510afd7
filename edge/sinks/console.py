"""Prints a line for each change; on a terminal also a status line that is updated in place. No argument.

A change is a face that comes, gets another label, or goes, so that a journal stays readable. For images there is a line
for each face, with the image's name. A stopped terminal (Ctrl-S) or a reader that does not read never blocks a live
run: the newest 1000 lines are kept.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from types import TracebackType
from typing import Self, TextIO

from edge.errors import SinkError, UsageError
from edge.sinks.active_faces import ActiveFaces
from edge.sinks.background_writer import BackgroundWriter
from edge.types import Disclosure, FaceResult, FrameResult, RunInfo

STATUS_INTERVAL_SECONDS = 0.1  # between two updates of the status line; more often is not visible
BAR_CHARACTERS = 10  # of a bar of 100 %
_CLEAR_LINE = "\r\x1b[K"


class Sink:
    """The console, or any other text stream given as `stream`."""

    def __init__(self, argument: str = "", run: RunInfo = RunInfo(), *, stream: TextIO | None = None) -> None:  # noqa: B008
        if argument:
            raise UsageError(f"sink console takes no argument, found {argument!r}")
        self._stream, self._owns_stream = stream or sys.stdout, stream is None
        self._writer = BackgroundWriter("console", self._print, live=run.live)
        # Not every terminal of Windows follows the sequences that move its cursor.
        self._is_terminal = self._stream.isatty() and sys.platform != "win32"
        self._labels: dict[int, str | None] = {}  # track id -> the label that was printed last
        self._active_faces = ActiveFaces()
        self._status_time = float("-inf")

    def disclose(self) -> Disclosure:
        line = "a line for each face that comes, changes its label or goes: time in the run, label, probability"
        return Disclosure(
            kept=(f"as a service, in the system's journal, as long as it keeps lines: {line}",),
            shown=(f"in the terminal: {line}",),
        )

    def __enter__(self) -> Self:
        if self._owns_stream:
            # Without Python's buffer: a thread that is blocked in its lock would keep the process from ending.
            stdout = open(os.dup(sys.stdout.fileno()), "wb", buffering=0)  # noqa: PTH123 (a descriptor)
            self._stream = io.TextIOWrapper(stdout, encoding="utf-8", write_through=True)
        self._writer.__enter__()
        return self

    def write(self, result: FrameResult) -> None:
        name, now = result.frame.source_name, result.frame.time
        if result.frame.is_image:
            for number, face in enumerate(result.faces, start=1):
                position = f"{face.box.x},{face.box.y} {face.box.width}x{face.box.height}"
                self._put_line(f"{name}  face {number} at {position}: {_describe(face)}")
            if not result.faces:
                self._put_line(f"{name}  no face")
            return
        self._put_changes(result)
        if self._is_terminal and now - self._status_time >= STATUS_INTERVAL_SECONDS:
            self._status_time = now
            words = [f"{result.stats.fps:3.0f} fps"]
            if result.frame.file is not None:
                words.append(f"{result.frame.file.share:.0%} read")
            for face in sorted(result.faces, key=lambda face: face.track_id):  # each keeps its position
                filled = round(face.confidence * BAR_CHARACTERS)
                bar = "█" * filled + "░" * (BAR_CHARACTERS - filled)
                words.append(f"face {face.track_id} {_describe(face)} {bar}")
            line = "   ".join(words if result.faces else [*words, "no face"])
            self._writer.put(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_terminal and error is None:
            self._writer.put(_CLEAR_LINE)
        try:
            self._writer.__exit__(kind, error, trace)
        finally:
            if self._owns_stream and not self._writer.stuck:
                self._stream.close()

    def _put_changes(self, result: FrameResult) -> None:
        minutes, seconds = divmod(result.frame.time, 60)
        time = f"{int(minutes):02d}:{seconds:04.1f}"
        active = {face.track_id for face in self._active_faces.update(result.frame.time, result.faces)}
        for face in result.faces:
            if face.track_id not in self._labels or self._labels[face.track_id] != face.label:
                self._labels[face.track_id] = face.label
                self._put_line(f"{time}  face {face.track_id}: {_describe(face)}")
        for track_id in self._labels.keys() - active:
            del self._labels[track_id]
            self._put_line(f"{time}  face {track_id} gone")

    def _put_line(self, line: str) -> None:
        self._writer.put(f"{_CLEAR_LINE}{line}\n" if self._is_terminal else f"{line}\n")

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            raise  # the reader has exited: the command ends without a message
        except OSError as error:
            raise SinkError(f"console: cannot be written ({error.strerror})") from error


def _describe(face: FaceResult) -> str:
    if face.label:
        return f"{face.label} {face.confidence:.0%}"
    label, probability = max(face.probabilities.items(), key=lambda item: item[1])
    return f"uncertain ({label} {probability:.0%})"
