"""Measure what turning the crop of a tilted head upright gains, on faces that are tilted on purpose.

Every so many PublicTest faces of FER2013 are enlarged, surrounded by their own border pixels and turned by each angle,
clockwise. The search for single images detects them, and the classifier of the device gets the crop as it is, and
turned upright by the roll of the detection as the device does it, from 15 degrees on. Both accuracies are of the same
detected faces, with the training prior. Needs .venv-test, which scripts/test.sh makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import make_parser
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.detection.image_search import ImageSearch
from edge.inference.classifier import Classifier
from edge.inference.prior import TRAINING

ANGLES = (-30, -20, -10, 0, 10, 20, 30)
FACE_PIXELS, BORDER_PIXELS = 160, 80
DISTANCE = 0.5  # of the face's side, from its center to that of its box, up to which it counts as found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("tilted_faces", __doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FER2013", help="fer2013.csv or its folders")
    parser.add_argument("--step", type=int, default=6, help="use every so many faces")
    options = parser.parse_args(arguments)
    from trainer.data.loader import load_dataset

    classifier = Classifier(shipped_model(), prior=TRAINING)
    faces = load_dataset(options.data).split("PublicTest")
    search = ImageSearch(HaarDetector())
    print(f"{'roll':>5} {'faces':>6} {'found':>7} {'as it is':>9} {'upright':>8} {'better':>7} {'worse':>6}")
    for angle in ANGLES:
        as_is: list[bool] = []
        upright: list[bool] = []
        rows = range(0, len(faces), options.step)
        for row in rows:
            image = tilt(faces.faces[row], angle)
            center = image.shape[0] / 2
            for face in search.detect(image):
                dx, dy = face.box.x + face.box.width / 2 - center, face.box.y + face.box.height / 2 - center
                if max(abs(dx), abs(dy)) <= DISTANCE * FACE_PIXELS:
                    for results, roll in ((as_is, 0.0), (upright, face.roll)):
                        label = classifier.classify(classifier.prepare(image, face.box, roll=roll)).argmax()
                        results.append(bool(label == faces.labels[row]))
                    break
        first, second = np.array(as_is), np.array(upright)
        better, worse = int((second & ~first).sum()), int((first & ~second).sum())
        print(
            f"{angle:5} {len(rows):6} {len(first) / len(rows):7.1%} {first.mean():9.1%} {second.mean():8.1%} "
            f"{better:7} {worse:6}",
            flush=True,
        )


def tilt(face: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    """Return an image of `face` (48, 48), enlarged, with a border, and turned clockwise by `angle` degrees."""
    enlarged = cv2.resize(face, (FACE_PIXELS, FACE_PIXELS), interpolation=cv2.INTER_LINEAR)
    image = cv2.copyMakeBorder(enlarged, *(BORDER_PIXELS,) * 4, cv2.BORDER_REPLICATE)
    side = image.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), -angle, 1.0)
    return np.asarray(cv2.warpAffine(image, turn, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)


if __name__ == "__main__":
    main()
