"""Compare fixed priors with priors that are estimated from the faces themselves, on folders of labeled images.

The faces that `trainer evaluate --detect` finds in each FOLDER are classified once. From each folder streams of faces
are drawn: all of them, and with replacement mixes of classes that a place may have. For each stream the class
frequencies are estimated without its labels, and its faces are classified with them. Estimators that correct the
probabilities, or need the model's confusions, take these from PublicTest of --data. Takes some minutes. Needs
.venv-test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import make_parser
from edge.config.models import shipped_model
from edge.image_analyzer import ImageAnalyzer
from edge.inference.classifier import Classifier
from edge.inference.prior import EVERYDAY, expected_frequencies

Array = NDArray[np.float64]

STREAM_FACES = 200  # independent people whom a kiosk sees in a day or two
SEEDS = 20
EM_STEPS = 200
CORRECTION_STEPS, CORRECTION_RATE = 2000, 0.5
DIRICHLET_FACES = (20, 100, 400)  # weight of the everyday prior, as a number of faces
FLOOR = 1 / 512  # half a step of the 8-bit output: a probability of 0 does not mean never
# Mixes by the place of a class in the everyday prior, the most frequent first; None: as in the folder.
MIXES: dict[str, tuple[float, ...] | None] = {
    "as it is": None,
    "all classes equal": (1, 1, 1, 1, 1, 1, 1),
    "90 % {0}": (0.9, 0.1),
    "90 % {1}": (0.1, 0.9),
    "50 % {0}, others equal": (6, 1, 1, 1, 1, 1, 1),
}


@dataclass(frozen=True)
class Faces:
    """Faces with their class and the probabilities that the model gives with its training prior."""

    name: str
    probabilities: Array  # (n, classes)
    labels: NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class Source:
    """What is known of the training data, and of the model on faces with its class frequencies."""

    training: Array  # (classes,) frequencies
    everyday: Array  # (classes,)
    validation: Faces
    scale: float  # of the logarithms of the probabilities, and their offsets: bias-corrected temperature scaling
    offsets: Array  # (classes,)

    def corrected(self, probabilities: Array) -> Array:
        return _softmax(self.scale * np.log(np.maximum(probabilities, FLOOR)) + self.offsets)


# Source, (n, classes) probabilities -> (classes,) frequencies
Estimator = Callable[[Source, Array], Array]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("label_shift", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="FER2013, for PublicTest")
    parser.add_argument("--model", type=Path, metavar="FILE", help="default: the shipped model")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="COUNT", help="streams drawn of each mix")
    options = parser.parse_args(arguments)
    classifier = Classifier(options.model or shipped_model())
    source = make_source(classifier, options.data)
    order = [classifier.card.labels[index] for index in np.argsort(-source.everyday)]
    for folder in options.folders:
        faces = find_faces(classifier, folder)
        streams = {
            name.format(*order): make_streams(faces, source.everyday, mix, options.seeds) for name, mix in MIXES.items()
        }
        print(f"\n{folder.name}: accuracy in %, mean and worst stream; distance of the estimated frequencies, 0 to 1")
        print(f"{'prior':34}" + "".join(f"{name:>26}" for name in streams))
        for name, estimate in make_estimators().items():
            cells = [_cell(source, each, estimate) for each in streams.values()]
            print(f"{name:34}" + "".join(f"{cell:>26}" for cell in cells), flush=True)


def find_faces(classifier: Classifier, folder: Path) -> Faces:
    """Return the faces that are found in the images of `folder`, see trainer.evaluation.scenes."""
    from trainer.evaluation.scenes import evaluate_scenes

    evaluation = evaluate_scenes(ImageAnalyzer(classifier=classifier), folder, "", skip_invalid=True)
    return Faces(folder.name, evaluation.model.probabilities.astype(np.float64), evaluation.dataset.labels)


def make_source(classifier: Classifier, data: Path) -> Source:
    """Return the training frequencies of the model's card, and its predictions for PublicTest of `data`."""
    from trainer.cli.options import load
    from trainer.data import label_mapping
    from trainer.data.dataset import PUBLIC_TEST
    from trainer.evaluation.prediction import predict_tflite

    card = classifier.card
    rows = label_mapping.match_labels(load(data, None, skip_invalid=False), card.labels).split(PUBLIC_TEST)
    validation = Faces(PUBLIC_TEST, predict_tflite(classifier, rows).astype(np.float64), rows.labels)
    expected = expected_frequencies(EVERYDAY, card) or card.class_frequencies
    scale, offsets = fit_bias_correction(validation)
    training, everyday = (
        np.array([each[label] for label in card.labels]) for each in (card.class_frequencies, expected)
    )
    return Source(training, everyday, validation, scale, offsets)


def fit_bias_correction(faces: Faces) -> tuple[float, Array]:
    """Return scale and offsets of bias-corrected temperature scaling (Alexandari, Kundaje and Shrikumar, ICML 2020)."""
    logs = np.log(np.maximum(faces.probabilities, FLOOR))
    truth = np.eye(logs.shape[1])[faces.labels]
    scale, offsets = 1.0, np.zeros(logs.shape[1])
    for _ in range(CORRECTION_STEPS):  # the log loss is convex in both
        error = (_softmax(scale * logs + offsets) - truth) / len(logs)
        offsets = offsets - CORRECTION_RATE * error.sum(axis=0)
        scale -= CORRECTION_RATE / 5 * float((error * logs).sum())
    return scale, offsets


def make_streams(faces: Faces, everyday: Array, mix: Sequence[float] | None, seeds: int) -> list[Faces]:
    """Return streams of faces: the faces themselves, or for each seed some drawn with the frequencies of `mix`."""
    if mix is None:
        return [faces]
    order = np.argsort(-everyday)
    weights = np.zeros(len(everyday))
    weights[order[: len(mix)]] = mix[: len(order)]
    counts = np.bincount(faces.labels, minlength=len(weights))
    weights[counts == 0] = 0
    per_face = (weights / np.maximum(counts, 1))[faces.labels]
    streams = []
    for seed in range(seeds):
        rows = np.random.default_rng(seed).choice(len(faces.labels), STREAM_FACES, p=per_face / per_face.sum())
        streams.append(Faces(faces.name, faces.probabilities[rows], faces.labels[rows]))
    return streams


def make_estimators() -> dict[str, Estimator]:
    """Return name -> estimator: fixed priors first."""
    estimators: dict[str, Estimator] = {
        "training (fixed)": lambda source, _: source.training,
        "everyday (fixed)": lambda source, _: source.everyday,
        "EM": lambda source, p: maximize(source, p, source.training, 0),
        "EM, bias-corrected": lambda source, p: maximize(source, source.corrected(p), source.training, 0),
    }
    for faces in DIRICHLET_FACES:
        estimators[f"EM, Dirichlet {faces}"] = partial(_maximize_posterior, faces, corrected=False)
        estimators[f"EM, Dirichlet {faces}, bias-corrected"] = partial(_maximize_posterior, faces, corrected=True)
    return estimators | {
        "BBSE": lambda source, p: solve(source, p, 0.0),
        "RLLS": lambda source, p: solve(source, p, 1.0),
    }


def _maximize_posterior(faces: float, source: Source, probabilities: Array, *, corrected: bool) -> Array:
    return maximize(source, source.corrected(probabilities) if corrected else probabilities, source.everyday, faces)


def maximize(source: Source, probabilities: Array, prior: Array, faces: float) -> Array:
    """Return the frequencies of largest posterior density by expectation maximization.

    Without `faces` this is the maximum likelihood of Saerens, Latinne and Decaestecker (2002); with them the density
    has a Dirichlet prior around `prior` that weighs as many faces.
    """
    frequencies = prior
    for _ in range(EM_STEPS):
        adapted = adapt(source, probabilities, frequencies)
        frequencies = (adapted.sum(axis=0) + faces * prior) / (len(adapted) + faces)
    return frequencies


def solve(source: Source, probabilities: Array, penalty: float) -> Array:
    """Return the frequencies that explain the mean prediction by the model's confusions.

    BBSE (Lipton, Wang and Smola, ICML 2018); with `penalty` the ratios to the training frequencies are drawn to 1, as
    RLLS does (Azizzadenesheli et al., ICLR 2019), here with a squared penalty of the size of the sampling error.
    """
    classes = probabilities.shape[1]
    truth = np.eye(classes)[source.validation.labels]
    confusion = source.validation.probabilities.T @ truth / len(truth)  # joint: a column per true class
    change = probabilities.mean(axis=0) - confusion.sum(axis=1)
    ridge = penalty * classes / len(probabilities) * np.eye(classes)
    ratios = 1 + np.linalg.solve(confusion.T @ confusion + ridge / classes, confusion.T @ change)
    frequencies: Array = np.maximum(ratios, 0) * truth.mean(axis=0)
    frequencies /= frequencies.sum()
    return frequencies


def adapt(source: Source, probabilities: Array, frequencies: Array) -> Array:
    """Return `probabilities` (n, classes) adapted from the training frequencies to `frequencies`."""
    adapted = probabilities * (frequencies / source.training)
    normalized: Array = adapted / adapted.sum(axis=1, keepdims=True)
    return normalized


def _cell(source: Source, streams: Sequence[Faces], estimate: Estimator) -> str:
    """Return mean and worst accuracy in %, and the mean total variation distance to the true frequencies."""
    accuracies, distances = [], []
    for stream in streams:
        frequencies = estimate(source, stream.probabilities)
        predicted = adapt(source, stream.probabilities, frequencies).argmax(axis=1)
        truth = np.bincount(stream.labels, minlength=len(frequencies)) / len(stream.labels)
        accuracies.append(100 * float((predicted == stream.labels).mean()))
        distances.append(float(np.abs(frequencies - truth).sum() / 2))
    return f"{np.mean(accuracies):.1f} / {min(accuracies):.1f}  ({np.mean(distances):.2f})"


def _softmax(logits: Array) -> Array:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalized: Array = exponents / exponents.sum(axis=1, keepdims=True)
    return normalized


if __name__ == "__main__":
    main()
