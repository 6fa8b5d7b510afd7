"""The card travels inside the model file; a file that is not whole and right is refused in one line that names it."""

import hashlib
import io
import json
import time
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge.config.models import shipped_model
from edge.errors import FileError, ModelError
from edge.inference import model_file
from edge.inference.model_file import ModelCard

MODEL = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 4  # only its mark is looked at
CARD = ModelCard(
    name="tiny",
    labels=("calm", "cross", "müde"),
    input_size=48,
    detail=40,
    margin=0.1,
    temperature=1.5,
    unsure=0.55,
    metrics={"PublicTest": {"n": 2, "accuracy": 0.5}},
    data="two faces",
    version="3",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.tflite"


@pytest.fixture
def whole(path: Path) -> bytes:
    """The bytes of a good model file, which also lies at `path`."""
    model_file.attach(MODEL, CARD, path)
    return path.read_bytes()


def archive(model: bytes, **members: str) -> bytes:
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a") as file:
        for name, text in members.items():
            file.writestr(name, text)
    return buffer.getvalue()


def card_text(**changes: object) -> str:
    """Return a good card as JSON with `changes`; a key that is None is left out."""
    values = {"format": model_file.CARD_FORMAT, **asdict(CARD), "sha256": hashlib.sha256(MODEL).hexdigest(), **changes}
    return json.dumps({key: value for key, value in values.items() if value is not None})


def refusal(path: Path) -> str:
    """Return what is said of the file at `path`, which must be one line that names it."""
    with pytest.raises(ModelError) as caught:
        model_file.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_attached_is_loaded(path):
    sealed = model_file.attach(MODEL, CARD, path)
    assert sealed == replace(CARD, sha256=hashlib.sha256(MODEL).hexdigest())
    assert model_file.load(path) == (MODEL, sealed)


def test_any_zip_tool_reads_the_card(path, whole):
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert json.loads(file.read(model_file.CARD_MEMBER))["labels"] == ["calm", "cross", "müde"]


def test_the_same_model_and_card_give_the_same_bytes_at_any_time(path, whole, monkeypatch):
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2_000_000_000))
    model_file.attach(MODEL, CARD, path)
    assert path.read_bytes() == whole


def test_a_card_can_be_replaced_in_a_loaded_model(path, whole):
    model, found = model_file.load(path)
    model_file.attach(model, replace(found, version="4"), path)
    assert model_file.load(path) == (MODEL, replace(found, version="4"))


@pytest.mark.parametrize(
    "content",
    [b"", b"TFL3", b"no model, but a text of some length", archive(b"", **{model_file.CARD_MEMBER: card_text()})],
)
def test_a_file_that_is_no_model_is_refused(path, content):
    path.write_bytes(content)
    assert "not a TFLite model" in refusal(path)


@pytest.mark.parametrize("content", [MODEL, archive(MODEL, other="x"), archive(MODEL)])
def test_a_model_without_a_card_is_refused(path, content):
    path.write_bytes(content)
    assert "without a card" in refusal(path)


@pytest.mark.parametrize("lost", [1, 22, 60, 300, 900])
def test_a_truncated_model_is_refused_as_cut_short(path, whole, lost):
    path.write_bytes(whole[:-lost])
    assert "cut short" in refusal(path)


def test_one_flipped_bit_in_the_weights_is_refused_as_damaged(path, whole):
    path.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    assert "damaged" in refusal(path)


def test_a_damaged_archive_is_refused_or_read_right_wherever_it_was_hit(path, whole):
    good = model_file.load(path)
    for place in range(len(MODEL), len(whole)):
        for bit in (0, 3, 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                assert model_file.load(path) == good
            except ModelError as error:
                assert str(path) in str(error)  # noqa: PT017 (either outcome is right)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mood": 1}, "unknown key 'mood'; known are data, detail"),
        ({"labels": None}, "key 'labels' is missing"),
        ({"detail": None}, "key 'detail' is missing"),
        ({"format": None}, "format None, this program reads 1"),
        ({"format": 99}, "format 99, this program reads 1"),
        ({"labels": ["calm", "calm"]}, "no label twice"),
        ({"labels": []}, "at least one label"),
        ({"labels": "calm"}, "expected a list of names"),
        ({"labels": ["calm", 7]}, "names"),
        ({"labels": ["calm", ""]}, "names"),
        ({"input_size": "48"}, "input_size is '48', expected a whole number"),
        ({"input_size": 48.0}, "input_size is 48.0"),
        ({"input_size": 4}, "input_size is 4"),
        ({"detail": 4096}, "detail is 4096"),
        ({"margin": "wide"}, "margin is 'wide'"),
        ({"margin": True}, "margin is True"),
        ({"margin": -0.5}, "margin is -0.5"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"temperature": 0}, "temperature is 0"),
        ({"unsure": 1.5}, "unsure is 1.5"),
        ({"unsure": True}, "unsure is True"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"temperature": 10**400}, "temperature is 1000"),
        ({"name": 5}, "name is 5, expected text"),
        ({"data": ["fer2013"]}, "data is ['fer2013'], expected text"),
        ({"version": 0.1}, "version is 0.1, expected text"),
        ({"metrics": 0.66}, "metrics is 0.66"),
        ({"metrics": {"PublicTest": 0.66}}, "an object for each split"),
    ],
)
def test_a_wrong_card_is_refused_with_the_key_and_what_was_found(path, changes, words):
    path.write_bytes(archive(MODEL, **{model_file.CARD_MEMBER: card_text(**changes)}))
    assert words in refusal(path)


@pytest.mark.parametrize(("text", "words"), [("{", "not JSON"), ("[1]", "expected a JSON object")])
def test_a_card_that_is_no_json_object_is_refused(path, text, words):
    path.write_bytes(archive(MODEL, **{model_file.CARD_MEMBER: text}))
    assert words in refusal(path)


def test_a_path_that_cannot_be_read_is_refused_with_the_reason(tmp_path):
    assert "No such file" in refusal(tmp_path / "nothing.tflite")
    assert "Is a directory" in refusal(tmp_path)


def test_a_model_that_cannot_be_written_is_one_error_that_names_it(path, whole):
    with pytest.raises(FileError, match=r"tiny\.tflite/inside: cannot be written"):
        model_file.attach(MODEL, CARD, path / "inside")


def test_the_shipped_model_is_whole_and_says_what_it_was_trained_on():
    _, found = model_file.load(shipped_model())
    assert found.labels
    assert found.data
    assert found.metrics


def test_a_model_that_was_deployed_goes_before_the_one_that_is_shipped(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOTION_EDGE_MODEL", str(tmp_path / "deployed.tflite"))
    assert shipped_model() == tmp_path / "deployed.tflite"
    monkeypatch.setenv("EMOTION_EDGE_MODEL", "")
    assert shipped_model().name == "emotion.tflite"
