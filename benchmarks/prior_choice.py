"""Measure what several priors gain and cost on folders of labeled images.

The faces that `trainer evaluate --detect` finds in each FOLDER are classified once and adapted to several priors: the
training frequencies, and those of everyday with other fractions of its most frequent class, where the other classes
keep their proportions. A missed face is wrong. The temperature of the adapted probabilities is fitted on each half of a
folder's faces and evaluated on the other half. Takes a minute or two. Needs .venv-test.

With --search also the best table by the rule of docs/prior.md: of all rounded ones (FREQUENT_PERCENT for the two most
frequent classes, OTHER_PERCENT for the others) whose macro recall is in no FOLDER below the training prior's, the one
with the highest accuracy, averaged over the folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import make_parser
from edge.config.models import shipped_model
from edge.image_analyzer import ImageAnalyzer
from edge.inference.classifier import Classifier
from edge.inference.model_file import ModelCard
from edge.inference.prior import expected_frequencies

FRACTIONS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)  # of the most frequent class of the prior
SEED = 0  # of the halves
# Of the search. An emotion that is rare in everyday life gets 12 % at most, even if more would fit the folders better.
FREQUENT_PERCENT = (range(40, 65, 5), range(15, 40, 5))
OTHER_PERCENT = (1, 2, 4, 6, 8, 10, 12)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("prior_choice", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--prior", default="everyday", metavar="PRIOR", help="as of edge run; default: everyday")
    parser.add_argument("--model", type=Path, metavar="FILE", help="default: the shipped model")
    parser.add_argument("--search", action="store_true", help="also search the best table; takes some seconds more")
    options = parser.parse_args(arguments)
    from trainer.evaluation.evaluate import Evaluation
    from trainer.evaluation.scenes import evaluate_scenes

    classifier = Classifier(options.model or shipped_model())
    card = classifier.card
    priors = make_priors(card, expected_frequencies(options.prior, card) or dict(card.class_frequencies))
    measured = []
    for folder in options.folders:
        evaluation: Evaluation = evaluate_scenes(ImageAnalyzer(classifier=classifier), folder, "", skip_invalid=True)
        assert evaluation.scenes
        plain, labels, images = evaluation.model.probabilities, evaluation.dataset.labels, evaluation.scenes.images
        print(f"\n{folder.name}: {images.sum()} images, {len(labels)} faces found")
        columns = f"{'prior':16} {'found':>6} {'all':>6} {'macro':>6} {'ECE':>6} {'ECE and temperatures of halves':>31}"
        print(columns, *(f"{label:>9}" for label in card.labels))
        for name, frequencies in priors.items():
            print(format_line(name, card, adapt(card, plain, frequencies), labels, images), flush=True)
        measured.append((plain, labels, images))
    if options.search:
        best = search_table(card, list(priors["as named"].values()), measured)
        table = ", ".join(f"{label} {frequency:g}" for label, frequency in best.items())
        print("\nbest table:", table or "none keeps the macro recall of the training prior in each folder")


def make_priors(card: ModelCard, expected: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return name -> frequencies: those of the training, of `expected`, and with other fractions of its first class."""
    first = max(expected, key=lambda label: expected[label])
    priors = {"training": dict(card.class_frequencies), "as named": expected}
    for fraction in FRACTIONS:
        scale = (1 - fraction) / (1 - expected[first])
        priors[f"{first} {fraction:g}"] = {
            label: fraction if label == first else scale * frequency for label, frequency in expected.items()
        }
    return priors


def search_table(
    card: ModelCard,
    expected: Sequence[float],
    measured: Sequence[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]],
) -> dict[str, float]:
    """Return the best table, see above; empty if none keeps the macro recall of the training prior in each folder.

    Args:
        expected: frequency of each label: which two are the most frequent ones.
        measured: of each folder: (n, labels) unadapted probabilities, (n,) labels, (labels,) number of images.
    """
    first, second, *others = np.argsort(expected)[::-1]

    def scores(table: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
        for plain, labels, images in measured:
            correct = labels[adapt(card, plain, dict(zip(card.labels, table, strict=True))).argmax(axis=1) == labels]
            recall = np.bincount(correct, minlength=len(images)) / np.maximum(images, 1)
            yield len(correct) / images.sum(), recall[images > 0].mean()

    least = [recall for _, recall in scores(np.array([card.class_frequencies[label] for label in card.labels]))]
    best, best_table = 0.0, dict[str, float]()
    for percent in product(*FREQUENT_PERCENT, *(OTHER_PERCENT,) * len(others)):
        if sum(percent) != 100:
            continue
        table = np.empty(len(expected))
        table[[first, second, *others]] = np.array(percent) / 100
        of_folders = list(scores(table))
        accuracy = float(np.mean([accuracy for accuracy, _ in of_folders]))
        if accuracy > best and all(recall >= low for (_, recall), low in zip(of_folders, least, strict=True)):
            best, best_table = accuracy, dict(zip(card.labels, table.tolist(), strict=True))
    return best_table


def adapt(card: ModelCard, probabilities: NDArray[np.float32], frequencies: dict[str, float]) -> NDArray[np.float32]:
    """Return `probabilities` (n, classes) adapted as the device does, before the card's temperature for them."""
    ratios = np.array([frequencies[label] / card.class_frequencies[label] for label in card.labels], np.float32)
    adapted = probabilities * ratios
    normalized: NDArray[np.float32] = adapted / adapted.sum(axis=1, keepdims=True)
    return normalized


def format_line(
    name: str, card: ModelCard, adapted: NDArray[np.float32], labels: NDArray[np.int64], images: NDArray[np.int64]
) -> str:
    """Return accuracy of the faces found and of all, macro recall, calibration, and the recall of each class."""
    from trainer.evaluation.calibration import apply_temperature, fit_temperature, reliability_diagram

    def calibration_error(probabilities: NDArray[np.float32], of: NDArray[np.int64]) -> float:
        return reliability_diagram(probabilities, of).expected_calibration_error

    correct = adapted.argmax(axis=1) == labels
    recall = np.bincount(labels[correct], minlength=len(images)) / np.maximum(images, 1)
    temperature = 1.0 if name == "training" else card.adapted_temperature
    halves = np.array_split(np.random.default_rng(SEED).permutation(len(labels)), 2)
    scaled = np.empty_like(adapted)
    temperatures = []
    for one, other in (halves, halves[::-1]):
        temperatures.append(fit_temperature(adapted[one], labels[one]))
        scaled[other] = apply_temperature(adapted[other], temperatures[-1])
    columns = (
        f"{name:16} {100 * correct.mean():6.1f} {100 * correct.sum() / images.sum():6.1f} "
        f"{100 * recall[images > 0].mean():6.1f} "
        f"{calibration_error(apply_temperature(adapted, temperature), labels):6.3f} "
        f"{calibration_error(scaled, labels):20.3f} {temperatures[0]:5.2f}{temperatures[1]:5.2f}"
    )
    return " ".join([columns, *(f"{100 * value:9.0f}" for value in recall)])


if __name__ == "__main__":
    main()
