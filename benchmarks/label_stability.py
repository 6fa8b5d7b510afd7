"""Measure how often labels change without a reason, and how late they change with one, against a baseline.

On the synthetic camera, with sensor noise added, the truth is known: a face shows one emotion for three seconds, then
another. A label change without a change of the emotion is flicker. The delay is the time from a change of the emotion
to the first result with it, counted for clear changes: those to an emotion whose mean probability over its three
seconds is at least the model's minimum confidence; the model is uncertain about the others. For a VIDEO, whose truth
is not known, only the changes per minute are printed. The baseline detects in each full frame and takes the most
probable label of each. Takes some minutes; with --skip-baseline less: the probabilities of the tracked face in each
frame then decide which changes are clear.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.common import add_noise, make_parser, make_pipeline
from benchmarks.versus_baseline import detect_baseline, make_cascade
from edge.capture import registry as cameras
from edge.capture.synthetic import EMOTION_SECONDS, SyntheticScene
from edge.config.models import shipped_model
from edge.inference import model_file
from edge.inference.classifier import Classifier
from edge.types import Box, Frame

FPS = 30
DURATION_SECONDS = 48.0  # two periods of the synthetic camera
PROMPT_SECONDS = 0.5  # within which a change should show


@dataclass(frozen=True)
class Clip:
    """A clip of the synthetic camera."""

    seed: int
    noise: float  # standard deviation in gray levels; 8: a small sensor indoors
    start: float  # seconds on the camera's timetable


CLIPS = (Clip(1, 8.0, 0.0), Clip(2, 8.0, 7.3), Clip(3, 5.0, 13.0), Clip(4, 12.0, 3.1), Clip(5, 16.0, 19.5))

Labels = list[tuple[float, str | None]]  # seconds and label of each frame with a face
Predictions = list[tuple[float, dict[str, float]]]  # seconds and probabilities of each frame with a face


@dataclass(frozen=True)
class EmotionChange:
    """A change of the emotion in a clip."""

    at: float  # seconds
    emotion: str | None
    clear: bool  # the model's mean probability of it is at least its minimum confidence


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("label_stability", __doc__)
    parser.add_argument("videos", nargs="*", metavar="VIDEO")
    parser.add_argument("--clips", type=int, default=len(CLIPS), help=f"synthetic ones, 0 to {len(CLIPS)}")
    parser.add_argument("--duration", type=float, default=DURATION_SECONDS, help="seconds of each synthetic clip")
    parser.add_argument("--prior", metavar="PRIOR", help="as of edge run")
    parser.add_argument("--skip-baseline", action="store_true", help="measure the pipeline alone, on synthetic clips")
    options = parser.parse_args(arguments)
    print(f"{'source':26} {'loop':8} {'changes':>8} {'flicker':>8} per minute; delay of clear changes: median, max")
    for clip in CLIPS[: options.clips]:
        pipeline, predictions = run_pipeline(clip_frames(clip, options.duration), options.prior)
        loops = {"pipeline": pipeline}
        if not options.skip_baseline:
            predictions = run_baseline(clip_frames(clip, options.duration), options.prior)
            loops = {"baseline": most_probable(predictions), **loops}
        changes = emotion_changes(clip, options.duration, predictions)
        for name, labels in loops.items():
            source = f"seed {clip.seed}, noise {clip.noise:g}, from {clip.start:g} s"
            print(format_line(source, name, labels, changes), flush=True)
    for video in options.videos:
        baseline = most_probable(run_baseline(cameras.frames(video), options.prior))
        pipeline, _ = run_pipeline(cameras.frames(video), options.prior)
        for name, labels in (("baseline", baseline), ("pipeline", pipeline)):
            rate = len(label_changes(labels)) / minutes(labels)
            print(f"{video.rpartition('/')[2][:26]:26} {name:8} {rate:8.1f}", flush=True)


def clip_frames(clip: Clip, duration: float) -> Iterator[Frame]:
    rng, scene = np.random.default_rng(clip.seed), SyntheticScene()
    for index in range(round(duration * FPS)):
        gray = add_noise(scene.image(clip.start + index / FPS), rng, clip.noise)
        yield Frame(gray, lambda: gray, index / FPS, index)  # noqa: B023 (no sink asks for color)


def emotion_changes(clip: Clip, duration: float, predictions: Predictions) -> list[EmotionChange]:
    """Return the changes of the emotion that `clip` shows; `predictions` decide which of them are clear."""
    scene, min_confidence = SyntheticScene(), model_file.load(shipped_model())[1].min_confidence
    times = [index / FPS for index in range(round(duration * FPS))]
    shown: Labels = [(time, scene.faces(clip.start + time)[0].emotion) for time in times]
    changes = []
    for at, emotion in label_changes(shown):
        seconds = [found[str(emotion)] for time, found in predictions if 0 <= time - at < EMOTION_SECONDS]
        changes.append(EmotionChange(at, emotion, bool(seconds) and statistics.mean(seconds) >= min_confidence))
    return changes


def run_baseline(frames: Iterable[Frame], prior: str | None) -> Predictions:
    """Return the probabilities of the largest face in each frame, detected in the full frame."""
    classifier, detector = Classifier(shipped_model(), prior=prior), make_cascade("alt2")
    predictions: Predictions = []
    for frame in frames:
        boxes = sorted(detect_baseline(detector, frame), key=lambda box: -box.width)
        for box in boxes[:1]:
            predictions.append((frame.time, predict(classifier, frame, box)))
    return predictions


def most_probable(predictions: Predictions) -> Labels:
    return [(time, max(found, key=lambda label: found[label])) for time, found in predictions]


def run_pipeline(frames: Iterable[Frame], prior: str | None) -> tuple[Labels, Predictions]:
    """Return the label of the first face in each frame, and the probabilities of its box in that frame alone."""
    classifier = Classifier(shipped_model(), prior=prior)
    pipeline = make_pipeline(classifier)
    labels: Labels = []
    predictions: Predictions = []
    for frame in frames:
        for face in pipeline.process(frame).faces[:1]:
            labels.append((frame.time, face.label))
            predictions.append((frame.time, predict(classifier, frame, face.box)))
    return labels, predictions


def predict(classifier: Classifier, frame: Frame, box: Box) -> dict[str, float]:
    """Return label -> probability of the face in `box`."""
    probabilities = classifier.classify(classifier.prepare(frame.gray, box))
    return dict(zip(classifier.card.labels, probabilities.tolist(), strict=True))


def label_changes(labels: Labels) -> Labels:
    """Return the time of each change of the label, and the new one."""
    return [(time, label) for (_, before), (time, label) in pairwise(labels) if label != before]


def minutes(labels: Labels) -> float:
    return (labels[-1][0] - labels[0][0]) / 60


def format_line(source: str, loop: str, labels: Labels, changes: Sequence[EmotionChange]) -> str:
    found = label_changes(labels)
    delays = [_delay(found, change) for change in changes]
    correct = sum(delay < EMOTION_SECONDS for delay in delays)
    flicker = max(0, len(found) - correct) / minutes(labels)
    clear = sorted(delay for delay, change in zip(delays, changes, strict=True) if change.clear)
    prompt = sum(delay <= PROMPT_SECONDS for delay in clear)
    summary = f"{statistics.median(clear):.2f}, {clear[-1]:.2f} s" if clear else "none"
    return (
        f"{source:26} {loop:8} {len(found) / minutes(labels):8.1f} {flicker:8.1f} {summary}; "
        f"{prompt} of {len(clear)} within {PROMPT_SECONDS:g} s; {correct} of {len(changes)} shown"
    )


def _delay(found: Labels, change: EmotionChange) -> float:
    """Return the seconds from `change` to the label change to its emotion; EMOTION_SECONDS if there was none."""
    after = [time - change.at for time, label in found if label == change.emotion]
    return min((delay for delay in after if 0 <= delay < EMOTION_SECONDS), default=EMOTION_SECONDS)


if __name__ == "__main__":
    main()
