"""How far a Haar box must be widened to be framed like the training faces: accuracy for each margin, measured.

Each face of a split is enlarged in front of a border of its own edge pixels, searched as the device searches, and what
lies in the box that was found is classified with one margin after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.preprocess import model_input
from edge.types import Box
from trainer.data.dataset import Dataset

MARGINS = (-0.15, -0.10, -0.05, 0.0, 0.05, 0.10, 0.15, 0.20)
ENLARGED = 160  # pixels a side of a face in its image: more than Haar needs
BORDER = 48  # pixels on each side
_AROUND = (BORDER, BORDER, BORDER, BORDER)


@dataclass(frozen=True)
class Margins:
    """What was measured; only faces with exactly one find count, the same ones for every margin."""

    faces: int  # of the split
    found: int  # with exactly one find
    width: float  # median width of the box, as a share of the face's image
    whole: float  # accuracy on those faces without a search, 0 to 1: FER2013's own framing
    accuracy: dict[float, float]  # margin -> accuracy, 0 to 1

    @property
    def best(self) -> float:
        """The margin with the highest accuracy; of equal ones that nearest to 0."""
        return max(self.accuracy, key=lambda margin: (self.accuracy[margin], -abs(margin)))


def measure_margins(classifier: Classifier, rows: Dataset, margins: Sequence[float] = MARGINS) -> Margins:
    """Return the accuracy of `classifier` on Haar boxes in the faces of `rows`, for each of `margins` (-0.4 to 1)."""
    found = list(_found(rows))
    labels = rows.labels[[number for number, _, _ in found]]

    def accuracy(boxes: Sequence[Box], margin: float) -> float:
        pairs = zip((image for _, image, _ in found), boxes, strict=True)
        said = np.array([_answer(classifier, image, box, margin) for image, box in pairs], np.int64)
        return float((said == labels).mean()) if found else 0.0

    inner = [Box(BORDER, BORDER, ENLARGED, ENLARGED)] * len(found)
    boxes = [box for _, _, box in found]
    return Margins(
        faces=len(rows),
        found=len(found),
        width=float(np.median([box.width for box in boxes]) / ENLARGED) if boxes else 0.0,
        whole=accuracy(inner, 0.0),
        accuracy={margin: accuracy(boxes, margin) for margin in margins},
    )


def _found(rows: Dataset) -> Iterator[tuple[int, NDArray[np.uint8], Box]]:
    """Yield the number, the image and the box of each face with exactly one find."""
    detector = HaarDetector()
    for number, face in enumerate(rows.faces):
        enlarged = cv2.resize(face, (ENLARGED, ENLARGED), interpolation=cv2.INTER_LINEAR)
        image = cv2.copyMakeBorder(enlarged, *_AROUND, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
        boxes = [find.box for find in detector.find(image)]
        if len(boxes) == 1:
            yield number, image, boxes[0]


def _answer(classifier: Classifier, image: NDArray[np.uint8], box: Box, margin: float) -> int:
    card = classifier.card
    face = model_input(image, box, margin=margin, detail=card.effective_resolution, size=card.input_size)
    return int(classifier.classify(face).argmax())
