"""Expected class frequencies: what a user may write, how they are completed, and what they do to the probabilities."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.config.models import everyday_prior, shipped_model
from edge.errors import SettingsError
from edge.inference import model_file
from edge.inference.classifier import Classifier, calibrate
from edge.inference.model_file import ModelCard
from edge.inference.prior import EVERYDAY, TRAINING, expected_frequencies, parse, resting_label
from tests.support.images import PORTRAIT_FACE

CARD = ModelCard(
    name="tiny",
    labels=("calm", "cross", "glad", "odd"),
    input_size=48,
    effective_resolution=48,
    class_frequencies={"calm": 0.1, "cross": 0.2, "glad": 0.4, "odd": 0.3},
)


def refusal(text: str, card: ModelCard = CARD) -> str:
    """Return the error message for the prior `text`, which must be one line."""
    with pytest.raises(SettingsError) as caught:
        expected_frequencies(text, card)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def everyday(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of the prior everyday; a test writes another one to it."""
    path = tmp_path / "everyday.toml"
    monkeypatch.setattr("edge.inference.prior.everyday_prior", lambda: path)
    return path


# --- what a user may write ----------------------------------------------------------------------------------------


def test_pairs_and_a_file_with_the_same_fractions_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text('calm = 0.5\n"glad" = 0.25\n')
    assert parse("calm=0.5, glad=0.25").fractions == parse(str(path)).fractions == {"calm": 0.5, "glad": 0.25}


def test_label_may_have_an_equals_sign() -> None:
    assert parse("a=b=0.5").fractions == {"a=b": 0.5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("everday", ("'everday'", "everyday, training, NAME=FRACTION")),
        ("", ("prior is ''",)),
        ("calm", ("'calm'", "NAME=FRACTION")),
        ("calm=", ("'calm' is ''", "a fraction")),
        ("=0.5", ("'=0.5'", "NAME=FRACTION")),
        ("calm=0.5,", ("''", "NAME=FRACTION")),
        ("calm=half", ("'calm' is 'half'",)),
        ("calm=0", ("'calm' is 0.0", "1e-06 to 1")),
        ("calm=-0.1", ("'calm' is -0.1",)),
        ("calm=1.5", ("'calm' is 1.5",)),
        ("calm=nan", ("'calm' is nan",)),
        ("calm=inf", ("'calm' is inf",)),
        ("calm=0.6,glad=0.5", ("add up to 1.1", "at most 1")),
        ("calm=0.1,calm=0.2", ("'calm'", "twice")),
        ("calm=0.5,joy=0.1", ("no label 'joy'", "calm, cross, glad, odd")),
        ("calm=0.5,glad=0.5", ("nothing is left for cross, odd",)),
        ("calm=0.1,cross=0.1,glad=0.1,odd=0.1", ("all labels", "add up to 0.4", "expected 1")),
        ("calm=0.5\n,joy=0.1", ("no label 'joy'",)),
    ],
)
def test_invalid_prior_is_refused_in_one_line(text: str, words: tuple[str, ...]) -> None:
    message = refusal(text)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no fractions"),
        (b"calm = 0.5\ncalm = 0.5", "not a TOML file"),
        (b"calm : 0.5", "not a TOML file"),
        (b"\xff = 0.5", "not a TOML file"),
        (b"[calm]\nglad = 0.5", "'calm' is no number"),
        (b"calm" + b".a" * 5000 + b" = 1", "'calm' is no number"),
        (b"calm = true", "'calm' is True"),
        (b'calm = "0.5"', "'calm' is '0.5'"),
        (b"calm = nan", "'calm' is nan"),
        (b"calm = 0x" + b"f" * 5000, "'calm' is too large"),
        (b"calm = " + b"[" * 5000, "not a TOML file"),
        (b"#" * 200_000, "more than 100,000 bytes"),
    ],
)
def test_invalid_file_is_refused_in_one_line(content: bytes, word: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_bytes(content)
    message = refusal(str(path))
    assert word in message
    assert str(path) in message


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in refusal(str(tmp_path / "no.toml"))


# --- the frequencies of all labels --------------------------------------------------------------------------------


def test_other_labels_share_the_rest_as_in_training() -> None:
    expected = {"calm": 0.5, "cross": 0.5 * 0.2 / 0.9, "glad": 0.5 * 0.4 / 0.9, "odd": 0.5 * 0.3 / 0.9}
    assert expected_frequencies("calm=0.5", CARD) == pytest.approx(expected)


def test_frequencies_of_all_labels_may_be_rounded() -> None:
    frequencies = expected_frequencies("calm=0.3333,cross=0.3333,glad=0.3333,odd=0.0001", CARD)
    assert frequencies is not None
    assert sum(frequencies.values()) == pytest.approx(1)
    assert list(frequencies) == list(CARD.labels)


@pytest.mark.parametrize("prior", [TRAINING, None])
def test_model_without_frequencies_runs_as_it_is(prior: str | None) -> None:
    assert expected_frequencies(prior, replace(CARD, class_frequencies={})) is None


@pytest.mark.parametrize("prior", [EVERYDAY, "calm=0.5"])
def test_named_prior_needs_the_frequencies_of_the_model(prior: str) -> None:
    assert "no class frequencies" in refusal(prior, replace(CARD, class_frequencies={}))


def test_everyday_is_the_default(everyday: Path) -> None:
    everyday.write_text("calm = 0.4\ncross = 0.3\nglad = 0.2\nodd = 0.1\n")
    frequencies = {"calm": 0.4, "cross": 0.3, "glad": 0.2, "odd": 0.1}
    assert expected_frequencies(None, CARD) == pytest.approx(frequencies)


def test_card_may_name_the_default(everyday: Path) -> None:
    everyday.write_text("calm = 0.4\ncross = 0.3\nglad = 0.2\nodd = 0.1\n")
    cautious = replace(CARD, default_prior=TRAINING)
    assert expected_frequencies(None, cautious) is None
    assert expected_frequencies(EVERYDAY, cautious) == expected_frequencies(None, replace(CARD, default_prior=EVERYDAY))
    assert expected_frequencies(None, replace(CARD, default_prior=EVERYDAY, class_frequencies={})) is None


def test_everyday_applies_to_the_labels_that_both_know(everyday: Path) -> None:
    """A label that only the model knows keeps its frequency; one that only the table knows is left out."""
    everyday.write_text("calm = 0.3\nglad = 0.1\nsulky = 0.6\n")
    assert expected_frequencies(None, CARD) == pytest.approx({"calm": 0.375, "cross": 0.2, "glad": 0.125, "odd": 0.3})


def test_everyday_without_a_common_label_changes_nothing(everyday: Path) -> None:
    everyday.write_text("sulky = 1.0\n")
    assert expected_frequencies(None, CARD) is None


@pytest.mark.parametrize(
    "frequencies",
    [
        (0.6999997, 0.2999993, 1e-6),
        (0.7004, 0.3004, 1e-6),  # a card may be rounded
        (0.6996, 0.2996, 1e-6),
        (1e-6, 1e-6, 0.999998),
    ],
)
def test_the_default_accepts_every_card(frequencies: tuple[float, ...]) -> None:
    labels = ("happy", "sad", "odd")
    card = replace(CARD, labels=labels, class_frequencies=dict(zip(labels, frequencies, strict=True)))
    expected = expected_frequencies(None, card)
    assert expected is not None
    assert expected["odd"] == pytest.approx(frequencies[2] / sum(frequencies))
    assert sum(expected.values()) == pytest.approx(1)


def test_the_smallest_fraction_may_be_left_for_a_label() -> None:
    assert expected_frequencies("calm=0.5,cross=0.2,glad=0.299999", CARD)


def test_a_face_at_rest_has_the_most_frequent_everyday_label(everyday: Path) -> None:
    everyday.write_text("calm = 0.3\nglad = 0.1\nsulky = 0.6\n")
    assert resting_label(("glad", "sulky")) == "sulky"
    with pytest.raises(SettingsError, match="the model has no label 'sulky'; its labels are calm, glad"):
        resting_label(("calm", "glad"))


def test_shipped_table_names_the_labels_of_the_shipped_model() -> None:
    fractions = tomllib.loads(everyday_prior().read_text())
    assert set(fractions) == set(model_file.load(shipped_model())[1].labels)
    assert sum(fractions.values()) == pytest.approx(1)


# --- the probabilities --------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The shipped model with class frequencies of its own."""
    path = tmp_path / "model.tflite"
    content, card = model_file.load(shipped_model())
    frequencies = dict(zip(card.labels, (0.1, 0.05, 0.15, 0.25, 0.15, 0.1, 0.2), strict=True))
    model_file.attach(content, replace(card, class_frequencies=frequencies, adapted_temperature=0.5), path)
    return path


def test_probabilities_are_adapted_and_sharpened(model: Path, portrait: np.ndarray) -> None:
    plain, adapted = Classifier(model), Classifier(model, prior="neutral=0.6")
    face = plain.prepare(portrait[..., 1], PORTRAIT_FACE)
    probabilities, card = plain.classify(face), plain.card
    assert (plain.prior, adapted.prior) == (TRAINING, "neutral=0.6")
    neutral = np.array([label == "neutral" for label in card.labels])
    ratios = np.where(neutral, 0.6 / 0.2, 0.4 / 0.8)
    expected = calibrate((probabilities * ratios).astype(np.float32), 0.5)
    assert adapted.classify(face) == pytest.approx(expected, abs=1e-6)
    assert adapted.classify(face).sum() == pytest.approx(1, abs=1e-5)
    assert not np.allclose(expected, probabilities, atol=1e-3)


def test_default_of_the_classifier_is_the_training_prior(model: Path) -> None:
    assert Classifier(model).expected_frequencies is None
    assert Classifier(model, prior=None).prior == EVERYDAY
