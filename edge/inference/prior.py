"""Expected class frequencies: what a model's probabilities are adapted to.

A model learns how frequent each class was in its training data, and that is rarely how frequent it is in front of a
camera. The probability of each label times its expected frequency and divided by its training frequency, normalized,
is the probability in a place with the expected frequencies, if faces of one class look the same in both (Saerens,
Latinne and Decaestecker, Neural Computation 14, 2002). docs/prior.md has the reasons and the measurements.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.config.models import everyday_prior
from edge.errors import SettingsError
from edge.inference.model_file import FREQUENCY_TOLERANCE, MIN_FREQUENCY, ModelCard
from edge.system.bounded_read import read_at_most
from edge.system.paths import expand_path

EVERYDAY = "everyday"  # the frequencies in models/everyday.toml
TRAINING = "training"  # the training frequencies: probabilities stay as they are
EXPECTED = f"{EVERYDAY}, {TRAINING}, NAME=FRACTION,... or a .toml file with NAME = FRACTION"
MAX_FILE_BYTES = 100_000  # the shipped file has a hundredth of it


@dataclass(frozen=True, slots=True)
class Prior:
    """The expected fraction of each label that a user names. Raises SettingsError for a fraction that is none."""

    source: str  # as the user wrote it
    fractions: Mapping[str, float]  # label -> above 0, together at most 1; empty: the training frequencies

    def __post_init__(self) -> None:
        for label, fraction in self.fractions.items():
            is_number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
            if not (is_number and MIN_FREQUENCY <= fraction <= 1):
                # An integer of TOML may have too many digits to be printed, a table too many tables in each other.
                can_print = isinstance(fraction, str | float) or (isinstance(fraction, int) and abs(fraction) < 1e9)
                found = repr(fraction)[:40] if can_print else "too large" if isinstance(fraction, int) else "no number"
                raise SettingsError(
                    f"prior {self.source!r}: {label!r} is {found}, expected a fraction from {MIN_FREQUENCY:g} to 1"
                )
        total = math.fsum(self.fractions.values())
        if total > 1 + FREQUENCY_TOLERANCE:
            raise SettingsError(f"prior {self.source!r}: the fractions add up to {total:g}, expected at most 1")


def parse(text: str) -> Prior:
    """Return the prior that `text` names: everyday, training, NAME=FRACTION,... or the path of a .toml file.

    Raises SettingsError for any other text, and for a file that cannot be read or has anything but labels and
    fractions.
    """
    if text == TRAINING:
        return Prior(text, {})
    if text == EVERYDAY:
        return Prior(text, _read(everyday_prior()))
    if text.endswith(".toml"):
        return Prior(text, _read(expand_path(text)))
    if "=" not in text:
        raise SettingsError(f"prior is {text!r}, expected {EXPECTED}")
    fractions: dict[str, float] = {}
    for pair in text.split(","):
        label, _, fraction = (part.strip() for part in pair.rpartition("="))
        if not label:
            raise SettingsError(f"prior {text!r}: {pair!r} found, expected NAME=FRACTION")
        if label in fractions:
            raise SettingsError(f"prior {text!r}: {label!r} is there twice")
        try:
            fractions[label] = float(fraction)
        except ValueError:
            raise SettingsError(f"prior {text!r}: {label!r} is {fraction!r}, expected a fraction") from None
    return Prior(text, fractions)


def default_prior(card: ModelCard) -> str:
    """Return the prior to use if the user names none: the card's, else everyday; training without class frequencies."""
    return (card.default_prior or EVERYDAY) if card.class_frequencies else TRAINING


def expected_frequencies(prior: str | None, card: ModelCard) -> dict[str, float] | None:
    """Return the expected frequency of each label of the model, with a sum of 1; None: the training frequencies.

    Labels without a fraction share what the others leave, in proportion to their training frequencies. `everyday` is
    a table for any model: it applies to the labels that both know, and the model's other labels keep their training
    frequencies.

    Args:
        prior: as for `parse`; None: default_prior(card).
        card: of the model.

    Raises SettingsError: the model has no class frequencies or lacks a label of the prior, or nothing is left for a
    label.
    """
    prior = default_prior(card) if prior is None else prior
    if prior == TRAINING:
        return None
    parsed = parse(prior)
    if not card.class_frequencies:
        raise SettingsError(
            f"prior is {prior!r}, but the model's card has no class frequencies: leave out the prior, or make the "
            "model file again with 'trainer quantize'"
        )
    unknown = [label for label in parsed.fractions if label not in card.labels]
    if parsed.source == EVERYDAY:
        known = {label: fraction for label, fraction in parsed.fractions.items() if label in card.labels}
        if not known:
            return None
        scale = math.fsum(card.class_frequencies[label] for label in known) / math.fsum(known.values())
        return _normalize(
            {label: scale * known[label] if label in known else card.class_frequencies[label] for label in card.labels}
        )
    if unknown:
        raise SettingsError(
            f"prior {prior!r}: the model has no label {unknown[0]!r}; its labels are {', '.join(card.labels)}"
        )
    return _complete(parsed.source, parsed.fractions, card)


def resting_label(labels: Sequence[str]) -> str:
    """Return which of the model's `labels` a face at rest has: the most frequent one of everyday life, neutral.

    Raises SettingsError if the model does not have it.
    """
    fractions = parse(EVERYDAY).fractions
    resting = max(fractions, key=lambda label: fractions[label])
    if resting not in labels:
        raise SettingsError(
            f"calibrate_neutral is set, but the model has no label {resting!r}; its labels are {', '.join(labels)}"
        )
    return resting


def _complete(source: str, fractions: Mapping[str, float], card: ModelCard) -> dict[str, float]:
    """Return `fractions` with those of the other labels of `card`. Raises SettingsError if they cannot add up to 1."""
    rest = {label: card.class_frequencies[label] for label in card.labels if label not in fractions}
    left = 1 - math.fsum(fractions.values())
    if rest and left < MIN_FREQUENCY * len(rest) / 2:  # half of it: the sum of the others is rounded
        raise SettingsError(
            f"prior {source!r}: nothing is left for {', '.join(rest)}; expected less than 1 for the others"
        )
    if not rest and abs(left) > FREQUENCY_TOLERANCE:
        raise SettingsError(f"prior {source!r}: all labels are named and add up to {1 - left:g}, expected 1")
    scale = left / math.fsum(rest.values()) if rest else 1.0
    return _normalize({label: fractions.get(label, scale * rest.get(label, 0.0)) for label in card.labels})


def _normalize(frequencies: Mapping[str, float]) -> dict[str, float]:
    """Return `frequencies` with a sum of 1."""
    total = math.fsum(frequencies.values())
    return {label: frequency / total for label, frequency in frequencies.items()}


def _read(path: Path) -> dict[str, float]:
    """Return label -> fraction of the TOML file at `path`. Raises SettingsError if it is not such a file."""
    try:
        fractions = tomllib.loads(read_at_most(path, MAX_FILE_BYTES).decode())
    except OSError as error:
        raise SettingsError(f"prior {str(path)!r}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML
        reason = " ".join(str(error).split())
        raise SettingsError(f"prior {str(path)!r}: not a TOML file with NAME = FRACTION ({reason})") from error
    if not fractions:
        raise SettingsError(f"prior {str(path)!r}: no fractions found, expected lines with NAME = FRACTION")
    return fractions
