"""The example of a user's own sink, an LED at a GPIO pin, with gpiozero's mock pins."""

import os

import pytest

from edge.errors import SinkError, UsageError
from edge.sinks import registry
from edge.types import RunInfo
from tests.support.commands import run_edge
from tests.support.fakes import face_result, frame_result
from tests.support.kiosk import wait_until
from tests.support.paths import ROOT

gpiozero = pytest.importorskip("gpiozero", reason="needs gpiozero: pip install gpiozero")
LED_SINK = ROOT / "examples" / "led_sink.py"


def make_sink(argument):
    return registry.find(f"{LED_SINK}:{argument}")(RunInfo(live=True, labels=("calm", "cross")))


@pytest.fixture
def pins(monkeypatch):
    """The pins of a simulated board."""
    from gpiozero.pins.mock import MockFactory

    factory = MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.reset()


@pytest.fixture
def blinks(monkeypatch):
    """The number of blinks of each call, which would take time."""
    counts: list[int] = []
    monkeypatch.setattr(gpiozero.LED, "blink", lambda *_, n, **__: counts.append(n))
    return counts


def test_the_led_is_lit_while_a_face_has_the_label(pins, no_threads):
    with make_sink("17,label=calm") as sink:
        lit = []
        for faces in (
            [],
            [face_result("calm")],
            [face_result("cross")],
            [face_result("cross"), face_result("calm", track_id=2)],
            [],
        ):
            sink.write(frame_result(*faces))
            lit.append(pins.pin(17).state)
    assert lit == [False, True, False, True, False]


def test_an_active_low_pin_is_inverted(pins, no_threads):
    with make_sink("17,label=calm,active-low") as sink:
        assert pins.pin(17).state == 1
        sink.write(frame_result(face_result("calm")))
        assert pins.pin(17).state == 0


def test_without_a_label_it_blinks_at_each_change(pins, blinks, no_threads):
    with make_sink("17") as sink:
        counts = []
        for faces in (
            [face_result("calm")],  # a new face is no change
            [face_result("calm")],
            [face_result("cross")],  # a change
            [face_result(None)],
            [face_result("cross")],  # as before it was uncertain
            [face_result(None)],
            [face_result("calm")],  # not as before it was uncertain
            [],
            [face_result("calm")],  # a returning face is no change
            [face_result("cross"), face_result("calm", track_id=2)],  # one of two changes
        ):
            sink.write(frame_result(*faces))
            counts.append(sum(blinks))
    assert counts == [0, 0, 1, 1, 1, 1, 2, 2, 2, 3]


def test_a_blink_leaves_the_led_off(pins):
    with make_sink("17") as sink:
        pin = pins.pin(17)
        pin.clear_states()
        sink.write(frame_result(face_result("calm")))
        sink.write(frame_result(face_result("cross")))
        wait_until(lambda: [state.state for state in pin.states] == [False, True, False])


def test_the_pin_is_released_after_the_run(pins):
    for _ in range(2):
        with make_sink("17") as sink:
            sink.write(frame_result(face_result("calm")))
    assert pins.pin(17).function == "input"


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "no pin found"),
        ("17,label=clam", "no label 'clam'; the model has calm, cross"),
        ("17,lable=calm", "unknown option 'lable'; did you mean label?"),
    ],
)
def test_an_invalid_argument_is_refused(argument, words):
    with pytest.raises(UsageError) as caught:
        make_sink(argument)
    assert "led_sink" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("pin", ["99", "nothing"])
def test_a_pin_that_the_board_does_not_have_is_an_error(pins, pin):
    with pytest.raises(SinkError, match=rf"led_sink: pin {pin} cannot be used"), make_sink(pin):
        pass


def test_without_gpiozero_the_error_names_the_package(tmp_path, monkeypatch):
    (tmp_path / "gpiozero.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    result = run_edge("run", "synthetic", "-s", f"{LED_SINK}:17")
    assert result.returncode == 2
    assert "sudo apt install python3-gpiozero" in result.stderr


def test_a_run_takes_the_example_by_its_path(monkeypatch):
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    result = run_edge("run", "synthetic", "--max-frames", 3, "-s", f"{LED_SINK}:17")
    assert result.returncode == 0, result.stderr
