"""Daily logs: a CSV file that `edge summary` reads and shows."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

from edge.diagnostics import summary, summary_text
from edge.errors import FileError
from edge.sinks.daily_log import HEADER
from tests.fuzz.door import Door
from tests.support.hostile_text import TABLE_TOKENS
from tests.support.spreadsheet import save_again

WIDTH = 80  # columns of the terminal


@cache
def file() -> Path:
    return Path(tempfile.mkdtemp()) / "emotions-2026-11-21.csv"


def receive(content: bytes) -> None:
    """Show the log, and raise FileError if none of its lines can be read."""
    file().write_bytes(content)
    result = summary.read(file().parent, None)
    json.dumps(summary.to_dict(result), ensure_ascii=False).encode()
    shown = summary_text.text(result, WIDTH)
    assert all(line.isprintable() for line in shown.split("\n")), shown
    if result.damaged_lines and not result.totals.faces:
        raise FileError("no line can be read")


def seeds() -> list[bytes]:
    lines = (
        "2026-11-21T14:03:20.021+01:00,9.967,5f21c0,3,calm,0.873",
        "2026-11-21T14:03:30.000+01:00,0.000,5f21c0,4,,0.400",
        "2026-11-21T23:59:59.999-12:00,86400,0a0b0c,12,'=1+1,1",
        '2026-11-21T00:00:00Z,1e3,5f21c0,4,"calm, or not",0.5',
    )
    log = f"{HEADER}{chr(10).join(lines)}\n".encode()
    return [log, f"{HEADER}{lines[0]}\r\n{lines[1][:30]}".encode(), save_again(log)]


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *TABLE_TOKENS,
        *(
            b"inf",
            b"1e999",
            b"-1",
            b"9999-12-31T23:59:59+00:00",
            b"0001-01-01T00:00:00+23:59",
            b"+",
            b"=",
            b"'",
            b"1_0",
        ),
        *("\u0663".encode(), b"86400", b"T24:00", b"calm" * 1000, b"\n" * 100),
    ),
    test_inputs=500,
    campaign_inputs=60_000,
)
