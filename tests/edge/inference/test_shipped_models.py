"""Each model of the package is small, runs, and knows the emotions whose everyday frequencies the package has."""

import numpy as np
import pytest

from edge.config.models import DEFAULT, FAST, packaged_models
from edge.inference import model_file
from edge.inference.classifier import Classifier
from edge.inference.prior import EVERYDAY, expected_frequencies, parse
from tests.support.runtime import OLD_RUNTIME

MODELS = packaged_models()
MAX_BYTES = 3_000_000


@pytest.mark.parametrize("name", MODELS)
def test_model_of_the_package_is_small_and_runs(name):
    assert MODELS[name].stat().st_size < MAX_BYTES
    classifier = Classifier(MODELS[name])
    size = classifier.card.input_size
    shape = (size, size, 3) if classifier.uses_color else (size, size)
    probabilities = classifier.classify(np.full(shape, 128, np.uint8))
    assert probabilities.shape == (len(classifier.card.labels),)
    assert probabilities.sum() == pytest.approx(1, abs=0.05 if OLD_RUNTIME else 0.01)


@pytest.mark.parametrize("name", MODELS)
def test_model_of_the_package_has_every_everyday_emotion(name):
    card = model_file.load(MODELS[name])[1]
    everyday = parse(EVERYDAY).fractions
    assert set(everyday) <= set(card.labels)
    expected = expected_frequencies(EVERYDAY, card)
    assert expected is not None
    ratios = [expected[label] / fraction for label, fraction in everyday.items()]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))


def test_auto_has_two_models_of_the_same_labels():
    default, fast = (model_file.load(MODELS[name])[1] for name in (DEFAULT, FAST))
    assert default.labels == fast.labels
    assert default.input_size > fast.input_size
