"""Temporal smoothing: one stable label for each face, and the time since when it holds. All times are in seconds.

Two methods are combined. Probabilities are averaged over a long time, so that noise does not change the label. Evidence
for a label change is accumulated with CUSUM (Page: Continuous inspection schemes, Biometrika 1954); once there is
enough, the average starts again, so that a real change shows at once. On the synthetic camera with noise
(benchmarks/label_stability.py) averaging alone gave either 11 wrong changes a minute or a delay of half a second.

edge.inference.schedule decides which faces are classified in a frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import HALF_LIFE_SECONDS, MIN_CONFIDENCE
from edge.inference.schedule import INFERENCE_INTERVAL_SECONDS, InferenceScheduler
from edge.types import FaceResult, InferenceRequest, InferenceStats, Track

CUSUM_THRESHOLD = 4.0  # nats of evidence that change a label: odds of 55 to 1
MIN_PROBABILITY = 0.02  # in the evidence, so that no single inference reaches CUSUM_THRESHOLD
UNCERTAIN_AFTER_SECONDS = 1.0  # of low probabilities; each change of label passes through a short time of them
SWITCH_MARGIN = 0.1  # lead in probability that a new label needs, so that two close labels do not alternate
# Below the minimum confidence, down to which a label stays, or is assigned when CUSUM detects it. Twice as much for
# twice the evidence: an old label that every inference contradicts is worse than a weak new one.
HYSTERESIS = 0.05
CERTAIN_PROBABILITY = 0.6  # of a label, in the average and in the last inference, from which it is not in doubt
STATE_BUFFER_SECONDS = 2.0  # for which the state of a lost face is kept


class CusumDetector:
    """Accumulates evidence for each other label since that evidence began.

    Args:
        labels: how many there are.
    """

    def __init__(self, labels: int) -> None:
        self._nats = np.zeros(labels)
        self._counts = np.zeros(labels, np.int64)
        self._sums = np.zeros((labels, labels))  # of probabilities since a label's evidence began; one row per label

    @property
    def has_evidence(self) -> bool:
        """Whether there is any evidence for another label."""
        return bool(self._nats.any())

    def add(self, probabilities: NDArray[np.float32], current: float) -> None:
        """Add one inference.

        Args:
            probabilities: (labels,).
            current: probability of the current label; without a label, the minimum confidence.
        """
        if not self.has_evidence and probabilities.max() <= current:
            return
        self._nats += np.log(np.maximum(probabilities, MIN_PROBABILITY) / max(current, MIN_PROBABILITY))
        refuted = self._nats <= 0
        self._nats[refuted] = 0
        self._counts = np.where(refuted, 0, self._counts + 1)
        self._sums = np.where(refuted[:, np.newaxis], 0, self._sums + probabilities)

    def change(self, min_confidence: float) -> tuple[int, NDArray[np.float32]] | None:
        """Return the label with enough evidence and the mean probabilities (labels,) since it began.

        None while it is not the most probable one, or its probability is more than HYSTERESIS below `min_confidence`.
        """
        label = int(self._nats.argmax())
        if self._nats[label] < CUSUM_THRESHOLD:
            return None
        mean = (self._sums[label] / self._counts[label]).astype(np.float32)
        hysteresis = HYSTERESIS * (2 if self._nats[label] >= 2 * CUSUM_THRESHOLD else 1)
        return (label, mean) if label == int(mean.argmax()) and mean[label] >= min_confidence - hysteresis else None


@dataclass
class SmootherState:
    """What the smoother keeps of one face."""

    probabilities: NDArray[np.float32]  # (labels,), averaged
    last: NDArray[np.float32]  # (labels,), of the last inference
    label: int | None  # index of the label; None: uncertain
    since: float  # seconds: when the label was assigned
    inferred_at: float  # seconds, of the last inference
    cusum: CusumDetector
    uncertain_since: float | None = None  # seconds: since when every probability has been too low for a label

    def assign(self, label: int | None, now: float) -> None:
        """Change the label, and discard the evidence against the old one."""
        self.label, self.since, self.uncertain_since = label, now, None
        self.cusum = CusumDetector(len(self.probabilities))


class TemporalSmoother:
    """Plans inferences, averages probabilities and assigns labels.

    Args:
        labels: of the model, in the order of its outputs.
        min_confidence: probability below which a face gets no label, 0 to 1.
        half_life: seconds after which an inference counts half in the average; 0: no averaging.
        interval: the shortest time between two inferences of one face, in seconds.
    """

    def __init__(
        self,
        labels: Sequence[str],
        min_confidence: float = MIN_CONFIDENCE,
        half_life: float = HALF_LIFE_SECONDS,
        interval: float = INFERENCE_INTERVAL_SECONDS,
    ) -> None:
        self._labels, self.min_confidence = tuple(labels), min_confidence
        self._half_life = half_life
        self._states: dict[int, SmootherState] = {}
        self._scheduler = InferenceScheduler(interval)

    @property
    def stats(self) -> InferenceStats:
        """What became of all faces so far."""
        return self._scheduler.stats

    def plan(
        self, gray: NDArray[np.uint8], tracks: Sequence[Track], now: float, limit: int | None = None
    ) -> list[InferenceRequest]:
        """Return the inferences of the frame `gray` (height, width) at `now` seconds, `limit` at most.

        Of a head that is turned to one side there is none.
        """
        frontal = [track for track in tracks if track.is_frontal]
        return self._scheduler.plan(gray, frontal, self._is_in_doubt, now, limit)

    def _is_in_doubt(self, track_id: int) -> bool:
        """Return whether another inference may change the label of a face."""
        state = self._states[track_id]
        if state.label is None or state.cusum.has_evidence:
            return True
        least = max(CERTAIN_PROBABILITY, self.min_confidence)
        return bool(min(state.probabilities[state.label], state.last[state.label]) < least)

    def update(
        self, tracks: Sequence[Track], probabilities: Mapping[int, NDArray[np.float32]], now: float
    ) -> tuple[FaceResult, ...]:
        """Return a result for each of `tracks` at `now` seconds, except for those that were never classified.

        Args:
            tracks: all faces of the frame.
            probabilities: track id -> (labels,), of the faces that were classified.
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
            self._scheduler.keep(self._states)
        results = []
        for track in tracks:
            state = self._states.get(track.track_id)
            if state is None:
                continue
            label = None if state.label is None or not track.is_frontal else self._labels[state.label]
            age = max(0.0, now - state.inferred_at)
            results.append(make_result(track, self._labels, state.probabilities, label, state.since, age))
        return tuple(results)

    def _add(self, track_id: int, probabilities: NDArray[np.float32], now: float) -> None:
        """Add one inference to the state of a face: to its average and, if that is in use, to its evidence."""
        state = self._states.get(track_id)
        if state is None:
            label = strongest_label(probabilities, self.min_confidence)
            cusum = CusumDetector(len(probabilities))
            self._states[track_id] = SmootherState(probabilities, probabilities, label, now, now, cusum)
            return
        elapsed = max(0.0, now - state.inferred_at)
        weight = 0.5 ** (elapsed / self._half_life) if self._half_life > 0 else 0.0
        state.probabilities = (weight * state.probabilities + (1 - weight) * probabilities).astype(np.float32)
        state.inferred_at, state.last = now, probabilities
        if self._half_life > 0:
            current = self.min_confidence if state.label is None else float(probabilities[state.label])
            state.cusum.add(probabilities, current)
            change = state.cusum.change(self.min_confidence)
            if change is not None:
                state.assign(change[0], now)
                state.probabilities = change[1]
        self._update_label(state, now)

    def _update_label(self, state: SmootherState, now: float) -> None:
        """Assign the label of the averaged probabilities: another one only by a clear lead, none only after a while."""
        probabilities = state.probabilities
        strongest = int(probabilities.argmax())
        label = state.label
        if label is None or probabilities[strongest] - probabilities[label] > SWITCH_MARGIN:
            label = strongest_label(probabilities, self.min_confidence)
        elif probabilities[label] < self.min_confidence - HYSTERESIS:
            label = None
        if label is not None or state.label is None:
            state.uncertain_since = None
        elif state.uncertain_since is None:
            state.uncertain_since = now
        waiting = state.uncertain_since is not None and now - state.uncertain_since < UNCERTAIN_AFTER_SECONDS
        if label != state.label and not (waiting and self._half_life > 0):
            state.assign(label, now)


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
