"""Fixtures of a run that is trained and quantized once per session: `pytest_plugins = ["tests.support.trained"]`.

Keras is imported when one is first used, so that the tests can be collected where it is not installed.
"""

from __future__ import annotations

import pytest

from tests.support.small import DATA, add_tiny_backbone


@pytest.fixture(scope="session")
def settings():
    backbone = add_tiny_backbone()
    from trainer.training.settings import TrainingSettings

    return TrainingSettings(
        data="tiny.csv",
        backbone=backbone,
        input_size=32,
        weights="none",
        epochs=4,
        batch_size=16,
        learning_rate=3e-3,
        ema_momentum=0.8,  # averages over 5 of the 35 steps
        ferplus_weight=0.0,
    )


@pytest.fixture(scope="session")
def run(settings, tmp_path_factory):
    """Return the folder of a finished run."""
    from trainer.reports.curves import write_curves
    from trainer.training.loop import train

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train(settings, DATA, folder, on_epoch=write_curves)
    return folder


@pytest.fixture(scope="session")
def quantized(run, tmp_path_factory):
    """Return the int8 file of that run and the result of its quantization."""
    from trainer.quantization.quantize import quantize

    out = tmp_path_factory.mktemp("models") / "tiny.tflite"
    return out, quantize(run / "best.keras", DATA, out, samples=70)
