"""The progress bar of a run over files: share, time left and faces, only on a terminal that nothing else writes to."""

import io
import re
import sys
from contextlib import redirect_stderr
from dataclasses import replace

import pytest

from edge.sinks.progress import ProgressBar, has_room
from edge.types import FilePosition
from tests.support.fakes import face_result, frame_result


class Stream(io.StringIO):
    """A stream that is a terminal, or none."""

    def __init__(self, is_terminal):
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self):
        return self._is_terminal


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 100 columns, for `redirect_stderr`: pytest sets sys.stderr again after fixtures."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Stream(is_terminal=True)


def shown(stream):
    """Return the last line that was on the terminal."""
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()))
    return [line for line in lines if line.strip()][-1]


def at(share, *faces, name="clip.mp4"):
    result = frame_result(*faces, source_name=name)
    return replace(result, frame=replace(result.frame, file=FilePosition(1.0, 25, share)))


def test_the_share_the_faces_and_the_file_are_shown(terminal):
    with redirect_stderr(terminal), ProgressBar() as bar:
        bar.write(at(0.2, face_result(track_id=1), face_result(track_id=2)))
        bar.write(at(0.42, face_result(track_id=2), name="[red]b.mp4"))
    line = shown(terminal)
    assert line.startswith("[red]b.mp4 ")
    assert " 42 % " in line
    assert "faces: 2" in line
    assert re.search(r"\d:\d\d:\d\d$|-:--:--$", line.rstrip())


def test_the_terminal_is_left_clean(terminal):
    with redirect_stderr(terminal), ProgressBar() as bar:
        bar.write(at(0.5))
    assert terminal.getvalue().endswith("\x1b[2K")
    assert "\x1b[?25h" in terminal.getvalue(), "the cursor is shown again"


def test_a_message_is_shown_above_the_bar(terminal):
    with redirect_stderr(terminal), ProgressBar() as bar:
        bar.write(at(0.5))
        print("edge: b.mp4: left out", file=sys.stderr)
    assert "edge: b.mp4: left out" in terminal.getvalue()


@pytest.mark.parametrize(
    ("stderr", "stdout", "sinks", "expected"),
    [
        (True, True, ("csv:a.csv",), True),
        (True, False, ("console", "jsonl"), True),
        (True, True, ("console",), False),
        (True, True, ("csv:a.csv", "jsonl"), False),
        (False, True, ("csv:a.csv",), False),
    ],
)
def test_it_needs_a_terminal_of_its_own(monkeypatch, stderr, stdout, sinks, expected):
    monkeypatch.setattr(sys, "stderr", Stream(stderr))
    monkeypatch.setattr(sys, "stdout", Stream(stdout))
    assert has_room(sinks) is expected
