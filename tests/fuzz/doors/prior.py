"""Expected class frequencies: the text of `edge run --prior`, and the file that it may name."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge.inference.model_file import ModelCard
from edge.inference.prior import expected_frequencies
from tests.fuzz.door import Door

CARD = ModelCard("tiny", ("calm", "cross", "glad"), 48, 48, class_frequencies={"calm": 0.2, "cross": 0.3, "glad": 0.5})
FILE_MARK = b"#"  # a file starts with a comment, a text does not


def receive(content: bytes) -> None:
    if not content.startswith(FILE_MARK):
        check(content.decode(errors="surrogateescape"))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "prior.toml")
        path.write_bytes(content)
        check(str(path))


def check(prior: str) -> None:
    frequencies = expected_frequencies(prior, CARD)
    if frequencies is not None:
        assert list(frequencies) == list(CARD.labels)
        assert abs(sum(frequencies.values()) - 1) < 1e-9
        assert min(frequencies.values()) > 0


DOOR = Door(
    lambda: [
        b"everyday",
        b"training",
        b"calm=0.5",
        b"calm=0.2,cross=0.3,glad=0.5",
        b"#\ncalm = 0.5\n'glad' = 0.25\n",
        b"#\ncalm = 0x1\nglad.cross = [1e-3, true]\n",
    ],
    receive,
    tokens=(
        b"=",
        b",",
        b"nan",
        b"inf",
        b"1e-400",
        b"1e400",
        b"1_0",
        b"calm",
        b"\n",
        b"[",
        b'"',
        b"0x",
        b"true",
        b".toml",
    ),
    campaign_inputs=150_000,
)
