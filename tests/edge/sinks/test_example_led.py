"""The example of a sink of one's own, an LED at a pin, on gpiozero's mock pins."""

import os

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks import registry as sinks
from edge.sinks.background_writer import BackgroundWriter
from edge.types import RunInfo
from tests.support.commands import run_edge
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import until
from tests.support.paths import ROOT

gpiozero = pytest.importorskip("gpiozero", reason="needs gpiozero: pip install gpiozero")
LED = ROOT / "examples" / "led_sink.py"
RUN = RunInfo(live=True, labels=("calm", "cross"))


@pytest.fixture
def pins(monkeypatch):
    """The pins of a board that is not there."""
    from gpiozero.pins.mock import MockFactory

    factory = MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.reset()


@pytest.fixture
def blinks(monkeypatch):
    """How often the LED was told to blink, which it does in its own time."""
    told: list[int] = []
    monkeypatch.setattr(gpiozero.LED, "blink", lambda *_, n, **__: told.append(n))
    return told


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(BackgroundWriter, "put", lambda self, item: self._work(item))


def test_it_is_lit_as_long_as_a_face_shows_the_label(pins, at_once):
    with sinks.make(f"{LED}:17,label=calm", RUN) as sink:
        shown = []
        for readings in (
            [],
            [face_result("calm")],
            [face_result("cross")],
            [face_result("cross"), face_result("calm", track_id=2)],
            [],
        ):
            sink.write(frame_result(*readings))
            shown.append(pins.pin(17).state)
    assert shown == [False, True, False, True, False]


def test_at_a_pin_that_is_low_when_lit_it_is_the_other_way_round(pins, at_once):
    with sinks.make(f"{LED}:17,label=calm,active-low", RUN) as sink:
        assert pins.pin(17).state == 1
        sink.write(frame_result(face_result("calm")))
        assert pins.pin(17).state == 0


def test_without_a_label_it_blinks_at_each_sure_change_and_at_nothing_else(pins, blinks, at_once):
    with sinks.make(f"{LED}:17", RUN) as sink:
        counts = []
        for readings in (
            [face_result("calm")],  # comes: no change yet
            [face_result("calm")],
            [face_result("cross")],  # a change
            [face_result(None)],
            [face_result("cross")],  # as before it was unsure
            [face_result(None)],
            [face_result("calm")],  # another one than before
            [],
            [face_result("calm")],  # it was away
            [face_result("cross"), face_result("calm", track_id=2)],  # a change of one of two
        ):
            sink.write(frame_result(*readings))
            counts.append(sum(blinks))
    assert counts == [0, 0, 1, 1, 1, 1, 2, 2, 2, 3]


def test_a_blink_lights_the_pin_and_leaves_it_dark(pins):
    with sinks.make(f"{LED}:17", RUN) as sink:
        pin = pins.pin(17)
        pin.clear_states()
        sink.write(frame_result(face_result("calm")))
        sink.write(frame_result(face_result("cross")))
        until(lambda: [state.state for state in pin.states] == [False, True, False])


def test_the_pin_is_free_again_after_the_run(pins):
    for _ in range(2):
        with sinks.make(f"{LED}:17", RUN) as sink:
            sink.write(frame_result(face_result("calm")))
    assert pins.pin(17).function == "input"


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "led_sink: no pin found, expected its number"),
        ("17,label=clam", "led_sink: no label 'clam'; the model has calm, cross"),
        ("17,lable=calm", "sink led_sink: no option 'lable'; did you mean label?"),
    ],
)
def test_a_wrong_argument_is_told_when_it_is_made(argument, words):
    with pytest.raises(UsageError) as refused:
        sinks.make(f"{LED}:{argument}", RUN)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize("pin", ["99", "nothing"])
def test_a_pin_that_the_board_has_not_is_told(pins, pin):
    with pytest.raises(SinkError, match=rf"led_sink: pin {pin} cannot be used"), sinks.make(f"{LED}:{pin}", RUN):
        pass


def test_without_gpiozero_the_line_to_install_it_is_told(tmp_path, monkeypatch):
    (tmp_path / "gpiozero.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    result = run_edge("run", "synthetic", "-s", f"{LED}:17")
    assert result.returncode == 2
    assert result.stderr == ("edge: error: led_sink needs gpiozero: sudo apt install python3-gpiozero python3-lgpio\n")


def test_a_real_run_takes_it_by_its_path(monkeypatch):
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    result = run_edge("run", "synthetic", "--max-frames", 3, "-s", f"{LED}:17")
    assert result.returncode == 0, result.stderr
    assert result.stderr.startswith("3 frames")
