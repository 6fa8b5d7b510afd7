"""The model's card: labels, input contract, calibration and metrics, stored as JSON inside the .tflite file.

A ZIP archive appended to a FlatBuffer is ignored by every TFLite runtime and read by every ZIP tool; TensorFlow Lite
Metadata packs its label files the same way. So one file is all that a device needs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edge.errors import ModelError
from edge.system.atomic_file import write_whole

MEMBER = "emotion-edge.json"
FORMAT = 1  # raised when a reader of an older card would misread a newer one
_MAGIC = b"TFL3"  # file identifier of the TFLite schema, at bytes 4 to 8


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model expects and means."""

    name: str
    labels: tuple[str, ...]  # in the order of the model's outputs
    input_size: int  # pixels a side of the square grey uint8 input
    detail: int  # pixels a side of the training faces; larger faces are first shrunk to this
    margin: float = 0.0  # widens the face box on each side, as a share of its side
    temperature: float = 1.0  # scores are raised to 1/temperature and normalised (Guo et al. 2017)
    unsure: float = 0.4  # confidence, after the temperature, below which no label is given
    metrics: Mapping[str, Any] = field(default_factory=dict)  # measured on this very model, e.g. {"PublicTest": {...}}
    data: str = ""  # what it was trained on
    version: str = ""  # of the model, not of the package
    sha256: str = ""  # of the FlatBuffer without the card; filled in by `attach`

    def __post_init__(self) -> None:
        _require(bool(self.labels), "labels", self.labels, "at least one label")
        _require(all(isinstance(x, str) and x for x in self.labels), "labels", self.labels, "names")
        _require(len(set(self.labels)) == len(self.labels), "labels", self.labels, "no label twice")
        for key in ("input_size", "detail"):
            value = getattr(self, key)
            _require(isinstance(value, int) and 8 <= value <= 1024, key, value, "a whole number of pixels, 8 to 1024")
        _require(_number(self.margin) and -0.4 <= self.margin <= 1, "margin", self.margin, "a share, -0.4 to 1")
        _require(
            _number(self.temperature) and 0.01 <= self.temperature <= 100,
            "temperature",
            self.temperature,
            "0.01 to 100",
        )
        _require(_number(self.unsure) and 0 <= self.unsure <= 1, "unsure", self.unsure, "a share, 0 to 1")
        for key in ("name", "data", "version", "sha256"):
            _require(isinstance(getattr(self, key), str), key, getattr(self, key), "text")
        splits = self.metrics.values() if isinstance(self.metrics, Mapping) else [None]
        _require(all(isinstance(x, Mapping) for x in splits), "metrics", self.metrics, "an object for each split")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(fits: bool, key: str, found: object, expected: str) -> None:
    if not fits:
        raise ModelError(f"model card: {key} is {found!r}, expected {expected}")


def shipped_model() -> Path:
    """Return the path of the model to use where none is named.

    $EMOTION_EDGE_MODEL names the one that was deployed: scripts/install.sh sets it for the service. Else it is the one
    that comes with the package: in the wheel, or in a checkout's models/.
    """
    if deployed := os.environ.get("EMOTION_EDGE_MODEL"):
        return Path(deployed)
    here = Path(__file__).parent.parent
    inside = here / "models" / "emotion.tflite"
    return inside if inside.exists() else here.parent / "models" / "emotion.tflite"


def load(path: Path) -> tuple[bytes, ModelCard]:
    """Return the FlatBuffer and the card of the model file at `path`.

    Raises ModelError, naming the file, when it cannot be read, is no TFLite model, has no card or a damaged one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); name a .tflite file that is there") from error
    if content[4:8] != _MAGIC:
        raise ModelError(f"{path}: not a TFLite model (no TFL3 mark); make one with 'trainer quantize'")
    model, text = _split(content)
    if text is None:
        raise ModelError(
            f"{path}: a TFLite model without a card, or cut short; 'trainer quantize' writes one with a card"
        )
    try:
        card = parse(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    if card.sha256 != hashlib.sha256(model).hexdigest():
        raise ModelError(
            f"{path}: damaged: the model's bytes do not match the SHA-256 in its card; copy the file again"
        )
    return model, card


def parse(text: str) -> ModelCard:
    """Return the card written as JSON in `text`. Raises ModelError naming the key that is missing, unknown or wrong."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ModelError(f"model card: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise ModelError("model card: expected a JSON object")
    version = values.pop("format", None)
    if version != FORMAT:
        raise ModelError(
            f"model card: format {version!r}, this program reads {FORMAT}; update emotion-edge or the model"
        )
    known = {item.name for item in fields(ModelCard)}
    for key in values:
        if key not in known:
            raise ModelError(f"model card: unknown key {key!r}; known are {', '.join(sorted(known))}")
    for key in ("name", "labels", "input_size", "detail", "sha256"):
        if key not in values:
            raise ModelError(f"model card: key {key!r} is missing")
    if not isinstance(values["labels"], list):
        raise ModelError(f"model card: labels is {values['labels']!r}, expected a list of names")
    return ModelCard(**{**values, "labels": tuple(values["labels"])})


def attach(model: bytes, card: ModelCard, path: Path) -> ModelCard:
    """Write `model` (a FlatBuffer without card) with `card` inside to `path`, whole or not at all; return the card.

    The bytes depend on nothing but the arguments, so that the same model gives the same file.
    """
    sealed = replace(card, sha256=hashlib.sha256(model).hexdigest())
    text = json.dumps({"format": FORMAT, **asdict(sealed)}, indent=1, ensure_ascii=False)
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER, (2000, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    write_whole(path, buffer.getvalue())
    return sealed


def _split(content: bytes) -> tuple[bytes, str | None]:
    """Return the FlatBuffer and the card's text, None where no readable card is inside."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            start = min(member.header_offset for member in archive.infolist())
            return content[:start], archive.read(MEMBER).decode()
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, RuntimeError, OSError):
        # All that zipfile raises for a damaged archive, according to where it was hit.
        return content, None
