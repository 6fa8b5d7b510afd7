"""Face tracking: detection often near known faces and in turn elsewhere, and identities from frame to frame.

All times are in seconds, so that a slow board behaves like a fast one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE
from edge.detection.haar import SCALE_FACTOR, WINDOW, HaarDetector
from edge.detection.search import detect_tiles
from edge.detection.tile_scheduler import TileScheduler
from edge.tracking.template_matching import extract_template, match_template
from edge.types import Box, Detection, Track

REDETECT_SECONDS = 0.1  # between two detections near a face that is followed by its template
REDETECT_PADDING = 0.5  # of the face's side, around it, that such a detection covers
# Face sizes, relative to the last one, that it looks for: three scale steps down and up.
REDETECT_MIN_SCALE, REDETECT_MAX_SCALE = SCALE_FACTOR**-3, SCALE_FACTOR**3
SIZE_HALF_LIFE_SECONDS = 0.1  # of a detection's size in the average: the cascade's sizes waver more than faces do
MATCH_IOU = 0.3  # from which a detection is the face that was there before
DUPLICATE_IOU = 0.6  # from which two tracks are one face; of one face half behind another it is less
MAX_LOST_SECONDS = 1.0  # for which a face that is followed but no longer detected is kept
TRACK_BUFFER_SECONDS = 2.0  # for which a face that is out of sight keeps its identity
REIDENTIFY_RADIUS = 1.0  # sides of the face, within which a face that comes back is the same one
CONFIRM_SCORE = 6  # of one detection that confirms a face at once
MIN_HITS = 3  # detections that confirm a face with lower scores


@dataclass(eq=False)
class _TrackState:
    """One face in front of the camera."""

    track_id: int  # 0 until the face is confirmed
    box: Box
    template: NDArray[np.uint8]
    detected_at: float  # seconds
    searched_at: float  # seconds, of the last detection near it, successful or not
    hits: int  # successful detections
    scored: bool  # one of them reached CONFIRM_SCORE

    @property
    def confirmed(self) -> bool:
        return self.scored or self.hits >= MIN_HITS


class Tracker:
    """Follows every face.

    Args:
        detector: finds faces in a part of an image.
        min_face_size: side of the smallest face, see TileScheduler.
    """

    def __init__(self, detector: HaarDetector, min_face_size: int = MIN_FACE_SIZE) -> None:
        self._detector = detector
        self._scheduler = TileScheduler(min_face_size, WINDOW)
        self._tracks: list[_TrackState] = []
        self._lost: list[_TrackState] = []
        self._last_id = 0

    def update(self, gray: NDArray[np.uint8], now: float) -> tuple[Track, ...]:
        """Return the faces in `gray` (height, width), the image at `now` seconds, the longest known first."""
        tiles, scene_cut = self._scheduler.select_tiles(gray, now, [state.box for state in self._tracks])
        if scene_cut:
            self._tracks, self._lost = [], []
        detections = detect_tiles(self._detector, gray, tiles)
        nearby: list[Detection] = []
        for state in self._tracks:
            self._follow(state, detections, nearby, gray, now)
        self._drop_lost(now)
        for detection in detections:
            if not any(state.box.iou(detection.box) > MATCH_IOU for state in self._tracks):
                state = _TrackState(0, detection.box, extract_template(gray, detection.box), now, now, 0, scored=False)
                self._confirm(state, detection, gray, now)
                self._tracks.append(state)
        return tuple(Track(state.track_id, state.box) for state in self._tracks if state.track_id)

    def _take_match(self, state: _TrackState, box: Box, detections: list[Detection]) -> Detection | None:
        """Return which of `detections` is the face of `state`, expected in `box`, and remove it from them."""
        best = max(detections, key=lambda detection: box.iou(detection.box), default=None)
        if best is None or box.iou(best.box) < MATCH_IOU:
            return None
        others = (other.box for other in self._tracks if other is not state)
        if any(other.iou(best.box) > box.iou(best.box) for other in others):
            return None  # it is another face, in front of this one
        detections.remove(best)
        return best

    def _follow(
        self,
        state: _TrackState,
        detections: list[Detection],
        nearby: list[Detection],
        gray: NDArray[np.uint8],
        now: float,
    ) -> None:
        """Find the face of `state` again: among `detections`, by detection near it, or by its template.

        Other faces that the detection near it finds are collected in `nearby`, for tracks that stand close together. They
        start no track: on foliage or letters one detection would lead to another without end.
        """
        detection = self._take_match(state, state.box, detections) or self._take_match(state, state.box, nearby)
        matched = match_template(gray, state.box, state.template) if detection is None else None
        if detection is None and (matched is None or now - state.searched_at >= REDETECT_SECONDS):
            nearby += self._detect_near(state, matched or state.box, gray)
            detection = self._take_match(state, matched or state.box, nearby)
            state.searched_at = now
        if detection is not None:
            self._confirm(state, detection, gray, now)
        elif matched is not None:
            state.box = matched
        else:
            state.detected_at = -np.inf  # neither detected nor matched: out of sight

    def _detect_near(self, state: _TrackState, box: Box, gray: NDArray[np.uint8]) -> list[Detection]:
        """Search around `box`: sparsely, and densely for a face that is or is nearly confirmed and was not found.

        No face size is tried at every position in the first, all are in the second. Where some were, most hits came from
        those, the larger ones, and their mean was 5 % too large.
        """
        pad = round(box.width * REDETECT_PADDING)
        area = Box(box.x - pad, box.y - pad, box.width + 2 * pad, box.height + 2 * pad)
        sizes = box.width * REDETECT_MIN_SCALE, box.width * REDETECT_MAX_SCALE
        detections = self._detector.detect(gray, area, *sizes, self._detector.sparse_window)
        if not detections and (state.confirmed or state.hits >= MIN_HITS - 1):
            detections = self._detector.detect(gray, area, *sizes, self._detector.dense_window)
        return detections

    def _confirm(self, state: _TrackState, detection: Detection, gray: NDArray[np.uint8], now: float) -> None:
        state.box = _average_size(state.box, detection.box, now - state.detected_at) if state.hits else detection.box
        state.template = extract_template(gray, state.box)
        state.detected_at = state.searched_at = now
        state.hits += 1
        state.scored |= detection.score >= CONFIRM_SCORE
        if state.confirmed and not state.track_id:
            state.track_id = self._identify(state.box)

    def _identify(self, box: Box) -> int:
        """Return the identity of a face that was lost near `box` a moment ago, or a new one."""
        near = [state for state in self._lost if _distance(state.box, box) <= REIDENTIFY_RADIUS]
        if near:
            returned = min(near, key=lambda state: _distance(state.box, box))
            self._lost.remove(returned)
            return returned.track_id
        self._last_id += 1
        return self._last_id

    def _drop_lost(self, now: float) -> None:
        """Drop tracks that are out of sight, and the less recent one of two that came to be on one face."""
        kept: list[_TrackState] = []
        for state in sorted(self._tracks, key=lambda state: (-state.detected_at, state.track_id)):
            max_lost_seconds = MAX_LOST_SECONDS if state.confirmed else 2 * REDETECT_SECONDS
            recent = now - state.detected_at <= max_lost_seconds
            if recent and not any(state.box.iou(other.box) > DUPLICATE_IOU for other in kept):
                kept.append(state)
            elif state.track_id:
                state.detected_at = now
                self._lost.append(state)
                self._scheduler.invalidate(state.box)
        self._tracks = [state for state in self._tracks if state in kept]
        self._lost = [state for state in self._lost if now - state.detected_at <= TRACK_BUFFER_SECONDS]


def _average_size(before: Box, detected: Box, seconds: float) -> Box:
    """Return the square `detected`, its size averaged with that of `before`, detected `seconds` earlier."""
    weight = 0.5 ** (max(0.0, seconds) / SIZE_HALF_LIFE_SECONDS)
    side = round(before.width**weight * detected.width ** (1 - weight))
    return Box(
        round(detected.x + (detected.width - side) / 2), round(detected.y + (detected.height - side) / 2), side, side
    )


def _distance(box: Box, other: Box) -> float:
    """Return the distance of two boxes' centers, in sides of the larger."""
    dx = box.x + box.width / 2 - other.x - other.width / 2
    dy = box.y + box.height / 2 - other.y - other.height / 2
    return float(np.hypot(dx, dy)) / max(box.width, other.width)
