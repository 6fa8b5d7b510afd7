"""Measure how often labels change, what is gained by steadying them, and the delay that it costs.

usage: .venv/bin/python scripts/steadiness.py [VIDEO...]     (after scripts/run.sh has made .venv)

On the synthetic camera, with a sensor's noise added, the truth is known: a face shows one emotion for three seconds,
then another. A change of label without a change of face is flicker; the delay is the time from a change of face to the
first reading that says so. Of a video only the changes a minute are told. The naive loop searches each frame as a whole
and takes the label with the highest score in each.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice, pairwise

import cv2
import numpy as np

from edge import cameras
from edge.cameras.synthetic import EMOTION_SECONDS, Stage
from edge.card import shipped_model
from edge.classifier import Classifier
from edge.detector import Detector
from edge.pipeline import Pipeline
from edge.steady import Steadier
from edge.tracker import Tracker
from edge.values import Box, Frame

FPS = 30
NOISE = 8.0  # grey levels, of a small sensor indoors
SECONDS = 48.0  # two periods of the synthetic camera

Labels = list[tuple[float, str | None]]  # seconds and label of each frame with a face


def main() -> None:
    print(f"{'source':26} {'loop':9} {'changes a minute':>16}  {'flicker a minute':>16}  delay in s: median, most")
    stage = Stage()
    truth = [(second, stage.actors(second)[0].emotion) for second in np.arange(0, SECONDS, 1 / FPS).tolist()]
    for name, labels in (("naive", naive(noisy())), ("ours", ours(noisy()))):
        print(line(f"synthetic, noise {NOISE:g}", name, labels, changes(truth)))
    for video in sys.argv[1:]:
        for name, labels in (("naive", naive(cameras.frames(video))), ("ours", ours(cameras.frames(video)))):
            print(line(video.rpartition("/")[2], name, labels, []))


def noisy() -> Iterator[Frame]:
    rng = np.random.default_rng(1)
    for frame in islice(cameras.frames("synthetic:fast"), round(SECONDS * FPS)):
        grain = rng.normal(0, NOISE, frame.grey.shape)
        yield replace(frame, grey=np.clip(frame.grey + grain, 0, 255).astype(np.uint8))


def naive(frames: Iterable[Frame]) -> Labels:
    classifier = Classifier(shipped_model())
    path = f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml"  # type: ignore[attr-defined] # the stubs lack it
    search = cv2.CascadeClassifier(path)
    labels: Labels = []
    for frame in frames:
        hits = search.detectMultiScale(frame.grey, 1.1, 5, minSize=(30, 30))
        boxes = sorted((Box(*map(int, hit)) for hit in hits), key=lambda box: -box.width)
        for box in boxes[:1]:
            scores = classifier.scores(classifier.prepare(frame.grey, box))
            labels.append((frame.time, classifier.card.labels[int(scores.argmax())]))
    return labels


def ours(frames: Iterable[Frame]) -> Labels:
    classifier = Classifier(shipped_model())
    labels: Labels = []
    steadier = Steadier(classifier.card.unsure)
    pipeline = Pipeline(Tracker(Detector()), classifier, steadier, classifier.card.labels)
    for frame in frames:
        labels += [(frame.time, reading.label) for reading in pipeline.observe(frame).readings[:1]]
    return labels


def changes(labels: Labels | list[tuple[float, str]]) -> list[tuple[float, str | None]]:
    """Return when the label became another one, and which."""
    return [(now, label) for (_, before), (now, label) in pairwise(labels) if label != before]


def line(source: str, loop: str, labels: Labels, truth: list[tuple[float, str | None]]) -> str:
    minutes = (labels[-1][0] - labels[0][0]) / 60
    made = changes(labels)
    text = f"{source[:26]:26} {loop:9} {len(made) / minutes:16.1f}"
    if not truth:
        return text
    delays = [delay for when, emotion in truth if (delay := _delay(made, when, emotion)) is not None]
    flicker = max(0, len(made) - len(delays)) / minutes
    seen = f"{statistics.median(delays):.2f}, {max(delays):.2f}" if delays else "never"
    return f"{text}  {flicker:16.1f}  {seen}; {len(delays)} of {len(truth)} changes shown"


def _delay(made: list[tuple[float, str | None]], when: float, emotion: str | None) -> float | None:
    after = [now - when for now, label in made if 0 <= now - when < EMOTION_SECONDS and label == emotion]
    return min(after, default=None)


if __name__ == "__main__":
    main()
