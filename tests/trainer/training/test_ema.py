"""The averaged weights are in the model for the length of a block, with batch statistics of their own."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.small import DATA
from trainer.data.dataset import TRAINING

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]

ROWS = DATA.split(TRAINING)


@pytest.fixture(scope="module")
def ema(settings):
    """The module, imported after Keras was loaded by `settings`."""
    from trainer.training import ema

    return ema


@pytest.fixture
def train_epoch(settings):
    """Return a function that builds a model and trains it for an epoch of `phase`, without putting averages into it."""

    def train(phase):
        import keras

        from trainer.training.batches import TrainingBatches
        from trainer.training.loop import build_model, compile_model

        keras.utils.set_random_seed(0)
        batches = TrainingBatches(settings, ROWS)
        model = build_model(settings, 7)
        compile_model(model, replace(settings, ema_momentum=0.9), phase, len(batches))
        for step in range(len(batches)):
            model.train_on_batch(*batches[step])
        return model

    return train


@pytest.fixture
def fine_tuned(train_epoch):
    """A model whose averaged weights differ from its own."""
    return train_epoch("fine-tune")


@pytest.fixture(scope="module")
def images(ema):
    from trainer.training.batches import model_inputs

    return model_inputs(ROWS, 32)


def values(variables):
    return [np.asarray(variable).copy() for variable in variables]


def equal(variables, expected):
    return all(np.array_equal(variable, value) for variable, value in zip(variables, expected, strict=True))


def test_block_has_the_averaged_weights_and_then_restores_all(fine_tuned, ema, images):
    before = values(fine_tuned.variables), values(fine_tuned.optimizer.variables)
    with ema.ema_weights(fine_tuned, images):
        averaged = values(fine_tuned.trainable_variables)
    assert equal(fine_tuned.variables, before[0])
    assert equal(fine_tuned.optimizer.variables, before[1])
    assert not equal(fine_tuned.trainable_variables, averaged)
    fine_tuned.optimizer.finalize_variable_values(fine_tuned.trainable_variables)  # Keras' way: irreversible
    assert equal(fine_tuned.trainable_variables, averaged)


def test_weights_are_restored_after_an_error(fine_tuned, ema, images):
    before = values(fine_tuned.variables)
    with pytest.raises(ZeroDivisionError), ema.ema_weights(fine_tuned, images):
        raise ZeroDivisionError
    assert equal(fine_tuned.variables, before)


def test_batch_statistics_are_means_over_all_images(fine_tuned, ema, images):
    three_batches = np.tile(images, (4, 1, 1, 1))[:384]
    backbone = fine_tuned.get_layer("backbone")
    with ema.ema_weights(fine_tuned, three_batches):
        channels = np.repeat(three_batches / 127.5 - 1, 3, axis=3)
        patches = np.asarray(backbone.get_layer("patches")(channels))
        variance = np.mean([batch.var(axis=(0, 1, 2)) for batch in np.split(patches, 3)], axis=0)
        normalization = backbone.get_layer("patches_norm")
        assert np.asarray(normalization.moving_mean) == pytest.approx(patches.mean(axis=(0, 1, 2)), rel=1e-3, abs=1e-4)
        assert np.asarray(normalization.moving_variance) == pytest.approx(variance, rel=1e-3, abs=1e-4)
    assert normalization.momentum == 0.9


def test_frozen_backbone_keeps_its_statistics(train_epoch, ema, images):
    model = train_epoch("head")
    backbone = model.get_layer("backbone")
    before = values(backbone.variables)
    with ema.ema_weights(model, images):
        assert equal(backbone.variables, before)
