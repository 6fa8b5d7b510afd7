"""What the run sends to the process that draws, and what that costs the run."""

import threading
import time
from dataclasses import replace
from statistics import median

import pytest

pytest.importorskip("pygame", reason="needs pygame: pip install 'emotion-edge[window]'")

from edge.errors import SinkError
from edge.sinks.registry import find
from edge.sinks.window.messages import DisplayOptions
from edge.sinks.window.process import make_display_frame
from edge.types import RunInfo, RunStats
from tests.support.fakes import FAKE_LABELS, face_result, frame_result
from tests.support.kiosk import wait_until


def window(argument=""):
    return find(f"window:{argument}")(RunInfo(True, FAKE_LABELS))


def broken_color(message):
    """Return a result whose image cannot be made."""

    def fail():
        raise ValueError(message)

    result = frame_result(face_result())
    return replace(result, frame=replace(result.frame, color=fail))


def test_without_an_image_none_is_made():
    assert make_display_frame(broken_color("the image was requested"), None).image is None


@pytest.mark.parametrize(("size", "shape"), [((1280, 720), (450, 800, 3)), ((320, 240), (240, 320, 3))])
def test_image_is_sent_no_larger_than_the_window(size, shape):
    image = make_display_frame(frame_result(face_result(), size=size), (800, 480)).image
    assert image is not None
    assert image.shape == shape


def test_frame_rate_is_that_of_the_run():
    result = replace(frame_result(), stats=RunStats(fps=12.5))
    assert make_display_frame(result, None).fps == 12.5


def test_failure_to_make_the_image_is_raised_in_a_later_write(open_display, monkeypatch):
    monkeypatch.setenv("DISPLAY", open_display().address)
    with window() as sink, pytest.raises(SinkError, match="no color"):
        wait_until(lambda: sink.write(broken_color("no color")))


def test_write_takes_less_than_a_fifth_of_a_millisecond(open_display, monkeypatch):
    monkeypatch.setenv("DISPLAY", open_display().address)
    seconds = []
    with window() as sink:
        for index in range(200):
            result = frame_result(face_result(), time=index / 30, index=index, size=(640, 480))
            begin = time.thread_time()  # of the CPU: independent of other processes
            sink.write(result)
            seconds.append(time.thread_time() - begin)
            threading.Event().wait(0.005)
    assert median(seconds) < 0.2e-3


def test_closing_the_window_is_an_event(monkeypatch):
    import pygame

    from edge.sinks.window import screen

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    opened = screen.Window(DisplayOptions(FAKE_LABELS, full_screen=False))
    try:
        assert opened.poll_events() <= {"resized"}
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        assert "closed" in opened.poll_events()
    finally:
        pygame.display.quit()
