"""Processes the frames of a camera with `--model auto`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.types import Frame, FrameResult

if TYPE_CHECKING:
    from edge.inference.budget import InferenceBudget
    from edge.inference.model_choice import ModelChoice
    from edge.inference.smoothing import TemporalSmoother
    from edge.pipeline import Pipeline


class AutoModelProcessor:
    """Processes frames by `pipeline`; between two of them, `choice` measures its models, or switches to the other one.

    Args:
        choice: the classifier of the pipeline.
        budget, smoother: of the pipeline. The smoother gets the minimum confidence of the chosen model's card.
        min_confidence: overrides that of the card, 0 to 1; None: the card's.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        choice: ModelChoice,
        budget: InferenceBudget,
        smoother: TemporalSmoother,
        min_confidence: float | None,
    ) -> None:
        self._pipeline, self._choice, self._budget = pipeline, choice, budget
        self._smoother, self._min_confidence = smoother, min_confidence

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`."""
        result = self._pipeline.process(frame, capture_seconds)
        self._choice.end_frame(frame.gray, self._budget)
        if self._min_confidence is None:
            self._smoother.min_confidence = self._choice.card.min_confidence
        return result
