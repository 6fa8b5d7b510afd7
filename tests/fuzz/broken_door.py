"""A door for the tests of the fuzzer: $FAULT says what every input does, the first one of a process excepted."""

from __future__ import annotations

import os
import tempfile
from itertools import count

from edge.errors import SettingsError
from tests.fuzz.door import Door

calls = count()


def receive(content: bytes) -> None:
    tempfile.mkdtemp()  # as most doors do; the process ends by a signal
    match os.environ["FAULT"] if next(calls) else "none":
        case "refuse":
            raise SettingsError("refused")
        case "raise":
            raise KeyError("unexpected")
        case "crash":
            os.abort()
        case "loop":
            while True:
                pass
        case "allocate":
            bytearray(300_000_000).count(1)


DOOR = Door(lambda: [b"seed"], receive)
