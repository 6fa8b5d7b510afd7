"""A person's own neutral: a face that looks sad, angry or happy to the model even at rest.

For each face the log ratio of each label's probability to that of neutral is sampled once a second. Its median over the
last minutes is the resting expression, whatever the face shows for less than half of the time. If another label is near
neutral or leads it there, but not clearly, it is lowered until neutral leads by MARGIN. Faces whose neutral leads by
more than that, and labels of which the model is sure, stay as they are. Forgotten when the person leaves.

From images alone nobody can tell a sad-looking person from one who is slightly sad for minutes: this takes both for
neutral. benchmarks/neutral_calibration.py and docs/neutral.md have what it gains and costs on artificial faces; on
people it is unproven. Subtracting the whole resting expression from the logits was worse: it also lowers neutral, and
labels that the face shows rightly.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.inference.smoothing import STATE_BUFFER_SECONDS
from edge.types import Track

SAMPLE_SECONDS = 1.0  # between two samples of a face: a face in doubt is classified more often, and must not weigh more
MIN_SAMPLES = 30  # before anything is corrected: an expression of some seconds is none at rest
MAX_SAMPLES = 300  # five minutes, after which the oldest is dropped: light and pose change
MARGIN = 1.0  # nats by which neutral leads at rest after the correction: 73 % against one other label
MAX_LEAD = 1.5  # nats: a label that leads neutral by more at rest (82 % against 18 %) is believed
MIN_PROBABILITY = 1 / 512  # of a sample: half a step of a model's 8-bit output


@dataclass
class _FaceState:
    """What is kept of one face."""

    sampled_at: float = -math.inf  # seconds, of the last sample
    inferred_at: float = -math.inf  # seconds, of the last inference
    samples: deque[NDArray[np.float64]] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))
    factors: NDArray[np.float64] | None = None  # (labels,) of the probabilities; None: not yet known


class NeutralCalibrator:
    """Corrects the probabilities of each face by its own resting expression.

    Args:
        labels: of the model, in the order of its outputs.
        neutral: which of them is that of a face at rest.
    """

    def __init__(self, labels: Sequence[str], neutral: str) -> None:
        self._neutral = tuple(labels).index(neutral)
        self._states: dict[int, _FaceState] = {}

    def update(
        self, tracks: Sequence[Track], probabilities: Mapping[int, NDArray[np.float32]], now: float
    ) -> dict[int, NDArray[np.float32]]:
        """Return `probabilities` corrected: track id -> (labels,), summing to 1.

        Args:
            tracks: all faces of the frame.
            probabilities: track id -> (labels,), of the faces that were classified.
            now: seconds.
        """
        visible = {track.track_id for track in tracks}
        self._states = {
            track_id: state
            for track_id, state in self._states.items()
            if track_id in visible or 0 <= now - state.inferred_at <= STATE_BUFFER_SECONDS
        }
        return {track_id: self._correct(track_id, inferred, now) for track_id, inferred in probabilities.items()}

    def _correct(self, track_id: int, probabilities: NDArray[np.float32], now: float) -> NDArray[np.float32]:
        state = self._states.setdefault(track_id, _FaceState())
        state.inferred_at = now
        if not 0 <= now - state.sampled_at < SAMPLE_SECONDS:  # below 0: the source restarted
            logits = np.log(np.maximum(probabilities, MIN_PROBABILITY))
            state.samples.append(logits - logits[self._neutral])
            state.sampled_at = now
            if len(state.samples) >= MIN_SAMPLES:
                resting = np.median(state.samples, axis=0)
                excess = np.where(resting <= MAX_LEAD, np.maximum(resting + MARGIN, 0), 0)
                excess[self._neutral] = 0
                state.factors = np.exp(-excess)
        if state.factors is None:
            return probabilities
        corrected = probabilities * state.factors
        normalized: NDArray[np.float32] = (corrected / corrected.sum()).astype(np.float32)
        return normalized
