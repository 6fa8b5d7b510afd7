"""FER+'s CSV of votes, for a small fer2013.csv."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tests.fuzz.door import Door
from tests.support import faces
from trainer.data.loader import load_dataset

DATA = faces.tiny(training=1, public=1, private=0)


@cache
def folder() -> Path:
    created = Path(tempfile.mkdtemp())
    faces.write_csv(created / "fer2013.csv", DATA)
    return created


def seeds() -> list[bytes]:
    return ["\n".join(faces.ferplus_lines(DATA)).encode()]


def receive(content: bytes) -> None:
    votes = folder() / "fer2013new.csv"
    votes.write_bytes(content)
    load_dataset(folder() / "fer2013.csv", ferplus=votes)


DOOR = Door(
    seeds,
    receive,
    tokens=(
        b'"',
        b",",
        b"\r\n",
        b"\0",
        b"9" * 5000,
        b"-1",
        b"11",
        "\u00b2\u0663".encode(),
        b"\xff",
        b"Training,",
        b"NF",
    ),
    test_inputs=150,
    campaign_inputs=30_000,
)
