"""Measure whether the comparison of face patches sees what the model sees, and nothing else.

A face fades from one emotion of the synthetic camera to another, in ten steps with noise of 4 gray levels: for how many
of the 42 pairs is the change seen at the step at which the model's label changes, or before? Then the tracked face of
the synthetic camera, which moves, grows and shrinks: how often is it seen as changed a moment later, while it keeps
its emotion, and when that changed?
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import add_noise, make_parser
from edge.capture.synthetic import SyntheticScene
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.face_change import extract_patch, has_changed
from edge.tracking.tracker import Tracker
from edge.types import Box

NOISE = 4.0  # standard deviation in gray levels
STEPS = 10
FACE = Box(220, 140, 200, 200)
FPS = 30
LATER_FRAMES = (2, 15)  # the shortest time between two inferences, and the longest


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("face_change", __doc__)
    parser.add_argument("--duration", type=float, default=24.0, help="seconds of the synthetic camera")
    options = parser.parse_args(arguments)
    scene, classifier, rng = SyntheticScene(), Classifier(shipped_model()), np.random.default_rng(0)
    pairs = list(permutations(scene.emotions, 2))
    seen = sum(is_seen_in_time(scene, classifier, rng, *pair) for pair in pairs)
    print(f"fading: the change is seen at the step of the model's label or before in {seen} of {len(pairs)} pairs")
    frames = tracked_patches(scene, rng, options.duration)
    for later in LATER_FRAMES:
        for same in (True, False):
            found = [
                has_changed(patch, frames[number + later][1])
                for number, (emotion, patch) in enumerate(frames[:-later])
                if (emotion == frames[number + later][0]) == same
            ]
            what = "the same emotion" if same else "another emotion"
            print(f"{later / FPS:.2f} s later, {what}: seen as changed in {np.mean(found):.0%} of {len(found)}")


def is_seen_in_time(
    scene: SyntheticScene, classifier: Classifier, rng: np.random.Generator, before: str, after: str
) -> bool:
    """Return whether the change is seen no later than the model's label changes."""
    first, last = (scene.draw((emotion, FACE)).astype(np.float32) for emotion in (before, after))
    patches, labels = [], []
    for step in range(STEPS + 1):
        gray = add_noise((first + step / STEPS * (last - first)).astype(np.uint8), rng, NOISE)
        patches.append(extract_patch(gray, FACE))
        labels.append(int(classifier.classify(classifier.prepare(gray, FACE)).argmax()))
    for patch, label in zip(patches, labels, strict=True):
        if has_changed(patches[0], patch):
            return True
        if label != labels[0]:
            return False
    return True


def tracked_patches(
    scene: SyntheticScene, rng: np.random.Generator, seconds: float
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return the emotion and the patch of the face in each frame in which it is tracked and completely visible."""
    tracker, found = Tracker(HaarDetector()), []
    for number in range(round(seconds * FPS)):
        gray = add_noise(scene.image(number / FPS), rng, NOISE)
        truth, tracks = scene.faces(number / FPS)[0], tracker.update(gray, number / FPS)
        if truth.visible and tracks:
            found.append((truth.emotion, extract_patch(gray, tracks[0].box)))
    return found


if __name__ == "__main__":
    main()
