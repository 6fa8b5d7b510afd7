"""The command `edge`: its version, and the help of its subcommands."""

from typing import Any

import pytest
import typer

from edge import __version__
from edge.cli import app

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_package(run_here):
    assert run_here("--version").stdout == f"edge {__version__}\n"


def test_the_subcommands():
    assert set(COMMANDS) == {"run", "config", "summary", "benchmark", "info", "doctor"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name):
    assert COMMANDS[name].help
    assert [option.name for option in COMMANDS[name].params if not option.help] == []


@pytest.mark.parametrize("name", ["benchmark", "doctor", "info"])
def test_auto_is_neither_offered_nor_taken_for_one_model(run_here, name):
    (model,) = [option for option in COMMANDS[name].params if option.name == "model"]
    assert "auto" not in model.help
    result = run_here(name, *(["--model"] if model.opts[0].startswith("-") else []), "auto")
    assert result.returncode == 2
    assert "the model auto is chosen while 'edge run' reads a camera" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_a_subcommand_is_not_cut_off(run_here, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    (line,) = [line for line in run_here("--help").stdout.splitlines() if line.split()[:1] == [name]]
    assert not line.endswith("...")
