"""Configuration files: TOML that `edge run --config` and `edge config --check` read."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from edge.config import toml_file
from edge.errors import SettingsError
from edge.setting_checks import FILE_CHECKS, NAME_CHECKS
from tests.fuzz.door import Door


@cache
def file() -> Path:
    return Path(tempfile.mkdtemp()) / "config.toml"


def seeds() -> list[bytes]:
    return [
        toml_file.example().encode(),
        b'sinks = [\n  "console",\n  "jsonl",\n]\nmax_fps = 15.5\nthreads = 2\nreconnect = true\n',
        b'crops = true\nsource = "usb:0"\ncascade = "/dev/null"\nprior = "happy=0.5"\n',
        b"min_confidence = 0.5 # comment\nduration = 1e3\n",
    ]


def receive(content: bytes) -> None:
    file().write_bytes(content)
    for problem in toml_file.problems(file(), NAME_CHECKS, FILE_CHECKS):
        assert "\n" not in problem
        raise SettingsError(problem)


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(
            b"[" * 5000,
            b"9" * 5000,
            b'"""',
            b"'''",
            b"= {",
            b"[[",
            b"\r\n",
            b"\0",
            b"\x1b[2J",
            b"\xff",
            b"nan",
            b"-inf",
            b"0x",
        ),
        *(
            b"= 1979-05-27T07:32:00Z",
            b'"\\ud800"',
            b'"\\u202e"',
            b"[\n" * 1000,
            b"a.b.c = 1\n",
            b"sinks = [[]]",
            b"= ['~x']",
        ),
    ),
    test_inputs=600,
    campaign_inputs=30_000,
)
