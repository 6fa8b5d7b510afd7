"""On a terminal, an error names its entry in docs/troubleshooting.md; a pipe and a journal get one line."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from edge.cli.common import error_entry
from edge.errors import CameraError, SinkError
from tests.support.commands import EDGE


def run_in_terminal(*arguments):
    """Return what a command writes to stderr, which is a terminal."""
    reader, terminal = pty.openpty()
    with subprocess.Popen([EDGE, *arguments], stdout=subprocess.DEVNULL, stderr=terminal) as process:
        os.close(terminal)
        text = b""
        try:
            while part := os.read(reader, 10000):
                text += part
        except OSError:  # the end: the process has closed the terminal
            pass
        os.close(reader)
        process.wait()
    return text.decode().splitlines()


@pytest.mark.parametrize(
    ("arguments", "entry"),
    [
        (("run", "nothing.mp4"), "sourcenotfounderror"),
        (("run", "synthetic", "--model", "nothing.tflite"), "modelerror"),
        (("doctor", "--report", "/dev/null"), "usageerror"),
    ],
)
def test_an_error_on_a_terminal_has_a_link_below_it(arguments, entry):
    error, link = run_in_terminal(*arguments)
    assert error.startswith("edge: error: ")
    assert link == f"see docs/troubleshooting.md#{entry}"


def test_an_error_of_the_command_line_names_its_help_instead():
    (line,) = run_in_terminal("run", "--no-such-option")
    assert "see 'edge run --help'" in line


def test_an_error_without_an_entry_has_that_of_its_base():
    class BrokerError(SinkError):
        pass

    assert error_entry(CameraError()) == "CameraError"
    assert error_entry(BrokerError()) == "SinkError"
    assert error_entry(PermissionError()) == "OSError"
