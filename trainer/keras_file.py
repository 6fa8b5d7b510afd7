"""`.keras` files: a Keras model with the labels and the resolution that it was trained on, as JSON in a ZIP member.

A .keras file is a ZIP archive; Keras ignores members that it does not know.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.errors import ModelError
from edge.inference.model_file import CARD_MEMBER
from trainer import keras_backend

METADATA_MEMBER = CARD_MEMBER  # the name that the card has in a .tflite file


@dataclass(frozen=True)
class KerasMetadata:
    """What Keras does not store in a .keras file."""

    labels: tuple[str, ...]  # in the order of the model's outputs
    effective_resolution: int  # pixels a side of the training faces


def load(path: Path) -> Any:
    """Return the Keras model in the file at `path`, whose input must be square gray images (n, size, size, 1).

    A model that was trained with mixed precision computes in float32, as its weights are and as conversion needs it.

    Raises ModelError when there is no such file, it is not a Keras model, or its input has another shape.
    """
    if not path.is_file():
        raise ModelError(f"{path}: not found; name a .keras file, such as best.keras of a run folder")
    keras_backend.load()
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)  # an optimizer of JAX or torch need not fit this backend
        if "bfloat16" in (config := model.to_json()):
            weights = model.get_weights()
            model = keras.models.model_from_json(
                config.replace("mixed_bfloat16", "float32").replace("bfloat16", "float32")
            )
            model.set_weights(weights)
    except (ValueError, OSError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path}: not a Keras model ({' '.join(str(error).split())[:200]})") from error
    match model.input_shape:
        case (None, int(height), int(width), 1) if height == width:
            return model
        case shape:
            raise ModelError(f"{path}: its input is {shape}, expected square gray images (None, size, size, 1)")


def load_metadata(path: Path) -> KerasMetadata | None:
    """Return the metadata of the .keras file at `path`, None where it has none.

    Raises ModelError when they are damaged or have the keys of an earlier version: their labels must not be guessed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(METADATA_MEMBER)
    except (zipfile.BadZipFile, KeyError):
        return None
    try:
        values = json.loads(content)
        return KerasMetadata(tuple(map(str, values["labels"])), int(values["effective_resolution"]))
    except (KeyError, ValueError, TypeError) as error:
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
