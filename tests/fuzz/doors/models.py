"""Model files: the structure of the shipped model's FlatBuffer, mutated, with a right checksum in its card.

An input is the FlatBuffer without its weights and quantization scales, which are nine tenths of it and mean nothing to
the program; they are put back before the file is written. An accepted model has been loaded, and has classified a face.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from edge.config.models import packaged_model
from edge.inference import model_file
from edge.inference.classifier import Classifier
from edge.system.flatbuffer import FlatBuffer
from edge.system.tflite_verifier import TFLITE_IDENTIFIER
from tests.fuzz.door import Door

MIN_LEFT_OUT_BYTES = 64  # shorter vectors of numbers, such as a shape, stay in the input


@cache
def file() -> Path:
    folder = Path(tempfile.mkdtemp())
    os.environ["XDG_CACHE_HOME"] = str(folder)  # each model is tried
    return folder / "model.tflite"


@cache
def left_out() -> list[range]:
    """Return which bytes of the FlatBuffer are weights and scales, in order."""
    return sorted(set(_large_vectors(model_file.load(packaged_model())[0])), key=lambda each: each.start)


def _large_vectors(model: bytes) -> Iterator[range]:
    root = FlatBuffer(model, TFLITE_IDENTIFIER).root
    vectors = [buffer.vector_range(0, 1) for buffer in root.tables(4)]
    for tensor in root.tables(2)[0].tables(0):
        if (quantization := tensor.table(4)) is not None:
            vectors += [quantization.vector_range(2, 4), quantization.vector_range(3, 8)]
    yield from (vector for vector in vectors if len(vector) >= MIN_LEFT_OUT_BYTES)


def seeds() -> list[bytes]:
    model = model_file.load(packaged_model())[0]
    ends = [0, *(vector.stop for vector in left_out())]
    starts = [*(vector.start for vector in left_out()), len(model)]
    return [b"".join(model[end:start] for end, start in zip(ends, starts, strict=True))]


def receive(content: bytes) -> None:
    shipped, card = model_file.load(packaged_model())
    parts, used, end = [], 0, 0
    for vector in left_out():
        structure = content[used : used + vector.start - end]
        parts += [structure, shipped[vector.start : vector.stop]]
        used, end = used + vector.start - end, vector.stop
    model_file.attach(b"".join([*parts, content[used:]]), card, file())
    Classifier(file()).warm_up()


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(value.to_bytes(4, "little", signed=True) for value in (-1, 0, 1, 3, 7, 128, 1 << 16, 1 << 24, 1 << 30)),
        *(value.to_bytes(1, "little") for value in range(18)),
        b"\x01\x00\x00\x00\xff\xff\xff\xff",
        b"\x04\x00\x06\x00",
    ),
    test_inputs=30,
    campaign_inputs=2_000,
)
