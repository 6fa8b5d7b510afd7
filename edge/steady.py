"""What a face shows, steadied over time: a label that lasts, and the moment since when. All times in seconds.

Two things at once: scores are averaged over a long time, so that noise does not change the label; and when all looks of
a fifth of a second agree on another label, what was before is forgotten, so that a real change shows at once. A face
that seems to show something else is looked at twice as often meanwhile: more looks that agree are surer than fewer. On
the synthetic camera with noise (scripts/steadiness.py) averaging alone had to choose between 11 wrong changes a minute
and half a second of delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.values import Face, Sighting

EVERY = 1 / 15  # seconds between two looks at one face, half of it when the last one said something else
AGREED = 0.2  # seconds that looks must agree on another label to be believed over all before
LOOKS = 3  # at least so many
DOUBT = 1.0  # seconds of doubt that make a face unsure: a change from one label to another goes through a short one
LEAD = 0.1  # share by which another label must be ahead before it takes over: two near labels do not flicker
SLACK = 0.05  # share below `unsure` down to which a label stays, or is given when the looks agree
HALF_LIFE = 0.6  # seconds
MEMORY = 2.0  # seconds for which the scores of somebody out of sight are kept
GRACE = 0.002  # seconds: a video's times may be whole milliseconds, whose differences are one off

_Look = tuple[float, NDArray[np.float32]]  # seconds, and scores (labels,)


@dataclass
class _Mood:
    """What is known of one person."""

    scores: NDArray[np.float32]  # (labels,)
    label: int | None
    since: float  # seconds, of the label
    read: float  # seconds, of the last look
    doubted: float | None = None  # seconds, since when the scores have been too low for any label
    others: list[_Look] = field(default_factory=list)  # last looks that agree on another label, no more than count


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
        changing = mood.label is not None and mood.others
        return not 0 <= now - mood.read < (self._every / 2 if changing else self._every) - GRACE

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
            self._moods[face_id] = _Mood(scores, self._label(None, scores), now, now)
            return
        keep = 0.5 ** (max(0.0, now - mood.read) / self._half_life) if self._half_life > 0 else 0.0
        mood.scores = (keep * mood.scores + (1 - keep) * scores).astype(np.float32)
        mood.read = now
        self._turn(mood, scores, now)
        self._decide(mood, now)

    def _turn(self, mood: _Mood, scores: NDArray[np.float32], now: float) -> None:
        """Take another label, and forget what was before, when the last looks agree on it."""
        named = int(scores.argmax())
        if named == mood.label:
            mood.others = []
            return
        agree = [look for look in mood.others if int(look[1].argmax()) == named]
        mood.others = _latest([*agree, (now, scores)])
        if len(mood.others) >= LOOKS and now - mood.others[0][0] >= AGREED - GRACE:
            mean: NDArray[np.float32] = np.stack([look for _, look in mood.others]).mean(axis=0)
            if mean[named] >= self._unsure - SLACK:
                mood.scores, mood.others = mean, []
                mood.label, mood.since = named, now

    def _decide(self, mood: _Mood, now: float) -> None:
        label = self._label(mood.label, mood.scores)
        if label is not None or mood.label is None:
            mood.doubted = None
        elif mood.doubted is None:
            mood.doubted = now
        # Without averaging every look counts for itself.
        doubtful = mood.doubted is not None and now - mood.doubted < DOUBT and self._half_life > 0
        if label != mood.label and not doubtful:
            mood.label, mood.since, mood.doubted = label, now, None

    def _label(self, before: int | None, scores: NDArray[np.float32]) -> int | None:
        """Return the label that `scores` give a face that had `before`: changed only for a clear lead."""
        strongest = int(scores.argmax())
        if before is None or scores[strongest] - scores[before] > LEAD:
            return strongest if scores[strongest] >= self._unsure else None
        return before if scores[before] >= self._unsure - SLACK else None


def _latest(looks: list[_Look]) -> list[_Look]:
    """Return the newest of `looks` that span AGREED, at least LOOKS of them: a face may stay in doubt for hours."""
    now = looks[-1][0]
    old = sum(now - when >= AGREED - GRACE for when, _ in looks)
    return looks[max(0, min(old - 1, len(looks) - LOOKS)) :]
