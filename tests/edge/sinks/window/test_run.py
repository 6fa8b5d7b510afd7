"""Complete runs on a virtual display: what is visible, how a run ends, and that a failing display does not end it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("pygame", reason="needs pygame: pip install 'emotion-edge[window]'")

from edge.config.models import shipped_model
from edge.inference import model_file
from edge.sinks.group import REOPEN_SECONDS, SinkGroup
from edge.sinks.registry import find
from edge.sinks.window import palette
from edge.types import RunInfo
from tests.support.commands import EDGE
from tests.support.display import (
    Image,
    VirtualDisplay,
    color_fraction,
    dark_colors,
    detect_faces,
    has_color,
    light_colors,
)
from tests.support.fakes import FAKE_LABELS, FakeClock, RecordingSink, face_result, frame_result
from tests.support.kiosk import TIMEOUT_SECONDS, wait_until, write_video
from tests.support.paths import ROOT

ROOM_GRAY = 45  # gray level that all of the synthetic camera's background exceeds
# The time to stop a run, with a margin for a busy machine; documented is a second.
MAX_STOP_SECONDS = 5.0
SIZES = [
    pytest.param((800, 480), id="800x480"),
    pytest.param((480, 800), id="480x800", marks=pytest.mark.slow),
    pytest.param((1920, 1080), id="1920x1080", marks=pytest.mark.slow),
]


class Kiosk:
    """`edge run` on a display, with the results also in a file. A context manager that leaves no process behind."""

    def __init__(
        self, display: VirtualDisplay, folder: Path, sink: str = "window", source: str = "synthetic", *more: str
    ) -> None:
        self.display = display
        self._lines, self._stderr = folder / "lines.jsonl", folder / "stderr"
        command = [EDGE, "run", source, "--sink", sink, "--sink", f"jsonl:{self._lines}", *more]
        with self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(command, stderr=stderr, cwd=ROOT, env=display.environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    @property
    def frames(self) -> int:
        return len(self._lines.read_bytes().splitlines()) if self._lines.exists() else 0

    def labels(self) -> set[str]:
        lines = self._lines.read_text().splitlines()
        return {face["label"] for line in lines for face in json.loads(line)["faces"] if face["label"]}

    def wait_for_screen(self, condition) -> Image:
        """Wait for a screenshot that satisfies `condition`, and return it."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while not condition(screenshot := self.display.screenshot()):
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < end, "never on the screen"
            time.sleep(0.02)
        return screenshot

    def wait_for_frames(self, count: int) -> None:
        """Wait until `count` more frames are processed."""
        goal = self.frames + count
        wait_until(lambda: self.frames >= goal)

    def wait_for_exit(self) -> int:
        return self.process.wait(TIMEOUT_SECONDS)

    def drawing_process(self) -> int:
        """Return the id of the process that draws."""
        [child] = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(child)


def is_running(process: int) -> bool:
    """Return whether `process` exists and is not a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- what is visible ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_image_fills_the_screen_and_the_face_has_label_and_bars(open_display, tmp_path, size):
    with Kiosk(open_display(size), tmp_path) as kiosk:
        image = kiosk.wait_for_screen(lambda image: has_color(light_colors())(image) and detect_faces(image))
        kiosk.wait_for_frames(3)
        labels = model_file.load(shipped_model())[1].labels
        visible = {
            label for label, color in zip(labels, light_colors(), strict=True) if color_fraction(image, color) > 0.001
        }
        assert visible <= kiosk.labels()
    scale = min(size[0] / 640, size[1] / 480)
    portrait = size[1] > size[0]
    width, height = round(640 * scale), round(480 * scale)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    room = gray[: height if portrait else size[1], : size[0] if portrait else width] > ROOM_GRAY
    outside = image[height + 5, 2] if portrait else image[2, width + 5]
    assert tuple(outside) == palette.BACKGROUND
    assert room.mean() > 0.7  # all but text and cards
    assert detect_faces(image)[0].width > 0.2 * min(width, height)
    assert has_color(dark_colors())(image)


def test_no_image_shows_a_radial_chart_and_no_face(open_display, tmp_path):
    with Kiosk(open_display(), tmp_path, "window:no-image") as kiosk:
        image = kiosk.wait_for_screen(has_color(light_colors(), 0.02))
        for _ in range(3):
            kiosk.wait_for_frames(10)
            assert not detect_faces(kiosk.display.screenshot())
    assert color_fraction(image, palette.PANEL) > 0.05  # the background of the chart
    assert has_color(dark_colors())(image)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotate_turns_everything(open_display, tmp_path, degrees):
    inverse = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}[degrees]

    def turn_back(image):
        return np.asarray(cv2.rotate(image, inverse), np.uint8)

    with Kiosk(open_display(), tmp_path, f"window:rotate={degrees}") as kiosk:
        image = kiosk.wait_for_screen(lambda image: detect_faces(turn_back(image)) and not detect_faces(image))
    upright = turn_back(image)
    outside = upright[-1, 0] if degrees != 180 else upright[0, -1]  # below or next to the camera's image
    assert tuple(outside) == palette.BACKGROUND
    assert upright[0, 0].min() > ROOM_GRAY


@pytest.mark.slow
def test_windowed_has_its_own_size(open_display, tmp_path):
    with Kiosk(open_display((1920, 1080)), tmp_path, "window:windowed") as kiosk:
        kiosk.wait_for_screen(has_color(light_colors()))
        geometry = kiosk.display.xdotool("getwindowgeometry", kiosk.display.window_id())
    assert "Geometry: 1280x720" in geometry


@pytest.mark.slow
def test_resized_window_is_redrawn_while_no_frame_comes(open_display, tmp_path):
    display = open_display((1920, 1080))
    with Kiosk(display, tmp_path, "window:windowed", "/dev/video99", "--reconnect") as kiosk:
        kiosk.wait_for_screen(has_color([palette.DIM_TEXT]))
        window = display.window_id()
        display.xdotool("windowmove", window, "0", "0", "windowsize", window, "640", "360")
        image = kiosk.wait_for_screen(lambda image: color_fraction(image[140:220, 100:300], palette.DIM_TEXT) > 0.02)
    assert color_fraction(image[360:, 640:], (0, 0, 0)) == 1


@pytest.mark.slow
def test_video_plays_at_its_own_speed(open_display, tmp_path):
    video = write_video(tmp_path / "video.avi", 90)
    with Kiosk(open_display(), tmp_path, "window", str(video)) as kiosk:
        kiosk.wait_for_frames(1)
        begin, early = time.monotonic(), kiosk.frames
        assert kiosk.wait_for_exit() == 0
        assert time.monotonic() - begin > 0.9 * (90 - early) / 30
        assert kiosk.frames == 90
        assert early < 60


# --- how it ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["Escape", pytest.param("q", marks=pytest.mark.slow)])
def test_escape_and_q_end_the_run(open_display, tmp_path, key):
    with Kiosk(open_display(), tmp_path) as kiosk:
        kiosk.wait_for_screen(has_color(light_colors()))
        kiosk.display.xdotool("key", key)
        assert kiosk.wait_for_exit() == 0
        assert "frames per second" in kiosk.stderr
        assert kiosk.stderr.count("\n") <= 2


def test_key_ends_a_run_that_waits_for_its_camera(open_display, tmp_path):
    with Kiosk(open_display(), tmp_path, "window", "/dev/video99", "--reconnect") as kiosk:
        kiosk.wait_for_screen(has_color([palette.DIM_TEXT]))
        kiosk.display.xdotool("key", "q")
        assert kiosk.wait_for_exit() == 0


@pytest.mark.slow
def test_killed_run_leaves_no_window(open_display, tmp_path):
    with Kiosk(open_display(), tmp_path) as kiosk:
        kiosk.wait_for_screen(has_color(light_colors()))
        drawing = kiosk.drawing_process()
        kiosk.process.kill()
        wait_until(lambda: not is_running(drawing))


def test_sigterm_to_both_processes_is_a_regular_end(open_display, tmp_path):
    with Kiosk(open_display(), tmp_path) as kiosk:
        kiosk.wait_for_screen(has_color(light_colors()))
        begin = time.monotonic()
        os.kill(kiosk.drawing_process(), signal.SIGTERM)
        kiosk.process.terminate()
        assert kiosk.wait_for_exit() == 0
        assert time.monotonic() - begin < MAX_STOP_SECONDS
        assert "error" not in kiosk.stderr


# --- what does not end the run ------------------------------------------------------------------------------------


def test_run_continues_without_a_lost_display(open_display, tmp_path):
    display = open_display()
    with Kiosk(display, tmp_path) as kiosk:
        kiosk.wait_for_screen(has_color(light_colors()))
        display.kill()
        wait_until(lambda: "error" in kiosk.stderr)
        kiosk.wait_for_frames(30)
        kiosk.process.terminate()
        assert kiosk.wait_for_exit() == 1  # it did not return
        assert kiosk.stderr.count("lost the display") == 2  # when it happened, and at the end


class ObservedSink:
    """A sink that says whether another one, which it forwards to, is open."""

    reopens = True

    def __init__(self, sink) -> None:
        self._sink, self.is_open = sink, False

    def __enter__(self):
        self._sink.__enter__()
        self.is_open = True
        return self

    def write(self, result) -> None:
        self._sink.write(result)

    def __exit__(self, *error: object) -> None:
        self.is_open = False
        self._sink.__exit__(*error)


@pytest.mark.slow
def test_display_that_returns_shows_results_again(open_display, tmp_path, monkeypatch):
    clock, result, display = FakeClock(), frame_result(face_result()), open_display()
    monkeypatch.setenv("DISPLAY", display.address)
    window = ObservedSink(find("window:no-image")(RunInfo(True, FAKE_LABELS)))
    with SinkGroup({"window": window, "other": RecordingSink()}, live=True, clock=clock) as sinks:

        def is_shown(on) -> bool:
            sinks.write(result)
            return has_color([palette.light_color(0, 2)])(on.screenshot())

        def is_lost() -> bool:
            sinks.write(result)
            return not window.is_open

        wait_until(lambda: is_shown(display))
        number = display.kill()
        wait_until(is_lost)
        clock.now += REOPEN_SECONDS + 1
        sinks.write(result)
        assert not window.is_open, "there is no display yet"
        with VirtualDisplay(tmp_path, (800, 480), number) as returned:
            clock.now += REOPEN_SECONDS + 1
            wait_until(lambda: is_shown(returned))
            window.__exit__(None, None, None)
            assert not window.is_open


def test_hanging_window_delays_neither_frames_nor_the_end(open_display, tmp_path):
    with Kiosk(open_display(), tmp_path) as kiosk:
        kiosk.wait_for_screen(has_color(light_colors()))
        drawing = kiosk.drawing_process()
        os.kill(drawing, signal.SIGSTOP)
        kiosk.wait_for_frames(80)
        begin = time.monotonic()
        kiosk.process.terminate()
        assert kiosk.wait_for_exit() == 0
        assert time.monotonic() - begin < MAX_STOP_SECONDS
        wait_until(lambda: not is_running(drawing))
