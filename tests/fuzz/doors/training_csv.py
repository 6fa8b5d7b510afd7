"""FER2013's CSV, with and without the column Usage."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tests.fuzz.door import Door
from tests.support import faces
from trainer.data.loader import load_dataset


@cache
def file() -> Path:
    return Path(tempfile.mkdtemp()) / "fer2013.csv"


def seeds() -> list[bytes]:
    lines = faces.csv_lines(faces.tiny(training=1, public=1, private=0))[:4]
    without_usage = "\n".join(line.rpartition(",")[0] for line in lines)
    return ["\n".join(lines).encode(), without_usage.encode(), b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode()]


def receive(content: bytes) -> None:
    file().write_bytes(content)
    load_dataset(file(), skip_invalid=len(content) % 2 == 0)


DOOR = Door(
    seeds,
    receive,
    tokens=(
        b'"',
        b",",
        b"\r",
        b"\0",
        b"9" * 5000,
        b"-1",
        b"1e3",
        "\u0663".encode(),
        b"\xff",
        b"Training",
        b" ," * 3000,
    ),
    test_inputs=400,
    campaign_inputs=60_000,
)
