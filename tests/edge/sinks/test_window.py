"""The screen of a kiosk: what is on it, how a run ends at it, and that nothing that happens to it hurts the run."""

import importlib.util
import json
import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("pygame", reason="needs pygame: pip install 'emotion-edge[window]'")

from edge.config.models import shipped_model
from edge.errors import SinkError, UsageError
from edge.inference import model_file
from edge.sinks.group import RETRY_SECONDS, SinkGroup
from edge.sinks.registry import make
from edge.sinks.window import display, palette, screen
from edge.sinks.window.messages import Look
from edge.sinks.window.process import view_of
from edge.types import RunInfo
from tests.support.commands import EDGE, run_edge
from tests.support.display import Display, faces_in, plates, share_of, shows
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import PATIENCE, recording, until
from tests.support.paths import ROOT
from tests.test_architecture import modules_after

LABELS = ("calm", "cross")
SIZES = [
    pytest.param((800, 480), id="800x480"),
    pytest.param((480, 800), id="480x800", marks=pytest.mark.slow),
    pytest.param((1920, 1080), id="1920x1080", marks=pytest.mark.slow),
]


class Kiosk:
    """`edge run` on a display, with readings in a file, too. A context manager that leaves no process behind."""

    def __init__(
        self, where: Display, folder: Path, sink: str = "window", source: str = "synthetic", *more: str
    ) -> None:
        self.readings, self._errors = folder / "readings.jsonl", folder / "stderr"
        self.display = where
        command = [EDGE, "run", source, "--sink", sink, "--sink", f"jsonl:{self.readings}", *more]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(command, stderr=errors, cwd=ROOT, env=where.environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return self._errors.read_text()

    @property
    def frames(self) -> int:
        return len(self.readings.read_bytes().splitlines()) if self.readings.exists() else 0

    def labels(self) -> set[str]:
        lines = self.readings.read_text().splitlines()
        return {face["label"] for line in lines for face in json.loads(line)["faces"] if face["label"]}

    def until_on_screen(self, true) -> NDArray[np.uint8]:
        """Return the first image of the screen of which `true` holds, waiting for it."""
        end = time.monotonic() + PATIENCE
        while not true(image := self.display.image()):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, "never on the screen"
            time.sleep(0.02)
        return image

    def until_frames(self, more: int) -> None:
        goal = self.frames + more
        until(lambda: self.frames >= goal)

    def ended(self) -> int:
        return self.process.wait(PATIENCE)

    def screen_process(self) -> int:
        """Return the id of the process that draws."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1
        return int(children[0])


@pytest.fixture
def display_of(tmp_path):
    with ExitStack() as stack:
        yield lambda size=(800, 480): stack.enter_context(Display(tmp_path, size))


# What a person sees, of a real run


@pytest.mark.parametrize("size", SIZES)
def test_the_image_fills_the_screen_and_the_face_has_its_label_and_bars(display_of, tmp_path, size):
    with Kiosk(display_of(size), tmp_path) as kiosk:
        image = kiosk.until_on_screen(lambda image: shows(plates())(image) and faces_in(image))
        kiosk.until_frames(3)
        labels = model_file.load(shipped_model())[1].labels
        seen_now = {label for label, color in zip(labels, plates(), strict=True) if share_of(image, color) > 0.001}
        assert seen_now <= kiosk.labels()
    scale = min(size[0] / 640, size[1] / 480)
    upright = size[1] > size[0]
    wide, high = round(640 * scale), round(480 * scale)
    lit = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[: high if upright else size[1], : size[0] if upright else wide] > 45
    beside = image[high + 5, 2] if upright else image[2, wide + 5]
    assert tuple(beside) == palette.BACKGROUND  # and nothing of the image
    assert lit.mean() > 0.7  # the room of the synthetic camera: bright but for letters and cards
    face = faces_in(image)[0]
    assert face.width > 0.2 * min(wide, high)
    assert shows([palette.deep(number, 7) for number in range(7)])(image)


def test_without_a_image_there_is_an_emblem_and_no_face_on_the_screen(display_of, tmp_path):
    with Kiosk(display_of(), tmp_path, "window:no-image") as kiosk:
        image = kiosk.until_on_screen(shows(plates(), 0.02))
        for _ in range(3):
            kiosk.until_frames(10)
            assert not faces_in(kiosk.display.image())
    assert share_of(image, palette.PANEL) > 0.05  # what the flower stands on
    assert shows([palette.deep(number, 7) for number in range(7)])(image)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_screen_shows_everything_turned(display_of, tmp_path, degrees):
    back = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}[degrees]
    with Kiosk(display_of(), tmp_path, f"window:rotate={degrees}") as kiosk:
        image = kiosk.until_on_screen(lambda image: faces_in(turned(image, back)) and not faces_in(image))
    upright = turned(image, back)
    last = upright[-1, 0] if degrees != 180 else upright[0, -1]  # beside or below the camera's image
    assert tuple(last) == palette.BACKGROUND
    assert upright[0, 0].min() > 45  # the room


def turned(image, how: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.rotate(image, how), np.uint8)


@pytest.mark.slow
def test_a_window_has_its_own_size(display_of, tmp_path):
    with Kiosk(display_of((1920, 1080)), tmp_path, "window:windowed") as kiosk:
        kiosk.until_on_screen(shows(plates()))
        found = kiosk.display.do("getwindowgeometry", kiosk.display.window())
        assert "Geometry: 1280x720" in found


@pytest.mark.slow
def test_a_window_that_is_resized_is_drawn_anew_also_while_no_frame_comes(display_of, tmp_path):
    where = display_of((1920, 1080))
    with Kiosk(where, tmp_path, "window:windowed", "/dev/video99", "--reconnect") as kiosk:
        kiosk.until_on_screen(shows([palette.DIM]))
        window = where.window()
        where.do("windowmove", window, "0", "0", "windowsize", window, "640", "360")
        words = kiosk.until_on_screen(lambda image: share_of(image[140:220, 100:300], palette.DIM) > 0.02)
    assert share_of(words[360:, 640:], (0, 0, 0)) == 1


# How it ends


@pytest.mark.parametrize("key", ["Escape", pytest.param("q", marks=pytest.mark.slow)])
def test_escape_and_q_end_the_run_as_ctrl_c_does(display_of, tmp_path, key):
    with Kiosk(display_of(), tmp_path) as kiosk:
        kiosk.until_on_screen(shows(plates()))
        kiosk.display.do("key", key)
        assert kiosk.ended() == 0
        assert "frames a second" in kiosk.said
        assert kiosk.said.count("\n") <= 2


def test_a_window_that_is_closed_says_so(monkeypatch):
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = screen.Window(Look(LABELS, full_screen=False))
    try:
        assert window.events() - {"resized"} == set()
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        assert "closed" in window.events()
    finally:
        pygame.display.quit()


def test_the_key_is_heard_while_a_camera_is_waited_for(display_of, tmp_path):
    with Kiosk(display_of(), tmp_path, "window", "/dev/video99", "--reconnect") as kiosk:
        kiosk.until_on_screen(shows([palette.DIM]))
        kiosk.display.do("key", "q")
        assert kiosk.ended() == 0


@pytest.mark.slow
def test_no_window_is_left_when_the_run_is_killed(display_of, tmp_path):
    with Kiosk(display_of(), tmp_path) as kiosk:
        kiosk.until_on_screen(shows(plates()))
        drawing = kiosk.screen_process()
        kiosk.process.kill()
        until(lambda: not alive(drawing))


def test_sigterm_to_the_whole_service_ends_it_in_time_and_is_no_failure(display_of, tmp_path):
    with Kiosk(display_of(), tmp_path) as kiosk:
        kiosk.until_on_screen(shows(plates()))
        start = time.monotonic()
        os.kill(kiosk.screen_process(), signal.SIGTERM)
        kiosk.process.terminate()
        assert kiosk.ended() == 0
        assert time.monotonic() - start < 1.5
        assert "error" not in kiosk.said


def alive(process: int) -> bool:
    """Return whether `process` runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_video_is_shown_at_its_own_speed(display_of, tmp_path):
    video = recording(tmp_path / "second.avi", 45)
    with Kiosk(display_of(), tmp_path, "window", str(video)) as kiosk:
        kiosk.until_frames(1)
        start, early = time.monotonic(), kiosk.frames
        assert kiosk.ended() == 0
        assert time.monotonic() - start > 0.9 * (45 - early) / 30
        assert kiosk.frames == 45
        assert early < 20


# What cannot hurt the run


def test_a_display_that_dies_leaves_the_run_going(display_of, tmp_path):
    where = display_of()
    with Kiosk(where, tmp_path) as kiosk:
        kiosk.until_on_screen(shows(plates()))
        where.die()
        until(lambda: "error" in kiosk.said)
        kiosk.until_frames(30)
        kiosk.process.terminate()
        assert kiosk.ended() == 1  # it never came back
        assert kiosk.said.count("the screen has gone") == 2  # when it went, and in the end


@pytest.mark.slow
def test_a_display_that_comes_back_shows_again_what_is_read(display_of, tmp_path, monkeypatch):
    now = 0.0
    where = display_of()
    monkeypatch.setenv("DISPLAY", where.address)
    sinks = {
        "window": make("window:no-image", RunInfo(True, LABELS)),
        "other": make("jsonl:/dev/null", RunInfo(True, LABELS)),
    }
    with SinkGroup(sinks, live=True, clock=lambda: now) as outputs:

        def shown(where) -> bool:
            outputs.write(frame_result(face_result()))
            return shows([palette.bright(0, 2)])(where.image())

        def gone() -> bool:
            outputs.write(frame_result(face_result()))
            return "window" not in outputs._open

        until(lambda: shown(where))
        number = where.die()
        until(gone)
        now += RETRY_SECONDS + 1
        outputs.write(frame_result(face_result()))
        assert "window" not in outputs._open, "there is no display yet"
        with Display(tmp_path, (800, 480), number) as again:
            now += RETRY_SECONDS + 1
            until(lambda: shown(again))
            outputs.__exit__(None, None, None)


def test_a_screen_that_hangs_delays_no_frame_and_no_end(display_of, tmp_path):
    with Kiosk(display_of(), tmp_path) as kiosk:
        kiosk.until_on_screen(shows(plates()))
        drawing = kiosk.screen_process()
        os.kill(drawing, signal.SIGSTOP)
        kiosk.until_frames(20)
        start = time.monotonic()
        kiosk.until_frames(60)
        assert time.monotonic() - start < 4  # of 30 frames a second, on a machine with other work
        start = time.monotonic()
        kiosk.process.terminate()
        assert kiosk.ended() == 0
        assert time.monotonic() - start < 1.5
        until(lambda: not alive(drawing))


def test_a_write_takes_less_than_a_fifth_of_a_millisecond(display_of, monkeypatch):
    monkeypatch.setenv("DISPLAY", display_of().address)
    took = []
    with make("window", RunInfo(True, LABELS)) as sink:
        for index in range(200):
            shown = frame_result(face_result(), time=index / 30, index=index, size=(640, 480))
            start = time.perf_counter()
            sink.write(shown)
            took.append(time.perf_counter() - start)
            threading.Event().wait(0.005)
    assert median(took) < 0.0002


# What is missing


def without_a_screen(**more: str) -> dict[str, str]:
    left_out = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "OPENCV")
    return {**{key: value for key, value in os.environ.items() if not key.startswith(left_out)}, **more}


@contextmanager
def run_without_a_screen(**more: str):
    command = [EDGE, "run", "synthetic", "--sink", "window"]
    yield subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=without_a_screen(**more))


def test_no_display_is_one_line_that_says_what_was_looked_for():
    if display._cards(display.CARDS):
        pytest.skip("this machine has a graphics card that may be a screen")
    with run_without_a_screen() as result:
        assert result.returncode == 1
        assert result.stderr.startswith("edge: error: window: no screen: neither $DISPLAY nor $WAYLAND_DISPLAY is set")
        assert result.stderr.count("\n") == 1


def test_a_display_that_does_not_answer_is_one_line_that_names_it():
    if display._cards(display.CARDS):
        pytest.skip("this machine has a graphics card that may be a screen")
    with run_without_a_screen(DISPLAY=":4711") as result:
        assert result.returncode == 1
        assert "no screen at $DISPLAY=:4711" in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_card_that_cannot_be_drawn_on_is_named_with_what_a_console_needs(tmp_path):
    (tmp_path / "card0").touch()
    words = display.missing("no device", {}, tmp_path)
    assert f"{tmp_path}/card0" in words
    assert "the groups video and render" in words


def test_a_display_answers_or_does_not(display_of, tmp_path):
    where = display_of()
    assert display.answers({"DISPLAY": where.address}, tmp_path)
    assert display.answers({"DISPLAY": f"{where.address}.0"}, tmp_path)
    assert not display.answers({"DISPLAY": ":4711"}, tmp_path)
    assert display.answers({"DISPLAY": "elsewhere:0"}, tmp_path)
    assert not display.answers({}, tmp_path)
    (tmp_path / "card0").touch()
    assert display.answers({}, tmp_path)
    assert not display.answers({"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(tmp_path)}, tmp_path)


def test_without_pygame_the_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'emotion-edge\[window\]'"):
        make("window")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("rotate=45", "rotate is '45', expected 0, 90, 180 or 270"),
        ("large", "no option 'large'; there are no-image, rotate"),
        ("mirrors,windowed", "no option 'mirrors'"),
        ("windowed,rotat=90", "did you mean rotate?"),
        ("no-image=yes", "it is a switch"),
        ("nobody=", "nobody has no value"),
    ],
)
def test_a_wrong_argument_is_named(argument, words):
    with pytest.raises(UsageError) as error:
        make(f"window:{argument}")
    assert words in str(error.value)


def test_a_wrong_argument_ends_the_command_before_anything_opens():
    result = run_edge("run", "synthetic", "--sink", "window:rotate=1")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


def test_the_run_itself_never_loads_pygame():
    loaded = modules_after("from edge.sinks.registry import make\nmake('window:no-image')")
    assert "edge.sinks.registry.window" in loaded
    assert "pygame" not in {name.partition(".")[0] for name in loaded}


# What is handed to the screen


def test_without_a_image_none_is_even_made():
    def never():
        raise AssertionError("the image was asked for")

    observed = frame_result(face_result())
    object.__setattr__(observed.frame, "color", never)
    assert view_of(observed, 30.0, None).image is None


def test_a_image_is_sent_no_larger_than_the_screen():
    def shape(size):
        image = view_of(frame_result(face_result(), size=size), 30.0, (800, 480)).image
        return None if image is None else image.shape

    assert shape((1280, 720)) == (450, 800, 3)
    assert shape((320, 240)) == (240, 320, 3)


def test_the_image_could_not_be_made_is_said_and_leaves_the_loop_alone(display_of, monkeypatch):
    def broken():
        raise ValueError("no color")

    monkeypatch.setenv("DISPLAY", display_of().address)
    observed = frame_result(face_result())
    object.__setattr__(observed.frame, "color", broken)
    with make("window", RunInfo(True, LABELS)) as sink, pytest.raises(SinkError, match="no color"):
        until(lambda: sink.write(observed))
