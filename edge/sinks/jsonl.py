"""Writes one JSON object a frame, to stdout or, as `jsonl:FILE`, added to the end of a file.

    {"time": seconds, "frame": index, "faces": [{"id": 1, "box": [x, y, width, height],
     "label": "happy" or null (unsure), "confidence": 0 to 1, "scores": {label: share, ...}}, ...]}

`time` is on the source's clock: the position in a video, the time since the start for a camera. Each line is written at
once and whole, so that a reader never waits and a file ends with a whole line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from edge.errors import SinkError
from edge.values import Observation, Reading


class Sink:
    def __init__(self, argument: str = "") -> None:
        self._path = Path(argument).expanduser() if argument else None
        self._stream: TextIO = sys.stdout

    def __enter__(self) -> Self:
        if self._path:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self._path.open("a", encoding="utf-8")
            except OSError as error:
                raise SinkError(f"jsonl:{self._path}: cannot be opened ({error.strerror})") from error
        return self

    def write(self, seen: Observation) -> None:
        try:
            self._stream.write(json.dumps(as_json(seen), ensure_ascii=False) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            raise  # the reader has gone: the command ends quietly
        except OSError as error:
            raise SinkError(f"jsonl:{self._path or 'stdout'}: cannot be written ({error.strerror})") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path:
            try:
                self._stream.close()
            except OSError as failure:
                if error is None:  # else the failed write has said so already
                    raise SinkError(f"jsonl:{self._path}: cannot be written ({failure.strerror})") from failure


def as_json(seen: Observation) -> dict[str, Any]:
    """Return the plain values of one line."""
    faces = [_face(reading) for reading in seen.readings]
    return {"time": round(seen.frame.time, 4), "frame": seen.frame.index, "faces": faces}


def _face(reading: Reading) -> dict[str, Any]:
    box = reading.box
    return {
        "id": reading.face_id,
        "box": [box.x, box.y, box.width, box.height],
        "label": reading.label,
        "confidence": round(reading.confidence, 4),
        "scores": {label: round(share, 4) for label, share in reading.scores.items()},
    }
