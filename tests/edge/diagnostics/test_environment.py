"""The environment is that of the packages that run, and of this machine."""

import platform
import sys
from importlib import metadata

import cv2
import numpy as np

from edge.diagnostics.environment import environment, installed_version, software_versions
from edge.system import machine
from edge.system.tflite import RUNTIMES, runtime


def test_the_versions_are_those_of_the_packages_that_run():
    versions = software_versions()
    assert versions["python"] == platform.python_version()
    assert versions["emotion_edge"] == metadata.version("emotion-edge")
    assert (versions["numpy"], versions["opencv"]) == (np.__version__, cv2.__version__)
    assert versions["runtime"] in {"ai-edge-litert", "tflite-runtime"}
    assert str(versions["runtime"]).replace("-", "_") == runtime().__name__.partition(".")[0]
    assert versions["runtime_version"] == metadata.version(str(versions["runtime"]))


def test_a_package_that_is_not_installed_has_no_version():
    assert installed_version("no-such-package") is None
    assert installed_version("numpy") == np.__version__


def test_packages_that_cannot_be_imported_have_no_version(monkeypatch):
    for name in ("numpy", "cv2", *RUNTIMES):
        monkeypatch.setitem(sys.modules, name, None)
    versions = software_versions()
    assert {versions[key] for key in ("numpy", "opencv", "runtime", "runtime_version")} == {None}


def test_the_environment_holds_machine_facts_and_versions(tmp_path):
    found = environment(tmp_path, tmp_path)
    assert set(found) == {*machine.facts(tmp_path, tmp_path), "versions"}
    assert found["versions"] == software_versions()
