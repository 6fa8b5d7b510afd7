"""Models are found by the names of the package, or by a path."""

from pathlib import Path

import pytest

from edge.config import models
from edge.config.models import AUTO, find_model, find_models, name_of, packaged_model, packaged_models, shipped_model
from edge.errors import UnknownNameError, UsageError


@pytest.fixture
def package(monkeypatch, tmp_path):
    """The folder of a package with the models `emotion` and `fast`."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("zebra.tflite", "fast.tflite", "emotion.tflite", "emotion.keras", "README.md"):
        (folder / name).touch()
    monkeypatch.setattr(models, "_folder", lambda: folder)
    return folder


def test_deployed_model_takes_precedence_over_the_shipped_one(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOTION_EDGE_MODEL", str(tmp_path / "deployed.tflite"))
    assert shipped_model() == find_model(None) == tmp_path / "deployed.tflite"
    monkeypatch.setenv("EMOTION_EDGE_MODEL", "")
    assert shipped_model().name == "emotion.tflite"


def test_a_model_of_the_package_is_found_by_its_name(package, monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_MODEL", "/deployed.tflite")
    assert list(packaged_models()) == ["emotion", "fast", "zebra"]  # the default first
    assert find_model("fast") == package / "fast.tflite"
    assert find_model("emotion") == packaged_model() == package / "emotion.tflite"  # not the deployed one


def test_auto_has_two_models_and_a_name_one(package, monkeypatch):
    monkeypatch.setenv("EMOTION_EDGE_MODEL", "/deployed.tflite")
    assert find_models(AUTO) == [package / "fast.tflite", Path("/deployed.tflite")]
    assert find_models("zebra") == [package / "zebra.tflite"]
    assert find_models(None) == [Path("/deployed.tflite")]


def test_a_path_is_a_file_even_if_a_model_has_its_name(package, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("fast").touch()
    Path("mine").touch()
    assert find_model("./fast") == Path("fast")
    assert find_model("mine") == Path("mine")
    for text in ("my.tflite", "/none/at/all", "none/my"):  # reported when it is read
        assert find_model(text) == Path(text)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("~/my.tflite") == tmp_path / "my.tflite"


@pytest.mark.parametrize("name", ["fsat", "Fast"])
def test_an_unknown_name_lists_the_names(package, name):
    with pytest.raises(UnknownNameError, match=rf"'{name}'.* emotion, fast, zebra"):
        find_model(name)


def test_an_empty_name_is_refused(package):
    with pytest.raises(UsageError, match="is empty"):
        find_model("")


def test_auto_is_no_model_of_its_own(package):
    with pytest.raises(UnknownNameError, match=r"auto .*'edge run'.* emotion, fast, zebra"):
        find_model("auto")


def test_a_file_goes_by_its_name_in_the_package(package, tmp_path):
    assert name_of(package / "fast.tflite") == "fast"
    assert name_of(tmp_path / "fast.tflite") == "fast.tflite"
