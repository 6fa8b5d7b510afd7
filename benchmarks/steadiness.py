"""Measure how often labels change, what is gained by steadying them, and the delay that it costs.

usage: .venv/bin/python benchmarks/steadiness.py [VIDEO...]     (after scripts/run.sh has made .venv)

On the synthetic camera, with a sensor's noise added, the truth is known: a face shows one emotion for three seconds,
then another. A change of label without a change of face is flicker; the delay is the time from a change of face to the
first reading that says so, counted for the clear changes: those to an emotion whose share, over all frames of its three
seconds, is what the model's card asks for before a label is given. Of the others the model itself is not sure. Of a
video only the changes a minute are told. The naive loop searches each frame as a whole and takes the label with the
highest score in each. Some minutes.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise

import cv2
import numpy as np

from edge.capture import registry as cameras
from edge.capture.synthetic import EMOTION_SECONDS, SyntheticScene
from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.inference import model_file
from edge.inference.classifier import Classifier
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Box, Frame

FPS = 30
# Seed, noise in gray levels (8: a small sensor indoors), and the second of the timetable at which it begins.
TAKES = ((1, 8.0, 0.0), (2, 8.0, 7.3), (3, 5.0, 13.0), (4, 12.0, 3.1), (5, 16.0, 19.5))
SECONDS = 48.0  # two periods of the synthetic camera
SOON = 0.5  # seconds within which a change should show

Labels = list[tuple[float, str | None]]  # seconds and label of each frame with a face
Looks = list[tuple[float, dict[str, float]]]  # seconds and shares of each frame with a face


def main() -> None:
    print(f"{'source':26} {'loop':6} {'changes':>8} {'flicker':>8} a minute; delay of the clear changes: median, most")
    for take in TAKES:
        looks = naive(noisy(*take))
        truth = clear(told(take[2]), looks)
        for name, labels in (("naive", strongest(looks)), ("ours", ours(noisy(*take)))):
            print(line("seed {}, noise {:g}, from {:g} s".format(*take), name, labels, truth), flush=True)
    for video in sys.argv[1:]:
        for name, labels in (("naive", strongest(naive(cameras.frames(video)))), ("ours", ours(cameras.frames(video)))):
            made = changes(labels)
            print(f"{video.rpartition('/')[2][:26]:26} {name:6} {len(made) / minutes(labels):8.1f}", flush=True)


def noisy(seed: int, noise: float, start: float) -> Iterator[Frame]:
    rng, stage = np.random.default_rng(seed), SyntheticScene()
    for index in range(round(SECONDS * FPS)):
        image = stage.image(start + index / FPS)
        gray = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
        yield Frame(gray, lambda: gray, index / FPS, index)  # noqa: B023 (nobody asks for it)


def told(start: float) -> list[tuple[float, str | None]]:
    """Return when the face changes, and to what."""
    stage = SyntheticScene()
    seconds = [index / FPS for index in range(round(SECONDS * FPS))]
    return changes([(second, stage.faces(start + second)[0].emotion) for second in seconds])


def naive(frames: Iterable[Frame]) -> Looks:
    classifier = Classifier(shipped_model())
    path = f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml"  # type: ignore[attr-defined] # the stubs lack it
    search = cv2.CascadeClassifier(path)
    looks: Looks = []
    for frame in frames:
        hits = search.detectMultiScale(frame.gray, 1.1, 5, minSize=(30, 30))
        boxes = sorted((Box(*map(int, hit)) for hit in hits), key=lambda box: -box.width)
        for box in boxes[:1]:
            scores = classifier.classify(classifier.prepare(frame.gray, box))
            looks.append((frame.time, dict(zip(classifier.card.labels, scores.tolist(), strict=True))))
    return looks


def strongest(looks: Looks) -> Labels:
    return [(now, max(shares, key=lambda label: shares[label])) for now, shares in looks]


def ours(frames: Iterable[Frame]) -> Labels:
    classifier = Classifier(shipped_model())
    labels: Labels = []
    steadier = TemporalSmoother(classifier.card.min_confidence)
    pipeline = Pipeline(Tracker(HaarDetector()), classifier, steadier, classifier.card.labels)
    for frame in frames:
        labels += [(frame.time, reading.label) for reading in pipeline.process(frame).faces[:1]]
    return labels


def changes(labels: Labels | list[tuple[float, str]]) -> list[tuple[float, str | None]]:
    """Return when the label became another one, and which."""
    return [(now, label) for (_, before), (now, label) in pairwise(labels) if label != before]


def minutes(labels: Labels) -> float:
    return (labels[-1][0] - labels[0][0]) / 60


def clear(truth: list[tuple[float, str | None]], looks: Looks) -> dict[float, tuple[str | None, bool]]:
    """Return for each change when it was, to what, and whether the model is sure of it."""
    unsure, found = model_file.load(shipped_model())[1].unsure, {}
    for when, emotion in truth:
        shares = [shares[str(emotion)] for now, shares in looks if 0 <= now - when < EMOTION_SECONDS]
        found[when] = emotion, bool(shares) and statistics.mean(shares) >= unsure
    return found


def line(source: str, loop: str, labels: Labels, truth: dict[float, tuple[str | None, bool]]) -> str:
    made = changes(labels)
    delays = {when: _delay(made, when, emotion) for when, (emotion, _) in truth.items()}
    right = sum(delay < EMOTION_SECONDS for delay in delays.values())
    flicker = max(0, len(made) - right) / minutes(labels)
    clearly = sorted(delay for when, delay in delays.items() if truth[when][1])
    soon = sum(delay <= SOON for delay in clearly)
    seen = f"{statistics.median(clearly):.2f}, {clearly[-1]:.2f} s; {soon} of {len(clearly)} within {SOON:g} s"
    return (
        f"{source:26} {loop:6} {len(made) / minutes(labels):8.1f} {flicker:8.1f} {seen}; {right} of {len(truth)} shown"
    )


def _delay(made: list[tuple[float, str | None]], when: float, emotion: str | None) -> float:
    """Return the seconds from `when` to the change to `emotion`; EMOTION_SECONDS where it never came."""
    after = [now - when for now, label in made if 0 <= now - when < EMOTION_SECONDS and label == emotion]
    return min(after, default=EMOTION_SECONDS)


if __name__ == "__main__":
    main()
