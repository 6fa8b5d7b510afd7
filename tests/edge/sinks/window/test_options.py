"""Options of the sink window, and what it loads."""

import importlib.util

import pytest

pytest.importorskip("pygame", reason="needs pygame: pip install 'emotion-edge[window]'")

from edge.errors import UsageError
from edge.sinks.registry import find
from edge.sinks.window import OPTION_TYPES
from edge.types import RunInfo
from tests.support.commands import run_edge
from tests.support.paths import ROOT
from tests.test_architecture import modules_after


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("rotate=45", "rotate is '45', expected 0, 90, 180 or 270"),
        ("large", "'large'; options are no-image, rotate"),
        ("mirrors,windowed", "'mirrors'"),
        ("windowed,rotat=90", "did you mean rotate?"),
        ("no-image=yes", "without a value"),
        ("nobody=", "nobody has no value"),
    ],
)
def test_wrong_argument_is_named(argument, words):
    with pytest.raises(UsageError) as error:
        find(f"window:{argument}")(RunInfo())
    assert words in str(error.value)


def test_wrong_argument_ends_the_command_before_anything_opens():
    result = run_edge("run", "synthetic", "--sink", "window:rotate=1")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


def test_every_option_is_documented():
    text = (ROOT / "docs" / "window.md").read_text()
    assert [name for name in OPTION_TYPES if f"| `{name}" not in text] == []


def test_without_pygame_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"needs pygame: pip install .*\[window\]', or apt install python3-pygame"):
        find("window")(RunInfo())


def test_the_process_of_the_run_never_loads_pygame():
    program = "from edge.sinks.registry import find\nfrom edge.types import RunInfo\nfind('window:no-image')(RunInfo())"
    loaded = modules_after(program)
    assert "edge.sinks.window" in loaded
    assert "pygame" not in {name.partition(".")[0] for name in loaded}
