"""The choice of a model for a camera, by what an inference costs: on a simulated board, with a clock of its own."""

from __future__ import annotations

import logging
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference.budget import InferenceBudget
from edge.inference.model_choice import NEEDED_PER_SECOND, TRIAL_INFERENCES, TRIAL_SECONDS, ModelChoice
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from tests.support import fakes
from tests.support.fakes import FAKE_LABELS, FakeClock

FPS = 30
REST_SECONDS = 0.004  # of a frame without its inferences


class TimedClassifier:
    """Takes `seconds` for each face, and gives `probability` to the first label."""

    def __init__(self, clock: FakeClock, seconds: float, probability: float = 0.8, size: int = 8) -> None:
        self.clock, self.seconds, self.probability, self.size = clock, seconds, probability, size
        self.card = SimpleNamespace(labels=FAKE_LABELS, min_confidence=0.5)
        self.calls = 0

    uses_color = False

    def prepare(self, *_: Any, **__: Any) -> Any:
        return np.zeros((self.size, self.size), np.uint8)

    def classify(self, face: Any) -> Any:
        assert face.shape == (self.size, self.size), "a crop that was made for the other model"
        self.calls += 1
        self.clock.now += self.seconds
        return np.array([self.probability, 1 - self.probability], np.float32)

    def describe(self) -> str:
        return f"{self.size} px"


def timed_classifier(*arguments: Any, **options: Any) -> Any:
    """Return a TimedClassifier where a Classifier is expected."""
    return TimedClassifier(*arguments, **options)


class Board:
    """A loop with one face, or none, on a board where one inference takes `fast` and `accurate` seconds."""

    def __init__(self, fast: float, accurate: float, *, face: bool = True, probabilities=(0.8, 0.8)) -> None:
        self.clock = FakeClock()
        self.fast = timed_classifier(self.clock, fast, probabilities[0], size=8)
        self.accurate = timed_classifier(self.clock, accurate, probabilities[1], size=16)
        self.choice = ModelChoice(self.fast, self.accurate, names=("fast", "emotion"), clock=self.clock)
        self.budget = InferenceBudget(self.clock)
        self.smoother = TemporalSmoother(FAKE_LABELS)
        self.pipeline = Pipeline(fakes.FakeTracker(), self.choice, self.smoother, self.budget)
        self._level = 100 if face else 0  # of the frame; FakeTracker finds no face in a black one
        self._last = -1

    def run(self, until: float) -> list[Any]:
        """Return the results of the frames up to `until` seconds."""
        results = []
        while self.clock.now < until:
            requested = self.clock.now
            self.clock.now = max(self.clock.now, (self._last + 1) / FPS)
            self._last = max(self._last + 1, int(self.clock.now * FPS + 1e-9))
            frame = fakes.frame(time=self._last / FPS, index=self._last, level=self._level)
            results.append(self.pipeline.process(frame, self.clock.now - requested))
            self.choice.end_frame(frame.gray, self.budget)
            self.clock.now += REST_SECONDS
        return results


@pytest.mark.parametrize("face", [True, False], ids=["one face", "nobody"])
@pytest.mark.parametrize(
    ("fast", "accurate", "chosen"),
    [
        (0.0055, 0.0216, "emotion"),  # Raspberry Pi 4
        (0.001, 0.004, "emotion"),  # Raspberry Pi 5
        (0.013, 0.0518, "fast"),  # Zero 2 W
        (0.1, 0.4, "fast"),
    ],
)
def test_the_accurate_model_is_chosen_if_there_is_time_for_it(fast, accurate, chosen, face, caplog):
    caplog.set_level(logging.INFO)
    board = Board(fast, accurate, face=face)
    board.run(0.9 * TRIAL_SECONDS)
    assert not board.choice.is_decided
    board.run(2 * TRIAL_SECONDS + 10 * accurate)
    assert board.choice.is_decided
    (line,) = [message for message in caplog.messages if message.startswith("model: ")]
    assert line.startswith(f"model: {chosen} (")
    assert f"{1000 * accurate:.1f} ms" in line
    assert f"{1000 * fast:.1f} ms" in line
    assert board.choice.describe() == ("16 px" if chosen == "emotion" else "8 px")
    used, other = (board.accurate, board.fast) if chosen == "emotion" else (board.fast, board.accurate)
    before = other.calls
    board.run(20)
    assert other.calls == before  # it switches at most once, and measures no more
    assert len([message for message in caplog.messages if message.startswith("model: ")]) == 1
    assert (used.calls > 2 * TRIAL_INFERENCES) == face


def test_the_trial_measures_each_model_a_few_times():
    board = Board(0.005, 0.02, face=False)
    board.run(TRIAL_SECONDS)
    assert board.fast.calls == board.accurate.calls == TRIAL_INFERENCES


def test_the_threshold_is_the_rate_that_one_face_may_need():
    def chosen(accurate):
        board = Board(0.001, accurate, face=False)
        board.run(3)
        return board.choice._current is board.accurate

    free = 0.9 - REST_SECONDS * FPS
    assert chosen(0.99 * free / NEEDED_PER_SECOND)
    assert not chosen(1.05 * free / NEEDED_PER_SECOND)


def test_no_frame_is_lost_after_the_switch():
    board = Board(0.0055, 0.0216)
    board.run(TRIAL_SECONDS + 0.1)
    assert board.choice._current is board.accurate
    results = board.run(TRIAL_SECONDS + 3)
    indices = [result.frame.index for result in results]
    assert indices == list(range(indices[0], indices[0] + len(results)))


def test_a_label_and_its_time_stay_the_same_across_the_switch():
    board = Board(0.001, 0.004, probabilities=(0.9, 0.7))
    results = board.run(3)
    faces = [result.faces[0] for result in results]
    assert board.choice._current is board.accurate
    assert {(face.label, face.since, face.track_id) for face in faces} == {("calm", 0.0, 1)}
    confidences = [face.confidence for face in faces]
    assert confidences[0] == pytest.approx(0.9)
    assert confidences[-1] == pytest.approx(0.7, abs=0.02)
    steps = -np.diff(confidences)
    assert steps.min() >= -1e-6  # towards the new model's answer
    assert steps.max() < 0.1  # gradually: one inference is a part of the average


def test_a_model_that_disagrees_changes_the_label_once():
    board = Board(0.001, 0.004, probabilities=(0.9, 0.1))
    labels = [result.faces[0].label for result in board.run(3)]
    changes = [pair for pair in pairwise(labels) if pair[0] != pair[1]]
    assert changes == [("calm", "cross")]


def test_models_with_other_labels_are_refused():
    clock = FakeClock()
    fast, accurate = timed_classifier(clock, 1), timed_classifier(clock, 1)
    accurate.card.labels = ("cross", "calm")
    with pytest.raises(ModelError, match=r"fast has calm, cross; emotion has cross, calm; name one model"):
        ModelChoice(fast, accurate, names=("fast", "emotion"))


def test_the_model_in_use_is_named():
    assert Board(0.001, 0.004).choice.describe() == "8 px"
