"""The model file: the card is stored inside, and a file that is damaged or incomplete is refused in one line."""

import hashlib
import io
import json
import time
import tracemalloc
import zipfile
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge.config.models import shipped_model
from edge.errors import FileError, ModelError
from edge.inference import model_file
from edge.inference.model_file import ModelCard

MODEL = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 4  # only its identifier is read
CARD = ModelCard(
    name="tiny",
    labels=("calm", "cross", "müde"),
    input_size=48,
    effective_resolution=40,
    crop_padding=0.1,
    temperature=1.5,
    class_frequencies={"calm": 0.5, "cross": 0.3, "müde": 0.2},
    adapted_temperature=0.8,
    default_prior="training",
    min_confidence=0.55,
    metrics={"PublicTest": {"n": 2, "accuracy": 0.5}},
    data="two faces",
    version="3",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.tflite"


@pytest.fixture
def valid(path: Path) -> bytes:
    """The bytes of a valid model file, which is also written to `path`."""
    model_file.attach(MODEL, CARD, path)
    return path.read_bytes()


def archive(model: bytes, **members: str) -> bytes:
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a") as file:
        for name, text in members.items():
            file.writestr(name, text)
    return buffer.getvalue()


def card_text(**changes: object) -> str:
    """Return a valid card as JSON with `changes`; a key that is None is left out."""
    values = {"format": model_file.CARD_FORMAT, **asdict(CARD), "sha256": hashlib.sha256(MODEL).hexdigest(), **changes}
    return json.dumps({key: value for key, value in values.items() if value is not None})


def refusal(path: Path) -> str:
    """Return the error message for the file at `path`, which must be one line that names the file."""
    with pytest.raises(ModelError) as caught:
        model_file.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_attached_card_and_model_are_loaded(path):
    hashed = model_file.attach(MODEL, CARD, path)
    assert hashed == replace(CARD, sha256=hashlib.sha256(MODEL).hexdigest())
    assert model_file.load(path) == (MODEL, hashed)


def test_card_can_be_read_by_any_zip_tool(path, valid):
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert json.loads(file.read(model_file.CARD_MEMBER))["labels"] == ["calm", "cross", "müde"]


def test_card_of_the_format_before_class_frequencies_is_read(path):
    text = card_text(format=2, class_frequencies=None, adapted_temperature=None)
    path.write_bytes(archive(MODEL, **{model_file.CARD_MEMBER: text}))
    card = model_file.load(path)[1]
    assert (card.labels, card.class_frequencies, card.adapted_temperature) == (CARD.labels, {}, 1.0)


def test_same_model_and_card_give_the_same_bytes(path, valid, monkeypatch):
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2_000_000_000))
    model_file.attach(MODEL, CARD, path)
    assert path.read_bytes() == valid


def test_card_of_a_loaded_model_can_be_replaced(path, valid):
    model, card = model_file.load(path)
    model_file.attach(model, replace(card, version="4"), path)
    assert model_file.load(path) == (MODEL, replace(card, version="4"))


@pytest.mark.parametrize(
    "content",
    [b"", b"TFL3", b"no model, but a text of some length", archive(b"", **{model_file.CARD_MEMBER: card_text()})],
)
def test_file_that_is_not_a_model_is_refused(path, content):
    path.write_bytes(content)
    assert "not a TFLite model" in refusal(path)


@pytest.mark.parametrize("content", [MODEL, archive(MODEL, other="x"), archive(MODEL)])
def test_model_without_a_card_is_refused(path, content):
    path.write_bytes(content)
    assert "without a card" in refusal(path)


@pytest.mark.parametrize("missing", [1, 22, 60, 300, 900])
def test_truncated_model_is_refused(path, valid, missing):
    path.write_bytes(valid[:-missing])
    assert "truncated" in refusal(path)


def test_one_flipped_bit_in_the_weights_is_refused(path, valid):
    path.write_bytes(valid[:500] + bytes([valid[500] ^ 1]) + valid[501:])
    assert "damaged" in refusal(path)


def test_damaged_archive_is_refused_or_read_correctly(path, valid):
    expected = model_file.load(path)
    for place in range(len(MODEL), len(valid)):
        for bit in (0, 3, 7):
            path.write_bytes(valid[:place] + bytes([valid[place] ^ 1 << bit]) + valid[place + 1 :])
            try:
                assert model_file.load(path) == expected
            except ModelError as error:
                assert str(path) in str(error)  # noqa: PT017 (either outcome is correct)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mood": 1}, ("'mood'", "crop_padding, data, default_prior, effective_resolution")),
        ({"labels": None}, ("'labels'", "missing")),
        ({"effective_resolution": None}, ("'effective_resolution'", "missing")),
        ({"format": None}, ("format None", f"reads 2 and {model_file.CARD_FORMAT}")),
        ({"format": 99}, ("format 99", f"reads 2 and {model_file.CARD_FORMAT}")),
        ({"labels": ["calm", "calm"]}, ("labels", "twice")),
        ({"labels": []}, ("labels", "1 to 256 labels")),
        ({"labels": [f"label {n}" for n in range(257)]}, ("labels", "1 to 256 labels")),
        ({"labels": "calm"}, ("labels", "list of names")),
        ({"labels": ["calm", 7]}, ("labels", "names")),
        ({"labels": ["calm", ""]}, ("labels", "names")),
        ({"labels": ["calm", "a\nb"]}, ("labels", "printable")),
        ({"labels": ["calm", "\ud800"]}, ("labels", "printable")),
        ({"labels": ["calm", "x" * 65]}, ("labels", "1 to 64")),
        ({"labels": ["calm", "\u202eevil"]}, ("labels", "printable")),
        ({"name": "\x1b[2J"}, ("name", "printable")),
        ({"name": "x" * 65}, ("name", "at most 64")),
        ({"data": "x" * 301}, ("data", "at most 300")),
        ({"metrics": {"x": {"n": "\x1b[2J"}}}, ("metrics", "printable")),
        ({"metrics": {"\ud800": {}}}, ("metrics", "printable")),
        ({"metrics": {"x": {"n": [[[[[1]]]]]}}}, ("metrics",)),
        ({"labels": "x" * 100_000}, ("labels", "list of names")),
        ({"\x1b]0;x\x07": 1}, ("unknown key",)),
        ({"input_size": "48"}, ("input_size is '48'", "an integer")),
        ({"input_size": 48.0}, ("input_size is 48.0",)),
        ({"input_size": 4}, ("input_size is 4",)),
        ({"color": "bgr"}, ("color is 'bgr'", "gray or rgb")),
        ({"color": ["rgb"]}, ("color is ['rgb']",)),
        ({"effective_resolution": 4096}, ("effective_resolution is 4096",)),
        ({"crop_padding": "wide"}, ("crop_padding is 'wide'",)),
        ({"crop_padding": True}, ("crop_padding is True",)),
        ({"crop_padding": -0.5}, ("crop_padding is -0.5",)),
        ({"crop_padding": float("nan")}, ("crop_padding is nan",)),
        ({"temperature": 0}, ("temperature is 0",)),
        ({"min_confidence": 1.5}, ("min_confidence is 1.5",)),
        ({"min_confidence": True}, ("min_confidence is True",)),
        ({"temperature": float("inf")}, ("temperature is inf",)),
        ({"temperature": 10**400}, ("temperature is 1000",)),
        ({"adapted_temperature": 0}, ("adapted_temperature is 0",)),
        ({"default_prior": "shop"}, ("default_prior is 'shop'", "everyday or training")),
        ({"default_prior": ["training"]}, ("default_prior is ['training']",)),
        ({"class_frequencies": [1]}, ("class_frequencies is [1]", "an object")),
        ({"class_frequencies": {"calm": 0.5, "cross": 0.5}}, ("class_frequencies", "for each label")),
        ({"class_frequencies": {"calm": 0.5, "cross": 0.3, "müde": 0.3}}, ("class_frequencies", "a sum of 1")),
        ({"class_frequencies": {"calm": 0.5, "cross": 0.5, "müde": 0}}, ("class_frequencies", "at least 1e-06")),
        ({"class_frequencies": {"calm": 0.5, "cross": 0.5, "müde": None}}, ("class_frequencies", "at least 1e-06")),
        ({"class_frequencies": {"calm": 10**400, "cross": 0.5, "müde": 0.5}}, ("class_frequencies",)),
        ({"name": 5}, ("name is 5", "text")),
        ({"data": ["fer2013"]}, ("data is ['fer2013']", "text")),
        ({"version": 0.1}, ("version is 0.1", "text")),
        ({"metrics": 0.66}, ("metrics is 0.66",)),
        ({"metrics": {"PublicTest": 0.66}}, ("metrics", "object for each split")),
    ],
)
def test_invalid_card_is_refused_with_key_and_value(path, changes, words):
    path.write_bytes(archive(MODEL, **{model_file.CARD_MEMBER: card_text(**changes)}))
    message = refusal(path)
    assert all(word in message for word in words), message
    assert message.isprintable()
    assert len(message) < 600 + len(str(path))


@pytest.mark.parametrize("label", ["müde", "疲れた", "می\u200cخندد", "happy 😀", "x" * 64])
def test_label_of_any_script_is_read(path, label):
    path.write_bytes(
        archive(MODEL, **{model_file.CARD_MEMBER: card_text(labels=[label, "cross"], class_frequencies={})})
    )
    assert model_file.load(path)[1].labels == (label, "cross")


@pytest.mark.parametrize(("text", "word"), [("{", "JSON"), ("[1]", "JSON object"), ("[" * 200_000, "JSON")])
def test_card_that_is_not_a_json_object_is_refused(path, text, word):
    path.write_bytes(archive(MODEL, **{model_file.CARD_MEMBER: text}))
    assert word in refusal(path)


def test_card_that_is_huge_when_decompressed_is_not_read(path):
    buffer = io.BytesIO(MODEL)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(model_file.CARD_MEMBER, card_text() + " " * model_file.MAX_CARD_BYTES)
    path.write_bytes(buffer.getvalue())
    assert f"the card is too large: {len(card_text()) + model_file.MAX_CARD_BYTES:,} bytes" in refusal(path)


def test_path_that_cannot_be_read_is_refused_with_the_reason(tmp_path):
    assert "No such file" in refusal(tmp_path / "nothing.tflite")
    assert "Is a directory" in refusal(tmp_path)


def test_model_that_cannot_be_written_is_an_error_naming_it(path, valid):
    with pytest.raises(FileError, match=r"tiny\.tflite/inside: "):
        model_file.attach(MODEL, CARD, path / "inside")


def test_shipped_model_has_labels_data_and_metrics():
    _, card = model_file.load(shipped_model())
    assert card.labels
    assert card.data
    assert card.metrics


def with_archive(content: bytes, compression: int, stated_size: int | None = None) -> bytes:
    """Return MODEL with `content` as its card; `stated_size` replaces its size in the archive's directory."""
    buffer = io.BytesIO(MODEL)
    with zipfile.ZipFile(buffer, "a", compression) as archive:
        archive.writestr(model_file.CARD_MEMBER, content)
        if stated_size is not None:
            archive.getinfo(model_file.CARD_MEMBER).file_size = stated_size
    return buffer.getvalue()


@pytest.mark.parametrize("stated_size", [None, 1000])
def test_card_that_unpacks_to_much_is_not_unpacked(stated_size):
    content = with_archive(b" " * 50_000_000, zipfile.ZIP_DEFLATED, stated_size)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="the card is too large") if stated_size is None else nullcontext():
            assert model_file.split_card(content)[1] is None
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_card_of_another_compression_is_not_unpacked(path, compression):
    path.write_bytes(with_archive(b"{}", compression))
    assert "the card is not packed with deflate" in refusal(path)


def test_device_is_no_model():
    with pytest.raises(ModelError, match=r"/dev/zero: cannot be read \(a device or a socket, not a file"):
        model_file.load(Path("/dev/zero"))
