"""Measure what --calibrate-neutral gains and costs, on artificial faces that resemble another emotion at rest.

A face of the synthetic camera, with sensor noise, rests for nine seconds, shows another emotion for three, rests again,
and so on through all emotions. A bias is a fraction of the difference between an emotion and the face at rest, added to
everything the face shows. The whole pipeline processes each frame without correction (off), with it (on), and with the
whole resting expression subtracted from the logits in its place (whole), which leaves the prior for a face at rest.

Printed are the fractions of frames with the right label after the first 36 s: at rest, in the other emotions, in the
emotion of the bias; and from when on nine labels at rest of ten are right, to the end. 10 frames per second, 320 x 240
pixels; 10 to 20 s of processor time for a person.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import add_noise, make_parser
from edge.capture.synthetic import REST_SECONDS, SyntheticScene
from edge.config.models import packaged_model
from edge.detection.haar import HaarDetector
from edge.inference.classifier import Classifier
from edge.inference.neutral_calibration import (
    MIN_PROBABILITY,
    MIN_SAMPLES,
    SAMPLE_SECONDS,
    NeutralCalibrator,
)
from edge.inference.prior import resting_label
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Calibrator, Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Frame, Track

FPS = 10
NOISE = 8.0  # gray levels, as of a small sensor indoors
START_SECONDS = 36.0  # after which a whole period of the scene is scored: until then the correction is learned
RIGHT_FRACTION = 0.9  # of the frames at rest from which on labels count as right

Labels = list[tuple[float, str, str | None]]  # seconds, emotion, label of each frame with a face


@dataclass(frozen=True)
class Person:
    """A person in front of the camera."""

    rest: str  # emotion most of the time
    bias: str = ""  # emotion that the face resembles
    fraction: float = 0.0  # of the bias, 0 to 1

    def describe(self) -> str:
        return f"{self.rest} at rest" + (f", bias {self.fraction:g} {self.bias}" if self.bias else "")


PERSONS = (
    Person("neutral"),
    Person("neutral", "happy", 0.45),
    Person("neutral", "happy", 0.5),
    Person("neutral", "sad", 0.45),
    Person("neutral", "sad", 0.5),
    Person("neutral", "sad", 0.6),
    Person("neutral", "surprise", 0.6),
    Person("sad"),
    Person("happy"),
    Person("angry"),
)


class WholeSubtraction:
    """Subtracts the whole resting expression from the logits, and adds those of the expected frequencies.

    Args:
        prior: (labels,) frequencies.
    """

    def __init__(self, prior: NDArray[np.float64]) -> None:
        self._prior = np.log(prior)
        self._samples: list[NDArray[np.float64]] = []
        self._sampled_at = -math.inf

    def update(
        self, tracks: Sequence[Track], probabilities: Mapping[int, NDArray[np.float32]], now: float
    ) -> Mapping[int, NDArray[np.float32]]:
        """Return `probabilities` corrected; of one face, which never leaves."""
        corrected = dict(probabilities)
        for track in tracks:
            if track.track_id not in probabilities:
                continue
            logits = np.log(np.maximum(probabilities[track.track_id], MIN_PROBABILITY))
            if now - self._sampled_at >= SAMPLE_SECONDS:
                self._samples.append(logits - logits.mean())
                self._sampled_at = now
            if len(self._samples) >= MIN_SAMPLES:
                odds = np.exp(logits - logits.mean() - np.median(self._samples, axis=0) + self._prior)
                corrected[track.track_id] = (odds / odds.sum()).astype(np.float32)
        return corrected


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("neutral_calibration", __doc__)
    parser.add_argument("--first", type=int, default=0, help="person to begin with, from 0")
    parser.add_argument("--persons", type=int, default=len(PERSONS), help="how many, in the order of the table")
    options = parser.parse_args(arguments)
    classifier = Classifier(packaged_model(), prior=None)
    labels, frequencies = classifier.card.labels, classifier.expected_frequencies
    assert frequencies
    prior = np.array([frequencies[label] for label in labels])
    print(f"{'person':34} {'':6} {'rest':>5} {'others':>6} {'own':>5} {'right from':>10}")
    for person in PERSONS[options.first :][: options.persons]:
        whole = WholeSubtraction(prior)
        calibrators = {"off": None, "on": NeutralCalibrator(labels, resting_label(labels)), "whole": whole}
        pipelines = {name: make_pipeline(classifier, calibrator) for name, calibrator in calibrators.items()}
        for name, found in run(person, pipelines).items():
            print(f"{person.describe():34} {name:6} {format_scores(person, found)}", flush=True)


def make_pipeline(classifier: Classifier, calibrator: Calibrator | None) -> Pipeline:
    """Return a pipeline with the defaults of `edge run` and `calibrator`."""
    smoother = TemporalSmoother(classifier.card.labels, classifier.card.min_confidence)
    return Pipeline(Tracker(HaarDetector()), classifier, smoother, calibrator=calibrator)


def frames(person: Person) -> Iterator[tuple[Frame, str]]:
    """Yield each frame, and the emotion that it shows."""
    scene = SyntheticScene(320, 240, rest=person.rest, bias=person.bias, bias_fraction=person.fraction)
    rng = np.random.default_rng(1)
    for index in range(round((START_SECONDS + scene.period) * FPS)):
        gray = add_noise(scene.image(index / FPS), rng, NOISE)
        yield Frame(gray, lambda: gray, index / FPS, index), scene.faces(index / FPS)[0].emotion  # noqa: B023 (not called)


def run(person: Person, pipelines: Mapping[str, Pipeline]) -> dict[str, Labels]:
    """Return what each of `pipelines` makes of `person`."""
    found: dict[str, Labels] = {name: [] for name in pipelines}
    for frame, emotion in frames(person):
        for name, pipeline in pipelines.items():
            found[name] += [(frame.time, emotion, face.label) for face in pipeline.process(frame).faces[:1]]
    return found


def format_scores(person: Person, labels: Labels) -> str:
    right = [(time, emotion, label == emotion) for time, emotion, label in labels]
    scored = [(emotion, correct) for time, emotion, correct in right if time >= START_SECONDS]
    rest = [correct for emotion, correct in scored if emotion == person.rest]
    others = [correct for emotion, correct in scored if emotion != person.rest]
    own = [correct for emotion, correct in scored if emotion == person.bias]
    at_rest = [(time, correct) for time, emotion, correct in right if emotion == person.rest]
    begins = (
        time
        for number, (time, correct) in enumerate(at_rest)
        if correct and statistics.fmean(each for _, each in at_rest[number:]) >= RIGHT_FRACTION
    )
    begin = next(begins, math.inf)
    columns = f"{statistics.fmean(rest):5.0%} {statistics.fmean(others):6.0%} "
    columns += f"{statistics.fmean(own):5.0%}" if own else "     "
    return f"{columns} {f'{begin:.1f} s' if begin < START_SECONDS + REST_SECONDS else 'never':>10}"


if __name__ == "__main__":
    main()
