"""`.keras` files: a Keras model with the labels, resolution and class frequencies of its training, in a ZIP member.

A .keras file is a ZIP archive; Keras ignores members that it does not know. A file of somebody else may claim layers of
any size: it is loaded within a limit of memory.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge.errors import ModelError
from edge.inference.model_file import CARD_MEMBER, GRAY, MAX_LABELS, RGB, is_name
from edge.system.paths import file_problem
from edge.system.process import memory_limit
from trainer import keras_backend

METADATA_MEMBER = CARD_MEMBER  # the name that the card has in a .tflite file
MAX_METADATA_BYTES = 1_000_000
MEMBERS = ("config.json", "metadata.json", "model.weights.h5", METADATA_MEMBER)
MAX_UNPACKED_BYTES = 1_000_000_000  # of all members
MAX_TEXT_BYTES = 10_000_000  # of one that is JSON: the shipped model's has 0.1 MB
# To load a model in: what the backend takes at its first use, and the copies of the weights in the file.
LOAD_BYTES, LOAD_BYTES_FOR_PROCESSOR, LOAD_COPIES = 2_000_000_000, 150_000_000, 4
_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)  # RuntimeError: encrypted, deeply nested JSON


@dataclass(frozen=True)
class KerasMetadata:
    """What Keras does not store in a .keras file."""

    labels: tuple[str, ...]  # in the order of the model's outputs
    effective_resolution: int  # pixels a side of the training faces
    class_frequencies: Mapping[str, float] = field(default_factory=dict)  # label -> fraction in training; {}: unknown
    color: str = GRAY  # of the input, GRAY or RGB


def load(path: Path) -> Any:
    """Return the Keras model in the file at `path`, whose input must be square images (n, size, size, 1 or 3).

    A model that was trained with mixed precision computes in float32, as its weights are and as conversion needs it.

    Raises ModelError when there is no such file, it is not a Keras model, or its input or output has another shape.
    """
    require_format(path)
    if problem := file_problem(path):
        raise ModelError(f"{path}: {problem}; name a .keras file, such as best.keras of a run folder")
    check_archive(path)
    keras_backend.load()
    import keras

    allowed = LOAD_BYTES + LOAD_BYTES_FOR_PROCESSOR * (os.cpu_count() or 1) + LOAD_COPIES * path.stat().st_size
    try:
        with memory_limit(allowed):
            model = keras.saving.load_model(path, compile=False)  # an optimizer of JAX or torch need not fit
        if "bfloat16" in (config := model.to_json()):
            weights = model.get_weights()
            model = keras.models.model_from_json(
                config.replace("mixed_bfloat16", "float32").replace("bfloat16", "float32")
            )
            model.set_weights(weights)
    except Exception as error:  # of a damaged file Keras raises whatever its layers meet
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"{path}: not a Keras model ({reason})") from error
    if len(model.outputs) != 1 or len(model.output_shape) != 2:
        raise ModelError(f"{path}: its output is {model.output_shape}, expected one of (None, classes)")
    match model.input_shape:
        case (None, int(height), int(width), 1 | 3) if height == width:
            return model
        case shape:
            raise ModelError(
                f"{path}: its input is {shape}, expected square images, gray (None, size, size, 1) or in color "
                "(None, size, size, 3)"
            )


def check_archive(path: Path) -> None:
    """Raise ModelError if the .keras file at `path` is no archive of a model's files only, or unpacks to too much.

    Keras would unpack any other file to a temporary folder.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (*_DAMAGED_ZIP, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path}: not a Keras model ({' '.join(str(error).split())[:200]})") from error
    for member in members:
        if member.filename not in MEMBERS:
            raise ModelError(
                f"{path}: not a Keras model of images (it holds {member.filename[:80]!a}, expected only "
                f"{', '.join(MEMBERS)})"
            )
        if member.filename.endswith(".json") and member.file_size > MAX_TEXT_BYTES:
            raise ModelError(
                f"{path}: its {member.filename} has {member.file_size / 1e6:.0f} MB, expected at most "
                f"{MAX_TEXT_BYTES / 1e6:.0f}"
            )
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED_BYTES:
        most = MAX_UNPACKED_BYTES / 1e6
        raise ModelError(f"{path}: it unpacks to {unpacked / 1e6:.0f} MB, expected at most {most:.0f}")


def require_format(path: Path) -> None:
    """Raise ModelError for a model in another format of Keras than .keras, with the way to convert it."""
    if path.suffix.lower() in (".h5", ".hdf5"):
        raise ModelError(
            f"{path}: .h5 is Keras' older format, which may run code when it is loaded; convert a file that you "
            f'trust: python -c \'import keras; keras.saving.load_model("{path}", compile=False).save("NAME.keras")\''
        )
    if path.suffix == ".tflite":
        raise ModelError(f"{path}: is converted already; name the .keras file that it was made of")
    if (path / "best.keras").is_file():
        raise ModelError(f"{path}: a run folder; name its model, {path / 'best.keras'}")
    if path.is_dir():
        raise ModelError(
            f"{path}: a folder, such as a SavedModel, which Keras 3 cannot load; write a .keras file by the program "
            "that made it: model.save('NAME.keras')"
        )


def load_metadata(path: Path) -> KerasMetadata | None:
    """Return the metadata of the .keras file at `path`, None where it has none.

    Raises ModelError when they are damaged or have the keys of an earlier version: their labels must not be guessed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if METADATA_MEMBER not in archive.namelist():
                return None
            with archive.open(METADATA_MEMBER) as file:
                values = json.loads(file.read(MAX_METADATA_BYTES))
        labels, resolution = values["labels"], int(values["effective_resolution"])
        if not isinstance(labels, list) or not 1 <= len(labels) <= MAX_LABELS or not all(map(is_name, labels)):
            raise ValueError("labels")
        color = values.get("color", GRAY)
        if len(set(labels)) < len(labels) or resolution < 1 or color not in (GRAY, RGB):
            raise ValueError("labels, effective_resolution or color")
        frequencies = {str(label): float(x) for label, x in values.get("class_frequencies", {}).items()}
        return KerasMetadata(tuple(labels), resolution, frequencies, color)
    except (*_DAMAGED_ZIP, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        if not zipfile.is_zipfile(path):
            return None  # no .keras file at all, which `load` reports
        raise ModelError(
            f"{path}: metadata damaged or of an earlier version; 'python -m trainer.migrate {path}' converts the latter"
        ) from error


def save(model: Any, path: Path, metadata: KerasMetadata) -> None:
    """Write `model` with `metadata` to `path`."""
    model.save(path)
    save_metadata(path, metadata)


def save_metadata(path: Path, metadata: KerasMetadata) -> None:
    """Add `metadata` to the .keras file at `path`, which has none yet."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(METADATA_MEMBER, (2000, 1, 1, 0, 0, 0)), json.dumps(asdict(metadata)))
