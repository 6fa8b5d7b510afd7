"""Face tracking: detection often near tracked faces and tile by tile elsewhere, and identities from frame to frame.

All times are in seconds, so that a slow board behaves like a fast one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE
from edge.detection.detector import Detector
from edge.detection.haar import SCALE_FACTOR, WINDOW_PIXELS
from edge.detection.search import detect_tiles, non_max_suppression
from edge.detection.tile_scheduler import TileScheduler
from edge.tracking.template_matching import extract_template, match_template
from edge.types import Box, Detection, Track

REDETECT_SECONDS = 0.1  # between two detections near a face that is tracked by its template
# The same for a face that was found well and whose template has at least STEADY_CORRELATION: one that sways has 0.99,
# one that grows, turns or is covered soon less. With 0.9 the boxes of growing faces were late, and labels worse.
REDETECT_SECONDS_STEADY = 0.3
STEADY_CORRELATION = 0.98
REDETECT_PADDING = 0.5  # of the face's side: how far around the face such a detection searches
PROFILE_PADDING = 0.3  # the same for a search for a head in profile
REDETECT_STEPS = 3  # of the cascade's scale, down and up: the face sizes that it searches for
COMPARE_FRACTION = 0.5  # of the score that confirms a track: with less, other rolls of the head are tried as well
CLEARLY_BETTER = 2.0  # times the last score, of a detection in a tile that changes the roll of a track
SIZE_HALF_LIFE_SECONDS = 0.1  # of a detection's size in the average: the cascade's sizes vary more than faces do
SIZE_HALF_LIFE_SECONDS_STEADY = 0.3  # the same for a face that looks as it did when it was last detected
MATCH_IOU = 0.3  # from which a detection belongs to a track
DUPLICATE_IOU = 0.6  # above which two tracks are one face; a face half hidden by another overlaps it less
MAX_LOST_SECONDS = 1.0  # for which a face that is matched by its template but no longer detected is tracked
MAX_LOST_SECONDS_NEW = 0.3  # the same for one with fewer than MIN_HITS detections: most false positives have one
MAX_LOST_SECONDS_AT_BORDER = 5.0  # the same for a face of which the border cuts off MIN_CUT or more: few are detected
MIN_CUT = 0.1  # of the face's side
TRACK_BUFFER_SECONDS = 2.0  # for which a lost face keeps its identity
REIDENTIFY_RADIUS = 1.0  # sides of the face, within which a face that returns has its old identity
MIN_HITS = 3  # detections that confirm a track with lower scores


@dataclass(eq=False)
class _TrackState:
    """What the tracker keeps of one face."""

    track_id: int  # 0 until the track is confirmed
    box: Box
    template: NDArray[np.uint8]
    detected_at: float  # seconds
    searched_at: float  # seconds, of the last detection near it, successful or not
    hits: int  # successful detections
    scored: bool  # whether one of them reached the detector's confirm_score
    score: float = 0.0  # of the last one
    is_steady: bool = False  # whether it was found well and still looks the same
    roll: float = 0.0  # degrees, of the last detection
    is_frontal: bool = True  # whether the last detection was of the front of the face

    @property
    def confirmed(self) -> bool:
        return self.scored or self.hits >= MIN_HITS


class Tracker:
    """Tracks every face in front of a camera.

    Args:
        detector: detects faces in a part of an image.
        min_face_size: side of the smallest face to detect, see TileScheduler.
    """

    def __init__(self, detector: Detector, min_face_size: int = MIN_FACE_SIZE) -> None:
        self._detector = detector
        self._scheduler = TileScheduler(min_face_size, WINDOW_PIXELS, detector.make_tiles, detector.rolls)
        self._tracks: list[_TrackState] = []
        self._lost: list[_TrackState] = []
        self._last_id = 0

    def update(self, gray: NDArray[np.uint8], now: float) -> tuple[Track, ...]:
        """Return the faces in `gray` (height, width), the image at `now` seconds, the oldest track first."""
        tiles, scene_cut = self._scheduler.select_tiles(gray, now, [state.box for state in self._tracks])
        if scene_cut:
            self._tracks, self._lost = [], []
        detections = detect_tiles(self._detector, gray, tiles)
        nearby: list[Detection] = []
        for state in self._tracks:
            self._update_track(state, detections, nearby, gray, now)
        self._drop_lost(now, gray.shape)
        for detection in detections:
            if detection.roll in self._detector.rolls and detection.score < self._detector.confirm_score:
                continue  # a turned search tries positions of its own, so that weak chance hits are more frequent
            if not any(state.box.iou(detection.box) > MATCH_IOU for state in self._tracks):
                state = _TrackState(0, detection.box, extract_template(gray, detection.box), now, now, 0, scored=False)
                self._apply_detection(state, detection, gray, now)
                self._tracks.append(state)
        return tuple(
            Track(state.track_id, state.box, state.roll, state.is_frontal) for state in self._tracks if state.track_id
        )

    @property
    def candidates(self) -> tuple[Track, ...]:
        """What was found in the last image and is not confirmed as a face; its id is 0."""
        return tuple(Track(0, state.box, state.roll) for state in self._tracks if not state.track_id)

    def _take_match(self, state: _TrackState, box: Box, detections: list[Detection]) -> Detection | None:
        """Remove the detection of the face of `state`, expected in `box`, from `detections` and return it."""
        best = max(detections, key=lambda detection: box.iou(detection.box), default=None)
        if best is None or box.iou(best.box) < MATCH_IOU:
            return None
        others = (other.box for other in self._tracks if other is not state)
        if any(other.iou(best.box) > box.iou(best.box) for other in others):
            return None  # another face, in front of this one
        detections.remove(best)
        return best

    def _update_track(
        self,
        state: _TrackState,
        detections: list[Detection],
        nearby: list[Detection],
        gray: NDArray[np.uint8],
        now: float,
    ) -> None:
        """Find the face of `state` among `detections`, by another detection near it, or by its template.

        Other faces that the detection near it finds are collected in `nearby`, for tracks that are close to this one.
        They start no track: in foliage or text one false positive would lead to the next without end.
        """
        least = max(self._detector.confirm_score, CLEARLY_BETTER * state.score)  # of a detection with another roll
        alike = [
            found
            for found in detections
            if found.roll == state.roll or not self._detector.rolls or found.score >= least
        ]
        detection = self._take_match(state, state.box, alike) or self._take_match(state, state.box, nearby)
        if detection in detections:  # taken from `alike`, which is a copy
            detections.remove(detection)
        match = match_template(gray, state.box, state.template) if detection is None else None
        matched = match.box if match else None
        if match is not None:
            found_well = state.score >= self._detector.confirm_score and state.detected_at == state.searched_at
            state.is_steady = found_well and state.hits >= MIN_HITS and match.correlation >= STEADY_CORRELATION
        interval = REDETECT_SECONDS_STEADY if state.is_steady else REDETECT_SECONDS
        due = detection is None and (matched is None or now - state.searched_at >= interval)
        if due:
            nearby += self._detect_near(state, matched or state.box, gray)
            detection = self._take_match(state, matched or state.box, nearby)
            state.searched_at = now
        if detection is not None:
            state.is_frontal = True
        elif due and state.confirmed:
            profiles = self._detector.detect_profiles(gray, *_around(matched or state.box, PROFILE_PADDING))
            detection = self._take_match(state, matched or state.box, profiles)
            state.is_frontal &= detection is None
        if detection is not None:
            self._apply_detection(state, detection, gray, now)
        elif matched is not None:
            state.box = matched
        else:
            state.detected_at = -np.inf  # neither detected nor matched: lost

    def _detect_near(self, state: _TrackState, box: Box, gray: NDArray[np.uint8]) -> list[Detection]:
        """Return the detections around `box`: by a sparse search and, if that finds nothing, by dense ones.

        The dense searches are only for a track that is confirmed, or lacks one hit. The sparse one tries no face size
        at every position, the dense ones all sizes. When only some sizes, the larger ones, were tried at every
        position, most hits came from those and the mean box was 5 % too large.
        """
        detector = self._detector
        area, smallest, largest = _around(box, REDETECT_PADDING)
        detections = detector.detect(gray, area, smallest, largest, detector.sparse_window, state.roll)
        if not (state.confirmed or state.hits >= MIN_HITS - 1) or not state.is_frontal:
            return detections
        # A head between two rolls is found by both searches: the better one is kept. Not for a track that never had a
        # high score, or has few detections: the other rolls would keep a false positive alive.
        weak = not any(found.score >= COMPARE_FRACTION * detector.confirm_score for found in detections)
        if state.scored and state.hits >= MIN_HITS and (state.roll or weak):
            others = {0.0, *detector.rolls} - {state.roll} if detector.rolls else ()
            for roll in sorted(others):
                detections += detector.detect(gray, area, smallest, largest, detector.sparse_window, roll)
        if not detections and detector.dense_window > detector.sparse_window:
            detections = detector.detect(gray, area, smallest, largest, detector.dense_window, state.roll)
        return non_max_suppression(detections)

    def _apply_detection(self, state: _TrackState, detection: Detection, gray: NDArray[np.uint8], now: float) -> None:
        """Give `state` the box of its `detection`, the size averaged, and an identity once it is confirmed.

        The identity is that of the face lost nearest to it a moment ago, or a new one.
        """
        box = detection.box
        state.roll, state.score = detection.roll, detection.score
        if state.hits:
            half_life = SIZE_HALF_LIFE_SECONDS_STEADY if state.is_steady else SIZE_HALF_LIFE_SECONDS
            weight = 0.5 ** (max(0.0, now - state.detected_at) / half_life)
            side = round(state.box.width**weight * box.width ** (1 - weight))
            box = Box(round(box.x + (box.width - side) / 2), round(box.y + (box.height - side) / 2), side, side)
        state.box, state.template = box, extract_template(gray, box)
        state.detected_at = state.searched_at = now
        state.hits += 1
        state.scored |= detection.score >= self._detector.confirm_score
        if state.track_id or not state.confirmed:
            return
        lost = min(self._lost, key=lambda other: _distance(other.box, box), default=None)
        if lost is not None and _distance(lost.box, box) <= REIDENTIFY_RADIUS:
            self._lost.remove(lost)
            state.track_id = lost.track_id
        else:
            self._last_id += 1
            state.track_id = self._last_id

    def _drop_lost(self, now: float, shape: tuple[int, ...]) -> None:
        """Drop tracks that are lost, and of two tracks of one face the one that was detected less recently."""
        kept: list[_TrackState] = []
        for state in sorted(self._tracks, key=lambda state: (-state.detected_at, state.track_id)):
            recent = now - state.detected_at <= _max_lost_seconds(state, shape)
            if recent and not any(state.box.iou(other.box) > DUPLICATE_IOU for other in kept):
                kept.append(state)
            elif state.track_id:
                state.detected_at = now
                self._lost.append(state)
                self._scheduler.invalidate(state.box)
        self._tracks = [state for state in self._tracks if state in kept]
        self._lost = [state for state in self._lost if now - state.detected_at <= TRACK_BUFFER_SECONDS]


def _around(box: Box, padding: float) -> tuple[Box, float, float]:
    """Return what to search around `box`: the area, padded by `padding` times its side, smallest and largest face."""
    area = box.padded(round(box.width * padding))
    return area, box.width * SCALE_FACTOR**-REDETECT_STEPS, box.width * SCALE_FACTOR**REDETECT_STEPS


def _distance(box: Box, other: Box) -> float:
    """Return the distance between the centers of two boxes, in sides of the larger one."""
    dx = box.x + box.width / 2 - other.x - other.width / 2
    dy = box.y + box.height / 2 - other.y - other.height / 2
    return float(np.hypot(dx, dy)) / max(box.width, other.width)


def _max_lost_seconds(state: _TrackState, shape: tuple[int, ...]) -> float:
    """Return the seconds for which a face is tracked without a detection in an image of `shape` (height, width)."""
    if not state.confirmed:
        return 2 * REDETECT_SECONDS
    height, width = shape
    inside = state.box.clipped(width, height)
    is_cut = min(inside.width, inside.height) <= (1 - MIN_CUT) * state.box.width
    if is_cut:
        return MAX_LOST_SECONDS_AT_BORDER
    return MAX_LOST_SECONDS if state.hits >= MIN_HITS else MAX_LOST_SECONDS_NEW
