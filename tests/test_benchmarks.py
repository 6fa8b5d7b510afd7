"""Every benchmark has help, one line of purpose, and its line in benchmarks/README.md."""

from __future__ import annotations

import importlib
import sys

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT / "benchmarks"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in {"__init__", "common"})


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_benchmark_has_help_with_its_command_and_purpose(name, monkeypatch, capsys):
    program = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as exit_:
        program.main()
    shown = capsys.readouterr().out
    purpose = str(program.__doc__).partition("\n")[0]
    assert not exit_.value.code
    assert f"python -m benchmarks.{name}" in shown
    assert purpose.endswith(".")
    assert purpose in shown


def test_every_benchmark_is_documented():
    text = (FOLDER / "README.md").read_text()
    assert [name for name in PROGRAMS if f"-m benchmarks.{name}" not in text] == []
