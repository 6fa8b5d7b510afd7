"""The TFLite runtime: whichever is installed, and files that it must not be given."""

import platform
import sys
from pathlib import Path

import pytest

from edge.config.models import shipped_model
from edge.errors import EmotionEdgeError, ModelError
from edge.system import tflite


def test_missing_runtime_is_an_error_naming_the_package(monkeypatch):
    monkeypatch.setattr(tflite, "RUNTIMES", ("no_such_package.interpreter",))
    with pytest.raises(EmotionEdgeError, match="pip install ai-edge-litert"):
        tflite.runtime()


def test_macs_with_an_intel_processor_are_named(monkeypatch):
    monkeypatch.setattr(tflite, "RUNTIMES", ("no_such_runtime.interpreter",))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(EmotionEdgeError, match="no TFLite runtime for Macs with an Intel processor"):
        tflite.runtime()


def test_import_error_inside_a_runtime_is_not_hidden(monkeypatch, tmp_path):
    (tmp_path / "broken_runtime.py").write_text("import something_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tflite, "RUNTIMES", ("broken_runtime",))
    with pytest.raises(ModuleNotFoundError, match="something_that_is_missing"):
        tflite.runtime()


def test_second_runtime_is_used_if_the_first_is_not_installed(monkeypatch):
    runtimes = ("no_such_package.interpreter", *tflite.RUNTIMES)
    monkeypatch.setattr(tflite, "RUNTIMES", runtimes)
    assert hasattr(tflite.runtime(), "Interpreter")


@pytest.mark.parametrize("size", [0, 3, 8, 100, 2000])
def test_model_that_is_cut_is_refused(size):
    model = shipped_model().read_bytes()[:size]
    with pytest.raises(ModelError, match=r"cut\.tflite: "):
        tflite.make_interpreter(model, Path("cut.tflite"), 1)
