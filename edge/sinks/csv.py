"""Writes a table with a row for each face and frame: `csv:FILE.csv`, for spreadsheets and data frames.

    time,frame,file,track_id,x,y,width,height,label,confidence,calm,cross
    12.4800,312,clip.mp4,1,214,96,120,120,calm,0.8731,0.8731,0.1269

docs/contract.md describes the columns; the last ones are the model's labels, in its order. Rows of a frame are one
write of complete lines. A file that exists is continued if its header is the same, as the sink jsonl continues its own.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from edge.errors import SinkError, UsageError
from edge.sinks.background_writer import BackgroundWriter
from edge.sinks.line_file import LineFormat, open_lines
from edge.sinks.output_file import check_not_source, make_output_folder
from edge.system.paths import display_name, expand_path
from edge.system.plain_text import escape, to_cell
from edge.types import Disclosure, FaceResult, FrameResult, RunInfo

COLUMNS = ("time", "frame", "file", "track_id", "x", "y", "width", "height", "label", "confidence")  # before the labels


class FaceRows(NamedTuple):
    """What the rows of a frame are made of: without the frame, whose image would stay in memory."""

    time: float  # seconds since the beginning of the file; of a camera: on its clock
    frame_index: int
    source_name: str
    faces: Sequence[FaceResult]


class Sink:
    reopens = True

    def __init__(self, argument: str = "", run: RunInfo = RunInfo()) -> None:  # noqa: B008 (frozen)
        if not argument.lower().endswith(".csv"):
            raise UsageError(
                f"sink csv: found {argument!r}, expected csv:FILE.csv; the daily log of a camera is daylog:FOLDER"
            )
        self.output = self._path = expand_path(argument)
        self._name = f"csv:{display_name(self._path)}"
        self._run = run
        self._replaces = run.overwrite  # until the file was opened once
        self._header = format_row((*COLUMNS, *(to_cell(escape(label)) for label in run.labels)))
        self._writer: BackgroundWriter[FaceRows] = BackgroundWriter(
            self._name, lambda rows: self._append(format_rows(rows, run.labels)), live=run.live, unit="frames"
        )
        self._file = -1

    def disclose(self) -> Disclosure:
        rows = "a row for each face and frame: time, box, label, probabilities, and the name of the source file"
        return Disclosure(kept=(f"in {display_name(self._path)}, until you delete it: {rows}",))

    def __enter__(self) -> Self:
        check_not_source("csv", self._path, self._run)
        header = self._header.rstrip(b"\n")
        line_format = LineFormat(header.__eq__, self._is_row, header.startswith)
        try:
            make_output_folder("csv", self._path.parent)
            self._file = open_lines(self._name, self._path, line_format, replace=self._replaces)
            self._replaces = False
            if not os.fstat(self._file).st_size:
                self._append(self._header)
        except OSError as error:
            raise SinkError(f"{self._name}: cannot be opened ({error.strerror})") from error
        self._writer.__enter__()
        return self

    def write(self, result: FrameResult) -> None:
        frame = result.frame
        if result.faces:
            time, index = (frame.file.time, frame.file.frame_index) if frame.file else (frame.time, frame.index)
            self._writer.put(FaceRows(time, index, frame.source_name, result.faces))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
        finally:
            if not self._writer.stuck:  # else the rest of its rows would go to the next file with this descriptor
                os.close(self._file)

    def _append(self, content: bytes) -> None:
        """Append `content`, all or nothing. Raises SinkError."""
        written = 0
        try:
            while written < len(content):
                written += os.write(self._file, content[written:])
        except OSError as error:
            if written:  # the disk became full within a row
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise SinkError(f"{self._name}: cannot be written ({error.strerror})") from error

    def _is_row(self, line: bytes) -> bool:
        """Return whether `line` is a row of this table: not the beginning of one, either."""
        try:
            (cells,) = csv.reader([line.decode()], strict=True)
            numbers = [float(cell) for cell in (*cells[:2], *cells[3:8], *cells[9:])]
        except (ValueError, csv.Error):
            return False
        # Rows end with four decimals: a shorter number is cut off.
        is_whole = len(line.rpartition(b".")[2]) == len("0000")
        return len(numbers) == len(COLUMNS) + len(self._run.labels) - 2 and is_whole


def format_rows(rows: FaceRows, labels: Sequence[str]) -> bytes:
    """Return a line for each face. A text that programs for spreadsheets would take for a formula gets a quote."""
    return b"".join(
        format_row(
            (
                f"{rows.time:.4f}",
                rows.frame_index,
                to_cell(rows.source_name),
                face.track_id,
                *(face.box.x, face.box.y, face.box.width, face.box.height),
                to_cell(escape(face.label or "")),
                f"{face.confidence:.4f}",
                *(f"{face.probabilities[label]:.4f}" for label in labels),
            )
        )
        for face in rows.faces
    )


def format_row(cells: Iterable[object]) -> bytes:
    """Return a line of a CSV file in UTF-8, with its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
