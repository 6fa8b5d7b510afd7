"""Files of the sinks csv and jsonl, which `edge summary` reads, shows and draws."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

from edge.diagnostics import recording, recording_plot
from edge.errors import FileError
from edge.sinks.csv import COLUMNS
from tests.fuzz.door import Door
from tests.support.hostile_text import TABLE_TOKENS
from tests.support.spreadsheet import save_again


@cache
def file() -> Path:
    return Path(tempfile.mkdtemp()) / "faces"


def receive(content: bytes) -> None:
    """Show and draw the recording, and raise FileError if none of its lines can be read."""
    file().write_bytes(content)
    found = recording.read(file())
    json.dumps(recording.to_dict(found), ensure_ascii=False).encode()
    shown = recording.text(found)
    assert all(line.isprintable() for line in shown.split("\n")), shown
    if len(found.films) <= recording.MAX_FILMS:
        recording_plot.content(found, ".svg", {})
    if found.damaged_lines and not found.films:
        raise FileError("no line can be read")


def seeds() -> list[bytes]:
    header = ",".join((*COLUMNS, "calm", "'=cross"))
    rows = (
        "0.0400,1,clip.mp4,1,10,12,20,24,calm,0.8731,0.8731,0.1269",
        "1.2000,30,'=b.mp4,2,10,12,20,24,,0.5500,0.5500,0.4500",
        '9.9600,249,"a, b.mp4",3,10,12,20,24,\'=cross,0.9000,0.1000,0.9000',
    )
    face = {"track_id": 1, "box": [1, 2, 3, 4], "label": None, "probabilities": {"calm": 0.6, "cross": 0.4}}
    frames = [
        {"time": 0.04, "frame": 1, "source_name": "a.mp4", "faces": [face]},
        {"time": 3.0, "frame": 2, "faces": []},
        {"time": 60.5, "frame": 900, "source_name": "a.mp4", "faces": [face, {**face, "label": "calm"}]},
    ]
    table = "\n".join((header, *rows, "")).encode()
    return [table, "\n".join(map(json.dumps, frames)).encode(), save_again(table)]


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *TABLE_TOKENS,
        *(b"inf", b"1e999", b"-1", b"1e7", b"null", b"{}", b"[[", b"true", b"'", b"=", b"calm" * 1000, b"\n" * 100),
        *(b"\\ud800", b"\\u001b", "\u0663".encode()),
    ),
    test_inputs=300,
    campaign_inputs=20_000,
)
