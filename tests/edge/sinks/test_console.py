"""The console prints a line for each change, not for each frame, and a status line on a terminal only."""

import errno
import io
import os
import re
from dataclasses import replace

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks.active_faces import GONE_AFTER_SECONDS
from edge.sinks.console import STATUS_INTERVAL_SECONDS, Sink
from edge.types import RunStats
from tests.support.fakes import face_result, frame_result


class FakeTerminal(io.StringIO):
    def isatty(self):
        return True

    def lines(self):
        """Return the lines that remain when the status line is cleared."""
        return [re.sub(r"\r.*?\x1b\[K", "", line) for line in self.getvalue().split("\n")]

    def status_lines(self):
        return [line.removesuffix("\x1b[K") for line in re.split(r"[\r\n]", self.getvalue()) if "fps" in line]


def printed(*results, stream=None) -> list[str]:
    """Write `results` to the console, and return the printed lines."""
    stream = stream or io.StringIO()
    with Sink(stream=stream) as sink:
        for result in results:
            sink.write(result)
    return str(stream.getvalue()).splitlines()


def test_a_new_face_and_a_new_label_get_a_line():
    assert printed(
        frame_result(face_result(probability=0.8), time=0.0),
        frame_result(face_result(probability=0.9), time=0.5),
        frame_result(face_result("cross", probability=0.7), time=61.26),
        frame_result(face_result("cross", probability=0.6), time=61.5),
    ) == ["00:00.0  face 1: calm 80%", "01:01.3  face 1: cross 70%"]


def test_an_uncertain_face_has_its_strongest_label():
    assert printed(
        frame_result(face_result(None, probability=0.55)), frame_result(face_result(None, probability=0.6), time=0.1)
    ) == ["00:00.0  face 1: uncertain (calm 55%)"]


def test_a_missed_face_is_gone_only_after_a_while():
    lines = printed(
        frame_result(face_result(), time=0.0),
        frame_result(time=GONE_AFTER_SECONDS),
        frame_result(face_result(), time=GONE_AFTER_SECONDS + 0.1),  # detected again: no line
        frame_result(time=2 * GONE_AFTER_SECONDS + 0.2),
        frame_result(time=3 * GONE_AFTER_SECONDS),
    )
    assert [line.split("  ")[1] for line in lines] == ["face 1: calm 80%", "face 1 gone"]


def test_a_face_that_returns_gets_a_line_again():
    lines = printed(
        frame_result(face_result(), time=0.0), frame_result(time=5.0), frame_result(face_result(), time=6.0)
    )
    assert [line.split("  ")[1] for line in lines] == ["face 1: calm 80%", "face 1 gone", "face 1: calm 80%"]


def test_each_face_has_its_own_lines():
    lines = printed(
        frame_result(face_result(), face_result("cross", track_id=2)),
        frame_result(face_result("cross"), face_result("cross", track_id=2), time=0.1),
    )
    assert [line.split("  ")[1] for line in lines] == ["face 1: calm 80%", "face 2: cross 80%", "face 1: cross 80%"]


def test_an_image_has_its_name_and_each_face_its_box():
    assert printed(
        frame_result(face_result(), face_result("cross", track_id=7), source_name="a.png"),
        frame_result(source_name="b.png", time=1.0, index=1),
        frame_result(face_result(track_id=8), source_name="c.png", time=2.0, index=2),
    ) == [
        "a.png  face 1 at 10,12 20x24: calm 80%",
        "a.png  face 2 at 10,12 20x24: cross 80%",
        "b.png  no face",
        "c.png  face 1 at 10,12 20x24: calm 80%",
    ]


def test_without_a_terminal_there_are_no_control_characters():
    stream = io.StringIO()
    printed(frame_result(face_result()), frame_result(time=5.0), stream=stream)
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_status_line_cleared_at_the_end():
    terminal = FakeTerminal()
    stats = RunStats(frames=2, skipped=0, fps=23.4)
    results = (frame_result(face_result()), replace(frame_result(face_result(), time=0.5), stats=stats))
    printed(*results, stream=terminal)
    assert terminal.getvalue().count("face 1 calm 80% ████████░░") == 2
    assert " 23 fps" in terminal.status_lines()[-1]
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_the_lines_on_a_terminal_are_those_of_a_file():
    results = [frame_result(face_result()), frame_result(face_result("cross"), time=0.5), frame_result(time=5.0)]
    terminal = FakeTerminal()
    printed(*results, stream=terminal)
    assert terminal.lines() == [*printed(*results), ""]


def test_the_status_line_reports_that_there_is_no_face():
    terminal = FakeTerminal()
    printed(frame_result(), stream=terminal)
    assert [line.split("fps")[1].strip() for line in terminal.status_lines()] == ["no face"]


def test_the_status_line_is_updated_at_a_limited_rate():
    terminal = FakeTerminal()
    results = (frame_result(time=number * STATUS_INTERVAL_SECONDS / 4, index=number) for number in range(8))
    printed(*results, stream=terminal)
    assert len(terminal.status_lines()) == 2


def test_the_status_line_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    terminal = FakeTerminal()
    printed(frame_result(*(face_result(track_id=number) for number in range(1, 9))), stream=terminal)
    assert [len(line) for line in terminal.status_lines()] == [39]


def test_each_line_is_flushed():
    class CountingStream(io.StringIO):
        flushed = 0

        def flush(self):
            self.flushed += 1

    stream = CountingStream()
    Sink(stream=stream).write(frame_result(face_result()))
    assert stream.flushed == 1


def test_an_argument_is_refused():
    with pytest.raises(UsageError, match="takes no argument, found 'loud'"):
        Sink("loud")


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, SinkError), (errno.EPIPE, BrokenPipeError)])
def test_a_full_disk_is_a_sink_error_and_a_closed_pipe_is_not(number, error):
    class BrokenStream(io.StringIO):
        def flush(self):
            raise OSError(number, os.strerror(number))

    with pytest.raises(error, match=os.strerror(number)):
        Sink(stream=BrokenStream()).write(frame_result(face_result()))


def test_the_default_stream_is_stdout(capfd):
    with Sink() as sink:
        sink.write(frame_result(face_result()))
    assert capfd.readouterr().out == "00:00.0  face 1: calm 80%\n"
