"""What tests of several rooms share."""

import shutil
from dataclasses import replace

import pytest

from edge.config import models
from edge.inference import model_file


@pytest.fixture
def two_models(monkeypatch, tmp_path):
    """The folder of a package whose model `fast` is a copy of `emotion`, with another name in its card."""
    content, card = model_file.load(models.packaged_model())
    for path in (models.packaged_model(), models.everyday_prior()):
        shutil.copy(path, tmp_path)
    model_file.attach(content, replace(card, name="small", min_confidence=0.4), tmp_path / "fast.tflite")
    monkeypatch.setattr(models, "_folder", lambda: tmp_path)
    return tmp_path
