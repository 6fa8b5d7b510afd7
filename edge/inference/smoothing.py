"""What a face shows, steadied over time: a label that lasts, and the moment since when. All times in seconds.

Two things at once: scores are averaged over a long time, so that noise does not change the label; and what speaks for
another label is summed up from look to look (Page's cumulative sum: Continuous inspection schemes, Biometrika 1954),
until it is enough and what was before is forgotten, so that a real change shows at once. A face that seems to show
something else is looked at twice as often meanwhile. On the synthetic camera with noise (benchmarks/steadiness.py)
averaging alone had to choose between 11 wrong changes a minute and half a second of delay.

Every second look is at the face mirrored and a little tighter. The model does not answer quite the same then, and the
mean of two opinions is right more often than either: on PublicTest on 71.3 % of the faces, one look on 70.8 %
(trainer evaluate --two-looks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.types import Face, Sighting

EVERY = 1 / 15  # seconds between two looks at one face, half of it while something speaks for another label
ENOUGH = 4.0  # nats that speak for another label before it is believed over all before: odds of 55 to 1
FAINT = 0.02  # share that a label has at least, in this sum: no look on its own is ENOUGH
DOUBT = 1.0  # seconds of doubt that make a face unsure: a change from one label to another goes through a short one
LEAD = 0.1  # share by which another label must be ahead before it takes over: two near labels do not flicker
SLACK = 0.05  # share below `unsure` down to which a label stays, or is given when the looks speak for it
HALF_LIFE = 0.6  # seconds
MEMORY = 2.0  # seconds for which the scores of somebody out of sight are kept
GRACE = 0.002  # seconds: a video's times may be whole milliseconds, whose differences are one off


class _Change:
    """What speaks for each other label, since it began to.

    Args:
        labels: how many there are.
    """

    def __init__(self, labels: int) -> None:
        self._nats = np.zeros(labels)
        self._looks = np.zeros(labels, np.int64)
        self._scores = np.zeros((labels, labels))  # sums of the looks' scores, one row for each label

    @property
    def suspected(self) -> bool:
        return bool(self._nats.any())

    def add(self, scores: NDArray[np.float32], before: float) -> None:
        """Count one look's `scores` (labels,); `before`: the share of the present label, or what a first one needs."""
        if not self.suspected and scores.max() <= before:
            return
        self._nats += np.log(np.maximum(scores, FAINT) / max(before, FAINT))
        against = self._nats <= 0
        self._nats[against] = 0
        self._looks = np.where(against, 0, self._looks + 1)
        self._scores = np.where(against[:, np.newaxis], 0, self._scores + scores)

    def found(self) -> tuple[int, NDArray[np.float32]] | None:
        """Return the label for which enough speaks, and the mean scores (labels,) since then; None: there is none."""
        label = int(self._nats.argmax())
        if self._nats[label] < ENOUGH:
            return None
        return label, (self._scores[label] / self._looks[label]).astype(np.float32)


@dataclass
class _Mood:
    """What is known of one person."""

    scores: NDArray[np.float32]  # (labels,)
    label: int | None
    since: float  # seconds, of the label
    read: float  # seconds, of the last look
    change: _Change
    doubted: float | None = None  # seconds, since when the scores have been too low for any label
    again: bool = True  # the next look is a second one


class Steadier:
    """Averages scores and decides labels.

    Args:
        unsure: share below which a face gets no label, 0 to 1.
        half_life: seconds after which an old score counts half; 0 takes each look's scores as they are.
        every: seconds between two looks at one face.
    """

    def __init__(self, unsure: float = 0.0, half_life: float = HALF_LIFE, every: float = EVERY) -> None:
        self._unsure, self._half_life, self._every = unsure, half_life, every
        self._moods: dict[int, _Mood] = {}

    def due(self, face_id: int, now: float) -> bool:
        """Tell whether the face is to be looked at again."""
        mood = self._moods.get(face_id)
        if mood is None:
            return True
        changing = mood.label is not None and mood.change.suspected
        return not 0 <= now - mood.read < (self._every / 2 if changing else self._every) - GRACE

    def again(self, face_id: int) -> bool:
        """Tell whether the next look at the face is to be a second one, see edge.inference.preprocess.second_look."""
        mood = self._moods.get(face_id)
        return mood is not None and mood.again

    def update(
        self, seen: Sequence[Sighting], scores: Mapping[int, NDArray[np.float32]], now: float
    ) -> tuple[Face, ...]:
        """Return a Face for each of `seen` at `now`, given the `scores` (labels,) of those that were looked at."""
        for face_id, fresh in scores.items():
            self._look(face_id, fresh, now)
        if len(self._moods) > len(seen):
            self._forget({sighting.id for sighting in seen}, now)
        return tuple(self._face(sighting) for sighting in seen)

    def _forget(self, present: set[int], now: float) -> None:
        self._moods = {
            face_id: mood
            for face_id, mood in self._moods.items()
            if face_id in present or 0 <= now - mood.read <= MEMORY
        }

    def _face(self, sighting: Sighting) -> Face:
        mood = self._moods[sighting.id]
        return Face(sighting.box, mood.scores, sighting.id, mood.label, mood.since)

    def _look(self, face_id: int, scores: NDArray[np.float32], now: float) -> None:
        mood = self._moods.get(face_id)
        if mood is None:
            self._moods[face_id] = _Mood(scores, self._label(None, scores), now, now, _Change(len(scores)))
            return
        keep = 0.5 ** (max(0.0, now - mood.read) / self._half_life) if self._half_life > 0 else 0.0
        mood.scores = (keep * mood.scores + (1 - keep) * scores).astype(np.float32)
        mood.read, mood.again = now, not mood.again
        if self._half_life > 0:
            self._turn(mood, scores, now)
        self._decide(mood, now)

    def _turn(self, mood: _Mood, scores: NDArray[np.float32], now: float) -> None:
        """Take another label, and forget what was before, when enough speaks for it."""
        mood.change.add(scores, self._unsure if mood.label is None else float(scores[mood.label]))
        found = mood.change.found()
        if found is None:
            return
        label, mean = found
        if int(mean.argmax()) == label and mean[label] >= self._unsure - SLACK:
            self._give(mood, label, now)
            mood.scores = mean

    def _decide(self, mood: _Mood, now: float) -> None:
        label = self._label(mood.label, mood.scores)
        if label is not None or mood.label is None:
            mood.doubted = None
        elif mood.doubted is None:
            mood.doubted = now
        # Without averaging every look counts for itself.
        doubtful = mood.doubted is not None and now - mood.doubted < DOUBT and self._half_life > 0
        if label != mood.label and not doubtful:
            self._give(mood, label, now)

    def _give(self, mood: _Mood, label: int | None, now: float) -> None:
        mood.label, mood.since, mood.doubted = label, now, None
        mood.change = _Change(len(mood.scores))

    def _label(self, before: int | None, scores: NDArray[np.float32]) -> int | None:
        """Return the label that `scores` give a face that had `before`: changed only for a clear lead."""
        strongest = int(scores.argmax())
        if before is None or scores[strongest] - scores[before] > LEAD:
            return strongest if scores[strongest] >= self._unsure else None
        return before if scores[before] >= self._unsure - SLACK else None
