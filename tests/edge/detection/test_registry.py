"""Detectors by name: which there are, which file each takes, and what is refused."""

from pathlib import Path

import pytest

from edge.detection import registry
from edge.errors import SettingsError, UnknownNameError, UsageError


def test_every_detector_is_listed():
    assert registry.names() == ["blazeface", "haar", "yunet"]


def test_unknown_detector_lists_the_names():
    with pytest.raises(UnknownNameError, match="no detector 'dnn'; there are blazeface, haar, yunet"):
        registry.make_detector("dnn:file.pb")


@pytest.mark.parametrize("name", registry.SUPPORT_MODULES)
def test_support_module_is_no_detector(name):
    with pytest.raises(UnknownNameError):
        registry.parse(name)


@pytest.mark.parametrize("spec", ["yunet", "yunet:", "blazeface"])
def test_network_without_its_file_is_a_usage_error(spec):
    with pytest.raises(UsageError, match=r":FILE; see docs/detectors\.md"):
        registry.parse(spec)


def test_haar_names_its_file_by_the_cascade_option():
    assert registry.parse("haar") == ("haar", None)
    with pytest.raises(UsageError, match="--cascade"):
        registry.parse("haar:eyes.xml")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.onnx: no such file, expected the network of detector yunet"):
        registry.make_detector(f"yunet:{tmp_path / 'none.onnx'}")


@pytest.mark.parametrize("file", ["/", "/dev/zero"])
def test_folder_or_device_is_not_called_missing(file):
    with pytest.raises(SettingsError, match=f"^{file}: not a regular file, expected the network of detector blazeface"):
        registry.parse(f"blazeface:{file}")


def test_file_in_the_home_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registry.parse("yunet:~/net.onnx") == ("yunet", tmp_path / "net.onnx")


@pytest.mark.parametrize("make", [registry.make_detector, registry.make_image_detector])
def test_cascade_with_another_detector_is_refused(make):
    with pytest.raises(UsageError, match=r"cascade is eyes\.xml, but the detector is blazeface"):
        make("blazeface:net.tflite", Path("eyes.xml"))
