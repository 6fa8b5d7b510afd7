"""The console shows a line for each change and not for each frame, and a live line on a terminal only."""

import errno
import io
import os
import re

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks.active_faces import GONE_SECONDS
from edge.sinks.console import REDRAW_SECONDS, Sink
from tests.support.fakes import face_result, frame_result


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def lines(self):
        """Return the lines that stay, as a person sees them when the live line is gone."""
        return [re.sub(r"\r.*?\x1b\[K", "", line) for line in self.getvalue().split("\n")]


def printed(*observations, stream=None) -> list[str]:
    stream = stream or io.StringIO()
    with Sink(stream=stream) as sink:
        for observation in observations:
            sink.write(observation)
    return str(stream.getvalue()).splitlines()


def test_a_face_gets_a_line_when_it_comes_and_when_it_shows_something_else():
    assert printed(
        frame_result(face_result(share=0.8), time=0.0),
        frame_result(face_result(share=0.9), time=0.5),
        frame_result(face_result("cross", share=0.7), time=61.26),
        frame_result(face_result("cross", share=0.6), time=61.5),
    ) == ["00:00.0  face 1: calm 80%", "01:01.3  face 1: cross 70%"]


def test_a_face_that_nothing_sure_is_known_of_is_shown_as_unsure_with_the_strongest():
    assert printed(frame_result(face_result(None, share=0.55)), frame_result(face_result(None, share=0.6), time=0.1)) == [
        "00:00.0  face 1: unsure (calm 55%)"
    ]


def test_a_face_is_gone_only_after_a_while_without_it():
    lines = printed(
        frame_result(face_result(), time=0.0),
        frame_result(time=GONE_SECONDS),
        frame_result(face_result(), time=GONE_SECONDS + 0.1),  # back in time: no line
        frame_result(time=2 * GONE_SECONDS + 0.2),
        frame_result(time=3 * GONE_SECONDS),
    )
    assert [line.split("  ")[1] for line in lines] == ["face 1: calm 80%", "face 1 gone"]


def test_a_face_that_comes_back_after_it_was_gone_gets_a_line_again():
    lines = printed(frame_result(face_result(), time=0.0), frame_result(time=5.0), frame_result(face_result(), time=6.0))
    assert [line.split("  ")[1] for line in lines] == ["face 1: calm 80%", "face 1 gone", "face 1: calm 80%"]


def test_each_face_has_its_own_lines():
    lines = printed(
        frame_result(face_result(), face_result("cross", track_id=2)),
        frame_result(face_result("cross"), face_result("cross", track_id=2), time=0.1),
    )
    assert [line.split("  ")[1] for line in lines] == ["face 1: calm 80%", "face 2: cross 80%", "face 1: cross 80%"]


def test_images_are_named_and_each_face_has_its_place():
    assert printed(
        frame_result(face_result(), face_result("cross", track_id=7), name="a.png"),
        frame_result(name="b.png", time=1.0, index=1),
        frame_result(face_result(track_id=8), name="c.png", time=2.0, index=2),
    ) == [
        "a.png  face 1 at 10,12 20x24: calm 80%",
        "a.png  face 2 at 10,12 20x24: cross 80%",
        "b.png  no face",
        "c.png  face 1 at 10,12 20x24: calm 80%",
    ]


def test_what_is_no_terminal_gets_plain_lines_only():
    stream = io.StringIO()
    printed(frame_result(face_result()), frame_result(time=5.0), stream=stream)
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_live_line_that_is_wiped_in_the_end():
    stream = Terminal()
    printed(frame_result(face_result()), frame_result(face_result(), time=0.5), stream=stream)
    assert stream.getvalue().count("face 1 calm 80% ████████░░") == 2
    assert "  2 fps" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_the_lines_that_stay_on_a_terminal_are_those_of_a_journal():
    observations = [frame_result(face_result()), frame_result(face_result("cross"), time=0.5), frame_result(time=5.0)]
    stream = Terminal()
    printed(*observations, stream=stream)
    assert stream.lines() == [*printed(*observations), ""]


def test_the_live_line_says_when_there_is_no_face():
    stream = Terminal()
    printed(frame_result(), stream=stream)
    assert "1 fps   no face" in stream.getvalue()


def test_the_live_line_is_not_drawn_more_often_than_is_seen():
    stream = Terminal()
    printed(*(frame_result(time=number * REDRAW_SECONDS / 4, index=number) for number in range(8)), stream=stream)
    assert stream.getvalue().count("no face") == 2


def test_the_live_line_stays_within_the_terminals_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    printed(frame_result(*(face_result(track_id=number) for number in range(1, 9))), stream=stream)
    live = [part for part in re.split(r"[\r\n]", stream.getvalue()) if "fps" in part]
    assert [len(part.removesuffix("\x1b[K")) for part in live] == [39]


def test_each_line_is_out_at_once():
    class Counting(io.StringIO):
        flushed = 0

        def flush(self):
            self.flushed += 1

    stream = Counting()
    Sink(stream=stream).write(frame_result(face_result()))
    assert stream.flushed == 1


def test_an_argument_is_refused():
    with pytest.raises(UsageError, match="takes no argument, found 'loud'"):
        Sink("loud")


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, SinkError), (errno.EPIPE, BrokenPipeError)])
def test_a_full_disk_is_an_error_that_says_so_and_a_reader_that_has_gone_is_not(number, error):
    class Broken(io.StringIO):
        def flush(self):
            raise OSError(number, os.strerror(number))

    with pytest.raises(error, match=os.strerror(number)):
        Sink(stream=Broken()).write(frame_result(face_result()))


def test_it_writes_to_stdout(capfd):
    with Sink() as sink:
        sink.write(frame_result(face_result()))
    assert capfd.readouterr().out == "00:00.0  face 1: calm 80%\n"
