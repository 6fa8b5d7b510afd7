"""The model file: a TFLite FlatBuffer with its card (labels, input contract, calibration, metrics) as JSON inside.

The card is in a ZIP archive that is appended to the FlatBuffer. Every TFLite runtime ignores it and every ZIP tool
reads it; TensorFlow Lite Metadata stores label files in the same way. So a device needs one file only.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edge.config.defaults import MIN_CONFIDENCE
from edge.config.models import packaged_models
from edge.errors import ModelError
from edge.system.atomic_file import atomic_write
from edge.system.bounded_read import read_at_most
from edge.system.tflite_verifier import TFLITE_IDENTIFIER

CARD_MEMBER = "emotion-edge.json"
CARD_FORMAT = 3  # incremented when a program for older cards would misread a newer one
READABLE_FORMATS = (2, CARD_FORMAT)  # a card of format 2 has no class frequencies
MAX_MODEL_BYTES = 100_000_000  # the shipped model has a fortieth of it
MAX_CARD_BYTES = 1_000_000  # the shipped model's has a thousandth of it
MAX_ARCHIVE_BYTES = MAX_CARD_BYTES + 100_000  # at the end of the file
CARD_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may need gigabytes to unpack
MAX_LABELS = 256
MAX_NAME_CHARACTERS = 64  # of a label, a name, a version
MAX_TEXT_CHARACTERS = 300  # of other text
MAX_METRICS_DEPTH = 4
GRAY, RGB = "gray", "rgb"  # colors of the input
JOINERS = "\u200c\u200d"  # invisible, but spelling needs them, in Persian for example
MIN_FREQUENCY = 1e-6  # of a class: probabilities are divided by it
DEFAULT_PRIORS = ("everyday", "training")  # of those that edge.inference.prior knows: they fit any model
FREQUENCY_TOLERANCE = 1e-3  # of the sum of all: they may be rounded


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model expects and means."""

    name: str
    labels: tuple[str, ...]  # in the order of the model's outputs
    input_size: int  # pixels a side of the square uint8 input
    effective_resolution: int  # pixels a side of the training faces; larger faces are first downscaled to this
    color: str = GRAY  # of the input: GRAY, one channel, or RGB, three
    crop_padding: float = 0.0  # of the face box on each side, as a fraction of its side
    temperature: float = 1.0  # probabilities are raised to 1/temperature and normalized (Guo et al., ICML 2017)
    class_frequencies: Mapping[str, float] = field(default_factory=dict)  # label -> fraction in training; {}: unknown
    adapted_temperature: float = 1.0  # likewise, of probabilities adapted to a prior, see edge.inference.prior
    default_prior: str | None = None  # of DEFAULT_PRIORS, to use if the user names none; None: everyday
    min_confidence: float = MIN_CONFIDENCE  # calibrated probability below which a face gets no label, 0 to 1
    metrics: Mapping[str, Any] = field(default_factory=dict)  # measured on this model, e.g. {"PublicTest": {...}}
    data: str = ""  # that it was trained on
    version: str = ""  # of the model, not of the package
    sha256: str = ""  # of the FlatBuffer without the card; set by `attach`

    def __post_init__(self) -> None:
        _require(1 <= len(self.labels) <= MAX_LABELS, "labels", self.labels, f"1 to {MAX_LABELS} labels")
        _require(
            all(map(is_name, self.labels)),
            "labels",
            self.labels,
            f"names of 1 to {MAX_NAME_CHARACTERS} printable characters",
        )
        _require(len(set(self.labels)) == len(self.labels), "labels", self.labels, "no label twice")
        for key in ("input_size", "effective_resolution"):
            value = getattr(self, key)
            _require(isinstance(value, int) and 8 <= value <= 1024, key, value, "an integer, 8 to 1024 pixels")
        _require(self.color in (GRAY, RGB), "color", self.color, f"{GRAY} or {RGB}")
        temperatures = (("temperature", 0.01, 100), ("adapted_temperature", 0.01, 100))
        for key, low, high in (("crop_padding", -0.4, 1), *temperatures, ("min_confidence", 0, 1)):
            value = getattr(self, key)
            _require(_is_number(value) and low <= value <= high, key, value, f"a number from {low:g} to {high:g}")
        for key, limit in (("name", MAX_NAME_CHARACTERS), ("version", MAX_NAME_CHARACTERS), ("sha256", 64)):
            value = getattr(self, key)
            _require(_is_text(value, limit), key, value, f"text of at most {limit} printable characters")
        _require(_is_text(self.data), "data", self.data, f"text of at most {MAX_TEXT_CHARACTERS} printable characters")
        frequencies = self.class_frequencies
        _require(isinstance(frequencies, Mapping), "class_frequencies", frequencies, "an object")
        if frequencies:
            _require(
                set(frequencies) == set(self.labels)
                and all(_is_number(each) and MIN_FREQUENCY <= each <= 1 for each in frequencies.values())
                and abs(sum(frequencies.values()) - 1) <= FREQUENCY_TOLERANCE,
                "class_frequencies",
                frequencies,
                f"a fraction of at least {MIN_FREQUENCY:g} for each label, with a sum of 1",
            )
        prior = self.default_prior
        _require(prior is None or prior in DEFAULT_PRIORS, "default_prior", prior, " or ".join(DEFAULT_PRIORS))
        splits = self.metrics.values() if isinstance(self.metrics, Mapping) else [None]
        _require(all(isinstance(each, Mapping) for each in splits), "metrics", self.metrics, "an object for each split")
        _require(_is_plain(self.metrics), "metrics", self.metrics, "numbers and short printable text")


def _require(fits: bool, key: str, found: object, expected: str) -> None:
    if not fits:
        raise ModelError(f"model card: {key} is {_quote(found)}, expected {expected}")


def _quote(found: object) -> str:
    """Return `found`, which may be anything of any size, for a message of one line."""
    return ascii(found)[:MAX_TEXT_CHARACTERS] if not _is_plain(found) else repr(found)[:MAX_TEXT_CHARACTERS]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_name(value: object) -> bool:
    """Return whether `value` can be a label or a name: 1 to MAX_NAME_CHARACTERS printable characters.

    Labels become text in images, MQTT topics, labels of metrics and columns of files, and reach terminals and logs.
    Characters that control a terminal or turn the direction of text, and surrogates, which cannot be encoded, do not.
    """
    return _is_text(value, MAX_NAME_CHARACTERS) and bool(value)


def _is_text(value: object, max_characters: int = MAX_TEXT_CHARACTERS) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= max_characters
        and all(character.isprintable() or character in JOINERS for character in value)
    )


def _is_plain(value: object, depth: int = MAX_METRICS_DEPTH) -> bool:
    """Return whether `value` of a card has printable text and numbers only."""
    if isinstance(value, Mapping):
        return depth > 0 and all(_is_text(key) and _is_plain(each, depth - 1) for key, each in value.items())
    if isinstance(value, list | tuple):
        return depth > 0 and all(_is_plain(each, depth - 1) for each in value)
    return value is None or isinstance(value, bool | int | float) or _is_text(value)


def load(path: Path) -> tuple[bytes, ModelCard]:
    """Return the FlatBuffer and the card of the model file at `path`.

    Raises ModelError, naming the file, if it cannot be read, is not a TFLite model, or has no card or a damaged one.
    """
    try:
        content = read_at_most(path, MAX_MODEL_BYTES)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); expected a .tflite file") from error
    if content[4:8] != TFLITE_IDENTIFIER:
        raise ModelError(f"{path}: not a TFLite model (no TFL3 identifier); make one with 'trainer quantize'")
    try:
        model, text = split_card(content)
        if text is None:
            raise ModelError("a TFLite model without a card, or truncated; 'trainer quantize' writes one with a card")
        card = parse(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    if card.sha256 != hashlib.sha256(model).hexdigest():
        raise ModelError(f"{path}: damaged: the model does not match the SHA-256 in its card; copy the file again")
    return model, card


def is_packaged(model: bytes, path: Path) -> bool:
    """Return whether `model`, the FlatBuffer of the file at `path`, is that of one of the package's own models."""
    packaged = packaged_models().values()
    return any(path.samefile(each) for each in packaged) or any(
        split_card(read_at_most(each, MAX_MODEL_BYTES))[0] == model for each in packaged
    )


def parse(text: str) -> ModelCard:
    """Return the card of the JSON in `text`. Raises ModelError naming the key that is missing, unknown or invalid."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"model card: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise ModelError("model card: expected a JSON object")
    version = values.pop("format", None)
    if version not in READABLE_FORMATS:
        raise ModelError(
            f"model card: format {_quote(version)}, this program reads {' and '.join(map(str, READABLE_FORMATS))}; "
            "make the model file again with 'trainer quantize', or update emotion-edge"
        )
    known = {item.name for item in fields(ModelCard)}
    for key in values:
        if key not in known:
            raise ModelError(f"model card: unknown key {_quote(key)}; known are {', '.join(sorted(known))}")
    for key in ("name", "labels", "input_size", "effective_resolution", "sha256"):
        if key not in values:
            raise ModelError(f"model card: key {key!r} is missing")
    if not isinstance(values["labels"], list):
        raise ModelError(f"model card: labels is {_quote(values['labels'])}, expected a list of names")
    return ModelCard(**{**values, "labels": tuple(values["labels"])})


def attach(model: bytes, card: ModelCard, path: Path) -> ModelCard:
    """Write `model` (a FlatBuffer without card) and `card` to `path`, atomically; return the card with its hash.

    The same model and card give the same bytes. Raises FileError if the file cannot be written.
    """
    hashed = replace(card, sha256=hashlib.sha256(model).hexdigest())
    values = {key: value for key, value in asdict(hashed).items() if value is not None}
    text = json.dumps({"format": CARD_FORMAT, **values}, indent=1, ensure_ascii=False)
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(CARD_MEMBER, (2000, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    atomic_write(path, buffer.getvalue())
    return hashed


def split_card(content: bytes) -> tuple[bytes, str | None]:
    """Return the FlatBuffer and the text of the card in `content`; None for the text where no card can be read.

    Raises ModelError for a card of more than MAX_CARD_BYTES, or one that is not packed with deflate.
    """
    archive_bytes = content[-MAX_ARCHIVE_BYTES:]  # so its directory is small, too
    try:
        with zipfile.ZipFile(io.BytesIO(archive_bytes)) as archive:
            start = len(content) - len(archive_bytes) + min(member.header_offset for member in archive.infolist())
            member = archive.getinfo(CARD_MEMBER)
            if member.file_size > MAX_CARD_BYTES:
                raise ModelError(
                    f"the card is too large: {member.file_size:,} bytes when unpacked, expected at most "
                    f"{MAX_CARD_BYTES:,}; 'trainer quantize' writes such a card"
                )
            if member.compress_type not in CARD_COMPRESSIONS:
                raise ModelError("the card is not packed with deflate; 'trainer quantize' writes one that is")
            with archive.open(member) as file:
                # Not archive.read: it unpacks all there is, and only then keeps the size that the archive states.
                return content[:start], file.read(MAX_CARD_BYTES).decode()
    except ModelError:
        raise
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, RuntimeError, OSError):
        pass  # what zipfile raises for a damaged archive depends on where the damage is
    return content, None
