"""Accuracy per crop padding: by how much a Haar box must be padded to be framed like the training faces.

Each face of a split is enlarged and gets a border of its own edge pixels. The detector of the device searches that
image, and the content of the detected box is classified once per padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.preprocess import model_input
from edge.types import Box
from trainer.data.dataset import Dataset

CROP_PADDINGS = (-0.15, -0.10, -0.05, 0.0, 0.05, 0.10, 0.15, 0.20)  # as fractions of the side of the box
FACE_PIXELS = 160  # side of a face in its search image: more than the cascade needs
BORDER_PIXELS = 48  # on each side


@dataclass(frozen=True)
class CropPaddingResult:
    """Accuracy per padding, for every padding on the same faces: those with exactly one detection."""

    faces: int  # in the split
    detected: int  # with exactly one detection
    box_width: float  # median, as a fraction of the width of the face
    baseline_accuracy: float  # on those faces with the framing of the data set, without detection, 0 to 1
    accuracy: dict[float, float]  # padding -> accuracy, 0 to 1

    @property
    def best(self) -> float:
        """The padding with the highest accuracy; of equal ones the one nearest to 0."""
        return max(self.accuracy, key=lambda padding: (self.accuracy[padding], -abs(padding)))


def measure_crop_paddings(
    classifier: Classifier, dataset: Dataset, paddings: Sequence[float] = CROP_PADDINGS
) -> CropPaddingResult:
    """Return the accuracy of `classifier` on Haar boxes in the faces of `dataset` for each padding (-0.4 to 1)."""
    detector, border = HaarDetector(), (BORDER_PIXELS,) * 4
    rows, images, boxes = [], [], []
    for row, face in enumerate(dataset.faces):
        enlarged = cv2.resize(face, (FACE_PIXELS, FACE_PIXELS), interpolation=cv2.INTER_LINEAR)
        image = cv2.copyMakeBorder(enlarged, *border, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        detections = detector.detect(gray)
        if len(detections) == 1:
            rows.append(row)
            images.append(image)
            boxes.append(detections[0].box)
    card = classifier.card

    def accuracy(boxes: Sequence[Box], padding: float) -> float:
        if not images:
            return 0.0
        resolution, size = card.effective_resolution, card.input_size
        inputs = [
            model_input(image, box, padding=padding, effective_resolution=resolution, size=size)
            for image, box in zip(images, boxes, strict=True)
        ]
        predicted = np.array([classifier.classify(face).argmax() for face in inputs])
        return float((predicted == dataset.labels[rows]).mean())

    return CropPaddingResult(
        faces=len(dataset),
        detected=len(images),
        box_width=float(np.median([box.width for box in boxes]) / FACE_PIXELS) if boxes else 0.0,
        baseline_accuracy=accuracy([Box(BORDER_PIXELS, BORDER_PIXELS, FACE_PIXELS, FACE_PIXELS)] * len(images), 0.0),
        accuracy={padding: accuracy(boxes, padding) for padding in paddings},
    )
