"""Faces in single images: of a folder, of an upload, of a program that imports this package."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE
from edge.config.models import shipped_model
from edge.detection.detector import ImageDetector
from edge.detection.haar import HaarDetector
from edge.detection.image_search import ImageSearch
from edge.inference.classifier import Classifier
from edge.inference.preprocess import center_square
from edge.inference.smoothing import make_result, strongest_label
from edge.pipeline import StageTimer
from edge.types import Detection, FaceResult, Frame, FrameResult, Track


class ImageAnalyzer:
    """Detects and classifies the faces in single images; keeps nothing from one image to the next.

    Args:
        detector: None: the built-in cascades.
        classifier: None: the shipped model, with its default prior.
        min_face_size: side of the smallest face to detect, see edge.detection.tile_scheduler.TileScheduler.
        min_confidence: probability below which a face gets no label, 0 to 1; None: that of the model's card.
        crops: each image is a face crop as the model was trained on: its largest centered square is the box, without
            detection and without the card's padding, which is for a detector's boxes.

    Attributes:
        labels: of the model, in the order of its outputs.
        min_confidence: as above, never None.
    """

    def __init__(
        self,
        detector: ImageDetector | None = None,
        classifier: Classifier | None = None,
        min_face_size: int = MIN_FACE_SIZE,
        min_confidence: float | None = None,
        *,
        crops: bool = False,
    ) -> None:
        self._detector = None if crops else detector or ImageSearch(HaarDetector())
        self._classifier = classifier or Classifier(shipped_model(), prior=None)
        card = self._classifier.card
        self.labels = card.labels
        self._min_face_size = min_face_size
        self.min_confidence = card.min_confidence if min_confidence is None else min_confidence
        self._last_id = 0

    def analyze(self, image: NDArray[np.uint8]) -> tuple[FaceResult, ...]:
        """Return the faces in `image`, (height, width) gray or (height, width, 3) BGR, the largest first."""
        gray = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        return self.process(Frame(gray, lambda: image, 0.0, 0)).faces

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`: its faces, the largest first, each with a new track id.

        Args:
            capture_seconds: how long the loop waited for the frame.
        """
        timer = StageTimer(capture=max(0.0, capture_seconds), convert=frame.convert_seconds)
        if self._detector is None:
            detections, padding = [Detection(center_square(frame.gray), 1)], 0.0
        else:
            detections, padding = self._detector.detect(frame.gray, self._min_face_size), None
        numbered = enumerate(detections, start=self._last_id + 1)
        tracks = [Track(track_id, face.box, face.roll) for track_id, face in numbered]
        self._last_id += len(tracks)
        timer.end("detect")
        # Flip test-time augmentation, as for tracked faces: see edge.inference.smoothing.
        image = frame.color() if tracks and self._classifier.uses_color else frame.gray
        crops = [
            [
                self._classifier.prepare(image, track.box, flip=flip, roll=track.roll, padding=padding)
                for flip in (False, True)
            ]
            for track in tracks
        ]
        timer.end("crop")
        inferred = [np.mean([self._classifier.classify(face) for face in pair], axis=0) for pair in crops]
        timer.end("classify")
        faces = []
        for track, probabilities in zip(tracks, inferred, strict=True):
            strongest = strongest_label(probabilities, self.min_confidence)
            label = None if strongest is None else self.labels[strongest]
            faces.append(make_result(track, self.labels, probabilities, label, since=frame.time))
        timer.end("smooth")
        return FrameResult(frame, tuple(faces), timer.timings)
