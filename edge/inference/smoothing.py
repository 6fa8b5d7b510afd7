"""Temporal smoothing: one stable label a face, and the time since when it holds. All times are in seconds.

Two mechanisms run side by side. Probabilities are averaged over a long time, so that noise does not change the label.
Evidence for a label change is accumulated with CUSUM (Page: Continuous inspection schemes, Biometrika 1954); once there is
enough, the average starts anew, so that a real change shows at once. A face with such evidence is classified twice as often
meanwhile. On the synthetic camera with noise (benchmarks/steadiness.py) averaging alone had to choose between 11 wrong
changes a minute and a delay of half a second.

Every second inference is flip test-time augmentation: the crop is mirrored and a little tighter. The mean of both is right
more often than either: on PublicTest for 71.3 % of the faces, against 70.8 % (trainer evaluate --tta).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import HALF_LIFE_SECONDS, MIN_CONFIDENCE
from edge.types import FaceResult, InferenceRequest, Track

INFERENCE_INTERVAL_SECONDS = (
    1 / 15
)  # between two inferences of one face; half of it while there is evidence of a change
CUSUM_THRESHOLD = 4.0  # nats of evidence for another label that change it: odds of 55 to 1
MIN_PROBABILITY = 0.02  # in the evidence, so that no single inference reaches CUSUM_THRESHOLD
UNCERTAIN_AFTER_SECONDS = (
    1.0  # of low probabilities: a change from one label to another passes through a short time of it
)
SWITCH_MARGIN = (
    0.1  # probability by which another label must lead before it takes over: two close labels do not flicker
)
HYSTERESIS = 0.05  # below the minimum confidence, down to which a label stays, or is assigned when CUSUM finds it
STATE_BUFFER_SECONDS = 2.0  # for which the state of a face out of sight is kept
TIMESTAMP_TOLERANCE_SECONDS = 0.002  # a video's times may be whole milliseconds, whose differences are one off


class CusumDetector:
    """Accumulates evidence for each other label, since the evidence began.

    Args:
        labels: how many there are.
    """

    def __init__(self, labels: int) -> None:
        self._nats = np.zeros(labels)
        self._counts = np.zeros(labels, np.int64)
        self._sums = np.zeros((labels, labels))  # of probabilities since a label's evidence began, a row for each label

    @property
    def has_evidence(self) -> bool:
        return bool(self._nats.any())

    def add(self, probabilities: NDArray[np.float32], current: float) -> None:
        """Count one inference.

        Args:
            probabilities: (labels,).
            current: probability of the present label; without one, the minimum confidence.
        """
        if not self.has_evidence and probabilities.max() <= current:
            return
        self._nats += np.log(np.maximum(probabilities, MIN_PROBABILITY) / max(current, MIN_PROBABILITY))
        refuted = self._nats <= 0
        self._nats[refuted] = 0
        self._counts = np.where(refuted, 0, self._counts + 1)
        self._sums = np.where(refuted[:, np.newaxis], 0, self._sums + probabilities)

    def change(self) -> tuple[int, NDArray[np.float32]] | None:
        """Return the label with enough evidence and the mean probabilities (labels,) since it began; None: there is none."""
        label = int(self._nats.argmax())
        if self._nats[label] < CUSUM_THRESHOLD:
            return None
        return label, (self._sums[label] / self._counts[label]).astype(np.float32)


@dataclass
class SmootherState:
    """What is known of one face."""

    probabilities: NDArray[np.float32]  # (labels,), averaged
    label: int | None
    since: float  # seconds, of the label
    inferred_at: float  # seconds, of the last inference
    cusum: CusumDetector
    uncertain_since: float | None = None  # seconds, since when no probability has been high enough for a label
    flip_next: bool = True  # the next inference is of the mirrored crop


class TemporalSmoother:
    """Plans inferences, averages probabilities and decides labels.

    Args:
        labels: of the model, in the order of its outputs.
        min_confidence: probability below which a face gets no label, 0 to 1.
        half_life: seconds after which an old inference counts half; 0 takes each inference as it is.
        interval: seconds between two inferences of one face.
    """

    def __init__(
        self,
        labels: Sequence[str],
        min_confidence: float = MIN_CONFIDENCE,
        half_life: float = HALF_LIFE_SECONDS,
        interval: float = INFERENCE_INTERVAL_SECONDS,
    ) -> None:
        self._labels, self._min_confidence = tuple(labels), min_confidence
        self._half_life, self._interval = half_life, interval
        self._states: dict[int, SmootherState] = {}

    def plan(self, tracks: Sequence[Track], now: float) -> list[InferenceRequest]:
        """Return the inferences that are due at `now`."""
        requests = []
        for track in tracks:
            state = self._states.get(track.track_id)
            if state is None:
                requests.append(InferenceRequest(track))
            elif self._is_due(state, now):
                requests.append(InferenceRequest(track, flip=state.flip_next))
        return requests

    def update(
        self, tracks: Sequence[Track], probabilities: Mapping[int, NDArray[np.float32]], now: float
    ) -> tuple[FaceResult, ...]:
        """Return a result for each of `tracks` at `now`.

        Args:
            tracks: all faces of the frame.
            probabilities: track id -> (labels,), of the faces that were classified; a new face is among them.
        """
        for track_id, inferred in probabilities.items():
            self._add(track_id, inferred, now)
        if len(self._states) > len(tracks):
            visible = {track.track_id for track in tracks}
            self._states = {
                track_id: state
                for track_id, state in self._states.items()
                if track_id in visible or 0 <= now - state.inferred_at <= STATE_BUFFER_SECONDS
            }
        return tuple(self._result(track, now) for track in tracks)

    def _is_due(self, state: SmootherState, now: float) -> bool:
        changing = state.label is not None and state.cusum.has_evidence
        interval = self._interval / 2 if changing else self._interval
        return not 0 <= now - state.inferred_at < interval - TIMESTAMP_TOLERANCE_SECONDS

    def _result(self, track: Track, now: float) -> FaceResult:
        state = self._states[track.track_id]
        label = None if state.label is None else self._labels[state.label]
        return make_result(
            track, self._labels, state.probabilities, label, state.since, max(0.0, now - state.inferred_at)
        )

    def _add(self, track_id: int, probabilities: NDArray[np.float32], now: float) -> None:
        state = self._states.get(track_id)
        if state is None:
            label = strongest_label(probabilities, self._min_confidence)
            cusum = CusumDetector(len(probabilities))
            self._states[track_id] = SmootherState(probabilities, label, now, now, cusum)
            return
        elapsed = max(0.0, now - state.inferred_at)
        weight = 0.5 ** (elapsed / self._half_life) if self._half_life > 0 else 0.0
        state.probabilities = (weight * state.probabilities + (1 - weight) * probabilities).astype(np.float32)
        state.inferred_at, state.flip_next = now, not state.flip_next
        if self._half_life > 0:
            self._detect_change(state, probabilities, now)
        self._decide(state, now)

    def _detect_change(self, state: SmootherState, probabilities: NDArray[np.float32], now: float) -> None:
        """Assign another label, and start the average anew, when the evidence for it is enough."""
        state.cusum.add(
            probabilities, self._min_confidence if state.label is None else float(probabilities[state.label])
        )
        change = state.cusum.change()
        if change is None:
            return
        label, mean = change
        if int(mean.argmax()) == label and mean[label] >= self._min_confidence - HYSTERESIS:
            _assign(state, label, now)
            state.probabilities = mean

    def _decide(self, state: SmootherState, now: float) -> None:
        label = self._stable_label(state.label, state.probabilities)
        if label is not None or state.label is None:
            state.uncertain_since = None
        elif state.uncertain_since is None:
            state.uncertain_since = now
        # Without averaging every inference counts by itself.
        undecided = (
            state.uncertain_since is not None
            and now - state.uncertain_since < UNCERTAIN_AFTER_SECONDS
            and self._half_life > 0
        )
        if label != state.label and not undecided:
            _assign(state, label, now)

    def _stable_label(self, current: int | None, probabilities: NDArray[np.float32]) -> int | None:
        """Return the label for `probabilities`: another one than `current` only by a clear lead."""
        strongest = int(probabilities.argmax())
        if current is None or probabilities[strongest] - probabilities[current] > SWITCH_MARGIN:
            return strongest_label(probabilities, self._min_confidence)
        return current if probabilities[current] >= self._min_confidence - HYSTERESIS else None


def strongest_label(probabilities: NDArray[np.float32], min_confidence: float) -> int | None:
    """Return the index of the highest of `probabilities` (labels,); None where it is below `min_confidence`."""
    strongest = int(probabilities.argmax())
    return strongest if probabilities[strongest] >= min_confidence else None


def make_result(
    track: Track,
    labels: Sequence[str],
    probabilities: NDArray[np.float32],
    label: str | None,
    since: float,
    age: float = 0.0,
) -> FaceResult:
    """Return the result of one face in plain values; `probabilities` (labels,) are in the order of `labels`."""
    named = dict(zip(labels, probabilities.tolist(), strict=True))
    confidence = max(named.values()) if label is None else named[label]
    return FaceResult(track.track_id, track.box, named, label, confidence, since, age)


def _assign(state: SmootherState, label: int | None, now: float) -> None:
    state.label, state.since, state.uncertain_since = label, now, None
    state.cusum = CusumDetector(len(state.probabilities))
