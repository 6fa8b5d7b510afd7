"""`edge info` shows the card of a model."""

import hashlib
import json
from dataclasses import replace

import pytest

from edge.config.models import packaged_model, packaged_models, shipped_model
from edge.errors import ModelError
from edge.inference import model_file
from edge.inference.classifier import Classifier


def test_the_card_as_text(run_here):
    card = model_file.load(shipped_model())[1]
    result = run_here("info")
    assert (result.returncode, result.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["labels"] == ", ".join(card.labels)
    assert lines["sha256"] == hashlib.sha256(shipped_model().read_bytes()).hexdigest()  # as from sha256sum
    assert lines["bytes"] == str(shipped_model().stat().st_size)
    assert lines["data"] == card.data
    assert lines["input"].startswith(f"{card.input_size} x {card.input_size} ")
    assert set(card.metrics) <= set(lines)


def test_the_complete_card_as_json(run_here, tmp_path):
    path = tmp_path / "own.tflite"
    model, card = model_file.load(shipped_model())
    card = replace(card, name="own", labels=tuple("abcdefö"), class_frequencies={}, metrics={"x": {"n": 1}})
    attached = model_file.attach(model, card, path)
    result = run_here("info", path, "--json")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert values.pop("file") == "own.tflite"
    assert values.pop("bytes") == path.stat().st_size
    assert values.pop("file_sha256") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model_file.ModelCard(**{**values, "labels": tuple(values["labels"])}) == attached


def test_model_that_cannot_run_is_refused_as_by_run(run_here, tmp_path):
    path = tmp_path / "own.tflite"
    model, card = model_file.load(shipped_model())
    model_file.attach(model[:1000] + b"\xff" * 1000 + model[2000:], card, path)
    with pytest.raises(ModelError) as of_run:
        Classifier(path)
    result = run_here("info", str(path))
    assert (result.returncode, result.stdout) == (78, "")
    assert result.stderr == f"edge: error: {of_run.value}\n"


def test_a_model_is_shown_by_its_name(run_here):
    result = run_here("info", "emotion")
    assert (result.returncode, result.stdout) == (0, run_here("info", packaged_model()).stdout)
    (models,) = [line for line in result.stdout.splitlines() if line.startswith("models ")]
    assert all(name in models for name in packaged_models())
    unknown = run_here("info", "emotoin")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "'emotoin'; the models are emotion" in unknown.stderr
