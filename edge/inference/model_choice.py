"""The model of a camera's run, chosen by what an inference costs on this board: `--model auto`.

The run begins with the fast model. In its first second one inference of each model is measured several times, on the
camera's frames, whether or not there is a face. Then the accurate model takes over if the board has time for as many of
its inferences as one face in doubt needs. There is no way back: a label that depends on how busy a board is would be
hard to trust, and the budget (edge.inference.budget) keeps the boxes fluent with either model.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.inference.budget import InferenceBudget
from edge.inference.classifier import Classifier
from edge.inference.model_file import ModelCard
from edge.inference.schedule import INFERENCE_INTERVAL_SECONDS
from edge.types import Box

TRIAL_SECONDS = 1.0
TRIAL_INFERENCES = 5  # of each model, whose median counts; spread over the trial, so that no frame has two
# Those of one face in doubt, and a third more: a face costs search time, too, which a trial without one has not seen.
NEEDED_PER_SECOND = 4 / 3 / INFERENCE_INTERVAL_SECONDS

_log = logging.getLogger(__name__)


@dataclass
class _Candidate:
    name: str
    classifier: Classifier
    seconds: list[float] = field(default_factory=list)  # of each inference that was measured, its crop included


class ModelChoice:
    """Classifies faces with the fast model, and after a trial with the one that was chosen.

    Args:
        fast, accurate: their labels must be equal.
        names: of both, for messages.
        clock: in seconds; injected by tests.

    Raises ModelError if the labels differ.
    """

    def __init__(
        self,
        fast: Classifier,
        accurate: Classifier,
        names: tuple[str, str],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if fast.card.labels != accurate.card.labels:
            labels = "; ".join(
                f"{name} has {', '.join(of.card.labels)}" for name, of in zip(names, (fast, accurate), strict=True)
            )
            raise ModelError(f"the two models of auto need the same labels, but {labels}; name one model")
        self._fast, self._accurate = _Candidate(names[0], fast), _Candidate(names[1], accurate)
        self._current = fast
        self._clock = clock
        self._started: float | None = None  # seconds, clock: of the first frame
        self.is_decided = False

    @property
    def card(self) -> ModelCard:
        """The card of the model in use."""
        return self._current.card

    @property
    def uses_color(self) -> bool:
        """Whether the model in use was trained on faces in color."""
        return self._current.uses_color

    def warm_up(self) -> None:
        """Classify a uniform face with the model in use, see Classifier.warm_up."""
        self._current.warm_up()

    def describe(self) -> str:
        """Return name and version of the model in use."""
        return self._current.describe()

    def prepare(
        self, image: NDArray[np.uint8], box: Box, *, flip: bool = False, roll: float = 0.0
    ) -> NDArray[np.uint8]:
        """Return the input of the model in use for the face in `box`, see Classifier.prepare."""
        return self._current.prepare(image, box, flip=flip, roll=roll)

    def classify(self, face: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (labels,) probabilities of the model in use, see Classifier.classify."""
        return self._current.classify(face)

    def end_frame(self, gray: NDArray[np.uint8], budget: InferenceBudget) -> None:
        """Measure, or decide, between two frames: the crops of a frame fit the model that classifies them.

        Args:
            gray: (height, width), the frame that was processed.
            budget: of the loop; it pays for what is measured.
        """
        if self.is_decided:
            return
        now = self._clock()
        if self._started is None:
            self._started = now
        measured = len(self._accurate.seconds)
        if measured < TRIAL_INFERENCES:
            if now - self._started >= measured * TRIAL_SECONDS / TRIAL_INFERENCES:
                self._measure(gray)
                budget.spend(0, self._clock() - now)
        elif now - self._started >= TRIAL_SECONDS:
            self._decide(budget)

    def _measure(self, gray: NDArray[np.uint8]) -> None:
        height, width = gray.shape
        side = min(height, width) // 2
        center = Box((width - side) // 2, (height - side) // 2, side, side)
        for each in (self._fast, self._accurate):
            started = self._clock()
            each.classifier.classify(each.classifier.prepare(gray, center))
            each.seconds.append(self._clock() - started)

    def _decide(self, budget: InferenceBudget) -> None:
        fast, accurate = (statistics.median(each.seconds) for each in (self._fast, self._accurate))
        possible = budget.inferences_per_second(accurate)
        if possible is None:  # no two frames yet with times of their own
            return
        self.is_decided = True
        chosen = self._accurate if possible >= NEEDED_PER_SECOND else self._fast
        if chosen is self._accurate:
            self._current = chosen.classifier
            budget.expect(accurate)
        _log.info(
            "model: %s (there is time for %.0f inferences per second of %s, %.1f ms each, and %.0f are needed; "
            "%s takes %.1f ms)",
            chosen.name,
            possible,
            self._accurate.name,
            1000 * accurate,
            NEEDED_PER_SECOND,
            self._fast.name,
            1000 * fast,
        )
