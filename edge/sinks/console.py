"""Prints one line for each change; on a terminal also a live line that is drawn over and over. No argument.

A line stands for a change of what is known (a face comes, shows something else, goes), not for a frame, so that a
journal stays readable. Of images each face gets a line with the image's name. A terminal that was stopped (Ctrl-S)
or a reader that does not read misses all but the last 1000 lines of a camera; no frame waits for it.
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
from edge.types import FaceResult, FrameResult, RunInfo

REDRAW_SECONDS = 0.1  # between two live lines: faster than the eye follows only costs time
BAR = 10  # characters of a full bar


class Sink:
    """The console, or any other text stream given as `stream`."""

    def __init__(self, argument: str = "", run: RunInfo = RunInfo(), *, stream: TextIO | None = None) -> None:  # noqa: B008
        if argument:
            raise UsageError(f"sink console takes no argument, found {argument!r}")
        self._stream, self._ours = stream or sys.stdout, stream is None
        self._outbox = BackgroundWriter("console", self._print, live=run.live)
        self._live = self._stream.isatty()
        self._labels: dict[int, str | None] = {}
        self._presence = ActiveFaces()
        self._drawn = float("-inf")
        self._recent: list[float] = []

    def __enter__(self) -> Self:
        if self._ours:
            self._stream = _stdout()
        self._outbox.__enter__()
        return self

    def write(self, seen: FrameResult) -> None:
        if seen.frame.source_name:
            for line in _image_lines(seen):
                self._say(line)
            return
        now = seen.frame.time
        for line in self._changes(seen, now):
            self._say(f"{_stamp(now)}  {line}")
        if self._live:
            self._draw(seen, now)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live and error is None:
            self._outbox.put("\r\x1b[K")
        try:
            self._outbox.__exit__(kind, error, trace)
        finally:
            if self._ours and not self._outbox.stuck:
                self._stream.close()

    def _changes(self, seen: FrameResult, now: float) -> list[str]:
        lines = []
        present = self._presence.update(now, seen.faces)
        for reading in seen.faces:
            if reading.track_id not in self._labels or self._labels[reading.track_id] != reading.label:
                self._labels[reading.track_id] = reading.label
                lines.append(f"face {reading.track_id}: {_words(reading)}")
        for track_id in self._labels.keys() - {reading.track_id for reading in present}:
            del self._labels[track_id]
            lines.append(f"face {track_id} gone")
        return lines

    def _draw(self, seen: FrameResult, now: float) -> None:
        self._recent = [moment for moment in self._recent if now - moment < 1] + [now]
        if now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        present = sorted(seen.faces, key=lambda reading: reading.track_id)  # each stays in its place
        faces = [f"face {reading.track_id} {_words(reading)} {_bar(reading.confidence)}" for reading in present]
        line = "   ".join([f"{len(self._recent):3d} fps", *(faces or ["no face"])])
        self._outbox.put(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")

    def _say(self, line: str) -> None:
        self._outbox.put(f"\r\x1b[K{line}\n" if self._live else f"{line}\n")

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            raise  # the reader has gone: the command ends quietly
        except OSError as error:
            raise SinkError(f"console: cannot be written ({error.strerror})") from error


def _stdout() -> TextIO:
    """Return stdout without Python's buffer: a thread that is stuck in it would keep the process from ending."""
    return io.TextIOWrapper(io.FileIO(os.dup(sys.stdout.fileno()), "w"), encoding="utf-8", write_through=True)


def _image_lines(seen: FrameResult) -> list[str]:
    if not seen.faces:
        return [f"{seen.frame.source_name}  no face"]
    boxes = [reading.box for reading in seen.faces]
    return [
        f"{seen.frame.source_name}  face {number} at {box.x},{box.y} {box.width}x{box.height}: {_words(reading)}"
        for number, (box, reading) in enumerate(zip(boxes, seen.faces, strict=True), start=1)
    ]


def _words(reading: FaceResult) -> str:
    return f"{reading.label} {reading.confidence:.0%}" if reading.label else f"unsure ({_strongest(reading)})"


def _strongest(reading: FaceResult) -> str:
    label = max(reading.probabilities, key=lambda label: reading.probabilities[label])
    return f"{label} {reading.probabilities[label]:.0%}"


def _bar(share: float) -> str:
    full = round(share * BAR)
    return "█" * full + "░" * (BAR - full)


def _stamp(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:04.1f}"
