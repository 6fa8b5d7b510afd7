"""The remedy for a missing package is one that works in the installation that prints it."""

import sys

import pytest

from edge.sinks.missing_package import missing_package
from edge.system import installation


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "ROOT", tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "run.sh").touch()
    return tmp_path


def message(*arguments, **options):
    return str(missing_package(*arguments, **options))


def test_run_sh_installs_into_its_environment_without_pip(checkout, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    expected = f"start it once with {checkout}/scripts/run.sh --sink web, which installs it"
    assert message("web", "tornado") == f"sink web needs tornado: {expected}"


def test_another_environment_of_a_checkout_installs_the_checkout(checkout):
    assert message("mqtt", "paho-mqtt 2") == f"sink mqtt needs paho-mqtt 2: pip install -e '{checkout}[mqtt]'"


def test_elsewhere_the_package_is_installed_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "ROOT", tmp_path)
    text = message("window", "pygame", otherwise="apt install python3-pygame")
    assert text == "sink window needs pygame: pip install 'emotion-edge[window]', or apt install python3-pygame"
