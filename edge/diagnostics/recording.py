"""The summary of a file that the sink csv or jsonl wrote: per film, how the emotions changed over its time.

recording_plot.py draws it.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from edge.diagnostics.summary_text import label_name
from edge.errors import FileError, SourceNotFoundError, UsageError
from edge.sinks.csv import COLUMNS
from edge.sinks.csv_cells import BYTE_ORDER_MARK, DELIMITERS, split_cells, to_float
from edge.sinks.line_file import MAX_LINE_BYTES
from edge.system.paths import display_name
from edge.system.plain_text import escape, from_cell

FIRST_BIN_SECONDS = 0.25
MAX_BINS = 400  # of a film: more are not visible in a plot, and an hour needs no more memory than a minute
MAX_SECONDS = 1e7  # four months; later times are damaged lines
MAX_FILMS = 20  # with plots that can be read


class RecordedFace(NamedTuple):
    """A face in a frame, as it was recorded."""

    film: str  # name of the file; empty: a camera
    seconds: float  # on the clock of the file or of the camera
    frame: int
    track_id: int
    label: str | None  # None: uncertain
    probabilities: Mapping[str, float]


@dataclass
class Film:
    """The faces of one video, of a camera's run, or of an image."""

    name: str
    bin_seconds: float = FIRST_BIN_SECONDS
    bins: dict[int, tuple[int, Counter[str]]] = field(default_factory=dict)  # number -> faces, summed probabilities
    faces: set[int] = field(default_factory=set)  # track ids
    face_frames: int = 0  # faces, summed over the frames
    labels: Counter[str | None] = field(default_factory=Counter)  # label, None: uncertain -> faces, summed over frames
    first: float = math.inf  # seconds at which the first face was seen
    last: float = 0.0  # and the last one

    def add(self, face: RecordedFace) -> None:
        """Count `face`, and make the bins twice as wide when they have become too many."""
        number = int(face.seconds / self.bin_seconds)
        count, sums = self.bins.get(number, (0, Counter()))
        sums.update(face.probabilities)
        self.bins[number] = count + 1, sums
        self.first, self.last = min(self.first, face.seconds), max(self.last, face.seconds)
        self.faces.add(face.track_id)
        self.face_frames += 1
        self.labels[face.label] += 1
        while len(self.bins) > MAX_BINS or self.last / self.bin_seconds > 10 * MAX_BINS:
            self.bin_seconds *= 2
            merged: dict[int, tuple[int, Counter[str]]] = {}
            for old, (faces, more) in self.bins.items():
                known, total = merged.get(old // 2, (0, Counter()))
                merged[old // 2] = known + faces, total + more
            self.bins = merged

    def timeline(self) -> list[tuple[float, dict[str, float]]]:
        """Return (begin in seconds, label -> mean probability) of each bin with a face, in the order of time."""
        return [
            (number * self.bin_seconds, {label: total / count for label, total in sums.items()})
            for number, (count, sums) in sorted(self.bins.items())
        ]

    def emotions(self) -> dict[str, float]:
        """Return label -> mean probability over all faces of all frames, 0 to 1."""
        total: Counter[str] = Counter()
        for _, sums in self.bins.values():
            total.update(sums)
        return {label: probability / max(1, self.face_frames) for label, probability in total.items()}


@dataclass
class Recording:
    """What a file has recorded."""

    path: Path
    labels: tuple[str, ...] = ()
    films: dict[str, Film] = field(default_factory=dict)  # by name
    damaged_lines: list[int] = field(default_factory=list)  # numbers, from 1


def read(path: Path) -> Recording:
    """Return what the file at `path` has recorded: a table of the sink csv, or lines of the sink jsonl.

    Raises SourceNotFoundError; UsageError if it is neither; FileError if it cannot be read.
    """
    recording = Recording(path)
    if path.exists() and not path.is_file():  # opening a FIFO waits for its writer
        raise UsageError(f"{display_name(path)}: not a regular file, expected one of the sink csv or jsonl")
    try:
        with path.open("rb") as file:
            first = file.readline(MAX_LINE_BYTES)
            begin = len(first) - len(first.removeprefix(BYTE_ORDER_MARK))
            has_header = not first.startswith(b"{", begin)
            parse = _parser(path, first[begin:])
            file.seek(len(first) if has_header else begin)
            lines = iter(partial(file.readline, MAX_LINE_BYTES), b"")
            for number, line in enumerate(lines, start=1 + has_header):
                try:
                    faces = list(parse(line.decode()))
                    if not all(_is_plausible(face) for face in faces):
                        raise ValueError("out of range")
                except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                    recording.damaged_lines.append(number)
                    continue
                for face in faces:
                    recording.films.setdefault(face.film, Film(face.film)).add(face)
    except FileNotFoundError as error:
        raise SourceNotFoundError(
            f"{display_name(path)}: no such file or folder; name the one that a sink of the run writes to"
        ) from error
    except OSError as error:
        raise FileError(f"{display_name(path)}: cannot be read ({error.strerror})") from error
    recording.labels = tuple(dict.fromkeys(label for film in recording.films.values() for label in film.emotions()))
    return recording


def _parser(path: Path, first: bytes) -> Callable[[str], Iterator[RecordedFace]]:
    """Return what parses a line of the file at `path` with this first line."""
    if first.startswith(b'{"time": '):
        return JsonLines().parse
    try:
        line = first.decode()
        splits = (cells for delimiter in DELIMITERS for cells in csv.reader([line], delimiter=delimiter))
        header = next((cells for cells in splits if tuple(cells[: len(COLUMNS)]) == COLUMNS), [])
    except (ValueError, csv.Error):
        header = []
    if not header:
        raise UsageError(
            f"{display_name(path)}: neither a folder of daily logs nor a file of the sink csv or jsonl; expected a "
            f"line that begins with {','.join(COLUMNS[:3])} or with a JSON object"
        )
    labels = [from_cell(escape(cell)) for cell in header[len(COLUMNS) :]]
    return lambda line: _parse_row(line, labels)


def _parse_row(line: str, labels: list[str]) -> Iterator[RecordedFace]:
    if not line.rstrip("\r\n").isprintable():
        raise ValueError("not printable")
    cells = split_cells(line, len(COLUMNS) + len(labels))
    seconds, frame, film, track_id, *_, label, _ = cells[: len(COLUMNS)]
    probabilities = map(to_float, cells[len(COLUMNS) :])
    yield RecordedFace(
        from_cell(film),
        to_float(seconds),
        int(frame),
        int(track_id),
        from_cell(label) or None,
        dict(zip(labels, probabilities, strict=True)),
    )


class JsonLines:
    """Parses lines of the sink jsonl, in which the time goes on from film to film."""

    def __init__(self) -> None:
        self._begins: dict[str, float] = {}  # film -> time of its first line

    def parse(self, line: str) -> Iterator[RecordedFace]:
        """Yield the faces of `line`. Raises what a line of another form leads to."""
        content = json.loads(line)
        film = escape(content.get("source_name", ""))
        begin = self._begins.setdefault(film, float(content["time"]))
        for face in content["faces"]:
            label = face["label"]
            yield RecordedFace(
                film,
                float(content["time"]) - begin,
                int(content["frame"]),
                int(face["track_id"]),
                None if label is None else escape(label),
                {escape(name): float(probability) for name, probability in face["probabilities"].items()},
            )


def _is_plausible(face: RecordedFace) -> bool:
    """Return whether times and probabilities are in their range: NaN is not."""
    fractions = all(0 <= probability <= 1 for probability in face.probabilities.values())
    return 0 <= face.seconds <= MAX_SECONDS and fractions


def to_dict(recording: Recording) -> dict[str, Any]:
    """Return plain values; times in seconds, probabilities 0 to 1."""
    return {
        "file": display_name(recording.path),
        "films": [
            {
                "source_name": film.name,
                "begin": round(film.first, 3),
                "end": round(film.last, 3),
                "faces": len(film.faces),
                "face_frames": film.face_frames,
                "label_fractions": {
                    label: round(count / film.face_frames, 4)
                    for label, count in film.labels.most_common()
                    if label is not None
                },
                "uncertain_fraction": round(film.labels[None] / film.face_frames, 4),
                "probabilities": {label: round(mean, 4) for label, mean in film.emotions().items()},
                "timeline": [
                    {
                        "begin": round(begin, 3),
                        "probabilities": {label: round(mean, 4) for label, mean in means.items()},
                    }
                    for begin, means in film.timeline()
                ],
            }
            for film in recording.films.values()
        ],
        "damaged_lines": recording.damaged_lines,
    }


def text(recording: Recording) -> str:
    """Return the number of faces and the emotions of all files together, then of each file.

    Of more than MAX_FILMS, such as a folder of photos, only the total: 500 lists are nothing to read.
    """
    films = list(recording.films.values())
    lines = [] if films else ["no faces"]
    if len(films) > 1:
        face_frames = sum(film.face_frames for film in films)
        means = {
            label: sum(film.emotions().get(label, 0.0) * film.face_frames for film in films) / face_frames
            for label in recording.labels
        }
        counts = sum((film.labels for film in films), Counter[str | None]()).most_common()
        lines += _describe(f"{len(films)} files with faces", sum(len(film.faces) for film in films), "", means)
        lines.append(
            "labels: " + ", ".join(f"{label_name(label)} {count / face_frames:.0%}" for label, count in counts)
        )
    if len(films) <= MAX_FILMS:
        for film in films:
            period = f", {film.first:.1f} to {film.last:.1f} s" if film.last > film.first else ""
            lines += _describe(film.name or "camera", len(film.faces), period, film.emotions())
    else:
        lines.append("of each file: --json")
    if recording.damaged_lines:
        lines.append(
            f"damaged lines ignored: {len(recording.damaged_lines)}, the first is {recording.damaged_lines[0]}"
        )
    return "\n".join(lines)


def _describe(name: str, faces: int, period: str, means: Mapping[str, float]) -> list[str]:
    """Return a line with the number of faces, and one for each mean probability, the highest first."""
    return [
        f"{name}: {faces} face{'s' * (faces != 1)}{period}",
        *(f"  {mean:4.0%}  {label}" for label, mean in sorted(means.items(), key=lambda each: -each[1])),
    ]
