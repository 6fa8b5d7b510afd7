"""Images are made faster than by Keras' own loader, and the two of a pair are measured on the same work."""

import time
from dataclasses import replace

import pytest

from tests.support.small import DATA
from trainer.data.dataset import TRAINING

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]


@pytest.fixture(scope="module")
def found(settings):
    from trainer.training.input_benchmark import measure_speeds

    return measure_speeds(settings, DATA, steps=4)


def test_a_image_costs_the_processor_less_than_by_keras_loader(settings, monkeypatch):
    from trainer.training import input_benchmark as speed
    from trainer.training import loop as training

    how, rows, steps = replace(settings, input_size=128, batch=32), DATA.split(TRAINING), 4
    batches = training.Batches(how, rows)
    # Seconds of the processor: a busy machine takes more of the clock from two threads than from one.
    monkeypatch.setattr("time.perf_counter", time.process_time)
    ours, keras_own = speed._in_turn(
        lambda: speed._make(batches, steps), lambda: speed._make_by_keras(how, rows, steps)
    )
    assert keras_own / ours > 1.5  # 2.4 to 4; our two threads make of it what `trainer speed` tells


def test_the_ratio_of_loading_is_ours_to_theirs(found):
    assert found.loading_ratio == pytest.approx(found.made / found.made_by_keras)


def test_steps_are_measured_with_and_without_the_making_of_images(found):
    # No bound: with a network as small as this one the images do cost; the real ratio is `trainer speed`'s.
    assert found.steps > 0
    assert found.steps_on_constant > 0
    assert found.feeding_ratio == pytest.approx(found.steps / found.steps_on_constant)


def test_each_work_of_a_pair_is_done_in_turn_and_the_median_is_taken(settings, monkeypatch):
    from trainer.training import input_benchmark as speed

    order: list[str] = []
    clock = iter([0, 1, 0, 10, 0, 3, 0, 10, 0, 2, 0, 10, 0, 2, 0, 10, 0, 100, 0, 10])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert speed._in_turn(lambda: order.append("a"), lambda: order.append("b")) == [2, 10]
    assert order == ["a", "b"] * speed.ROUNDS


def test_without_scipy_one_line_says_so(settings, monkeypatch):
    import sys

    from trainer.errors import TrainingError
    from trainer.training.input_benchmark import measure_speeds

    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(TrainingError, match="is not installed; Keras' loader needs it: 'pip install scipy'"):
        measure_speeds(settings, DATA, steps=1)
