"""Which display is available, and the message if there is none."""

import os
import subprocess

import pytest

pytest.importorskip("pygame", reason="needs pygame: pip install 'emotion-edge[window]'")

from edge.sinks.window import display
from tests.support.commands import EDGE

needs_no_graphics_card = pytest.mark.skipif(
    any(display.GRAPHICS_CARDS.glob("card*")), reason="this machine has a graphics card that may have a screen"
)


def run_without_display(**variables: str) -> subprocess.CompletedProcess[str]:
    removed = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "OPENCV")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(removed)}
    command = [EDGE, "run", "synthetic", "--sink", "window"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**environment, **variables}
    )


@needs_no_graphics_card
def test_no_display_is_one_line_that_names_the_candidates():
    result = run_without_display()
    assert result.returncode == 1
    assert result.stderr.startswith("edge: error: window: no display")
    assert all(name in result.stderr for name in ("$DISPLAY", "$WAYLAND_DISPLAY", "/dev/dri/card*"))
    assert result.stderr.count("\n") == 1


@needs_no_graphics_card
def test_display_that_does_not_answer_is_one_line_with_its_name():
    result = run_without_display(DISPLAY=":4711")
    assert result.returncode == 1
    assert "no display at $DISPLAY=:4711" in result.stderr
    assert result.stderr.count("\n") == 1


def test_unusable_graphics_card_is_named_with_a_console_s_needs(tmp_path):
    (tmp_path / "card0").touch()
    message = display.describe_failure("no device", {}, tmp_path)
    assert f"{tmp_path}/card0" in message
    assert "groups video and render" in message


def test_display_is_available_if_its_socket_accepts(open_display, tmp_path):
    opened = open_display()
    assert display.is_available({"DISPLAY": opened.address}, tmp_path)
    assert display.is_available({"DISPLAY": f"{opened.address}.0"}, tmp_path)
    assert not display.is_available({"DISPLAY": ":4711"}, tmp_path)
    wayland = {"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert not display.is_available(wayland, tmp_path)


def test_display_on_another_machine_counts_as_available(tmp_path):
    assert display.is_available({"DISPLAY": "elsewhere:0"}, tmp_path)


def test_console_is_available_if_there_is_a_graphics_card(tmp_path):
    assert not display.is_available({}, tmp_path)
    (tmp_path / "card0").touch()
    assert display.is_available({}, tmp_path)
    wayland = {"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert not display.is_available(wayland, tmp_path)
