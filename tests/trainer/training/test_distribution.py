"""Several devices share each batch and come to the result of one; what cannot be shared is refused."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.paths import ROOT
from trainer.errors import TrainingError

pytestmark = pytest.mark.keras

# A run of the tiny network whose PublicTest rows are odd in number: two devices cannot share the last of them evenly.
PROGRAM = """
import sys
from pathlib import Path
from tests.support.small import DATA, add_tiny_backbone
backbone = add_tiny_backbone()
import jax, numpy as np
from trainer.training import distribution as devices
from trainer.training.loop import Settings, train
used = devices.spread(16)
settings = Settings(backbone=backbone, input_size=32, weights="none", epochs=2, batch=16, rate=3e-3, average=0.8)
train(settings, DATA.take(np.arange(len(DATA) - 8)), Path(sys.argv[1]))
print("devices", used, len(jax.devices()))
"""


def trained_on(devices, folder):
    """Train on so many virtual devices; return what the process says and the figures of each epoch."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    root = ROOT
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ("loss", "accuracy", "val_loss", "val_accuracy")
    return done.stdout.splitlines()[-1], np.array([[float(row[key]) for key in keys] for row in rows])


@pytest.mark.slow
def test_two_devices_come_to_the_result_of_one(tmp_path):
    said_one, one = trained_on(1, tmp_path / "one")
    said_two, two = trained_on(2, tmp_path / "two")
    assert (said_one, said_two) == ("devices 1 1", "devices 2 2")
    assert one.shape == (3, 4)
    assert two == pytest.approx(one, abs=2e-3)


@pytest.fixture
def devices(settings):
    """The module, imported when Keras has been loaded."""
    from trainer.training import distribution as devices

    return devices


pytest_plugins = ["tests.support.trained"]


def test_another_backend_is_refused_with_the_one_that_can(devices):
    with pytest.raises(
        TrainingError, match=r"^several devices need Keras on JAX, found tensorflow; set KERAS_BACKEND=jax"
    ):
        devices.spread(64)


def test_a_batch_that_does_not_divide_is_refused(devices, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    monkeypatch.setattr("keras.distribution.list_devices", lambda: ["gpu:0", "gpu:1", "gpu:2"])
    with pytest.raises(
        TrainingError, match=r"^batch is 64, which 3 devices cannot share evenly; take a multiple of 3$"
    ):
        devices.spread(64)


def test_a_single_device_needs_nothing(devices, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    monkeypatch.setattr("keras.distribution.list_devices", lambda: ["cpu:0"])
    assert devices.spread(63) == 1
    import keras

    assert keras.distribution.distribution() is None
