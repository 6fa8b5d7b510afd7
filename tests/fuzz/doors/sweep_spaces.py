"""The file of `trainer sweep`."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tests.fuzz.door import Door
from tests.support.paths import ROOT
from trainer.training import sweep_space


@cache
def file() -> Path:
    return Path(tempfile.mkdtemp()) / "space.toml"


def seeds() -> list[bytes]:
    return [(ROOT / "examples" / "sweep.toml").read_bytes(), b'[search]\nteacher = { choices = ["a", "b"] }\n']


def receive(content: bytes) -> None:
    file().write_bytes(content)
    sweep_space.read(file())


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(b"[search]\n", b"[fixed]\n", b"[study]\n", b"choices", b"augment", b"low", b"high", b"{", b"[" * 2000, b"\0"),
        *(
            b"inf",
            b"nan",
            b"9" * 5000,
            b"1e999",
            b"-1",
            b"true",
            b'"all"',
            b"unfreeze",
            b"1979-05-27",
            b"\xff",
            b"[]",
            b"0x",
        ),
    ),
    test_inputs=400,
)
