"""`.keras` files: whole ones, and what is in them, the configuration of the layers and our metadata."""

from __future__ import annotations

import importlib.util
import io
import json
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from edge.errors import UsageError
from tests.fuzz.door import Door
from trainer import keras_backend, keras_file
from trainer.keras_file import METADATA_MEMBER, KerasMetadata

if importlib.util.find_spec("keras") is None:
    raise UsageError("Keras is not installed")

CONFIG = "config.json"


@cache
def file() -> Path:
    return Path(tempfile.mkdtemp()) / "model.keras"


@cache
def members() -> dict[str, bytes]:
    """Return the files in a small .keras file."""
    keras_backend.load()
    import keras

    pixels = keras.Input((16, 16, 1))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3, strides=4)(pixels))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(hidden))
    keras_file.save(keras.Model(pixels, outputs), file(), KerasMetadata(("a", "b", "c"), 48))
    with zipfile.ZipFile(file()) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def seeds() -> list[bytes]:
    return [members()[CONFIG], members()[METADATA_MEMBER], packed({})]


def packed(changed: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in (members() | changed).items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


def receive(content: bytes) -> None:
    if not content.startswith(b"PK"):
        content = packed({METADATA_MEMBER if b'"labels"' in content else CONFIG: content})
    file().write_bytes(content)
    metadata = keras_file.load_metadata(file())
    keras_file.load(file())
    json.dumps(metadata.labels if metadata else ())


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(
            b"[" * 5000,
            b"9" * 5000,
            b"null",
            b"-1",
            b"1e999",
            b'"\\ud800"',
            b"{}",
            b"[]",
            b'"Lambda"',
            b"PK\1\2",
            b"\0",
        ),
        *(b'"float16"', b'"batch_shape": [null, 0, 0, 0]', b'"filters": 1000000000', b'"units": 0', b'"labels": "abc"'),
    ),
    test_inputs=30,
    campaign_inputs=5_000,
)
