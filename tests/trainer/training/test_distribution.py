"""Data-parallel training gives the result of one device; what cannot be divided is an error."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.paths import ROOT
from tests.trainer.training.test_launcher import free_port_pair
from trainer.errors import TrainingError
from trainer.training.launcher import Group

pytestmark = pytest.mark.keras

# A run of the tiny network with an odd number of PublicTest rows: two devices cannot share them evenly.
PROGRAM = """
import sys
from pathlib import Path
from tests.support.small import DATA, add_tiny_backbone
backbone = add_tiny_backbone()
import jax, numpy as np
from trainer.training.distribution import use_all_devices
from trainer.training.loop import train
from trainer.training.settings import TrainingSettings
used = use_all_devices(16)
settings = TrainingSettings(
    backbone=backbone, input_size=32, weights="none", epochs=2, batch_size=16, learning_rate=3e-3, ema_momentum=0.8,
    mixup=float(sys.argv[2])
)
train(settings, DATA.take(np.arange(len(DATA) - 8)), Path(sys.argv[1]))
print("devices", used, len(jax.devices()))
"""


def train_on(devices, folder, mixup="0.0"):
    """Train on `devices` virtual devices; return the last line of output and the history."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-c", PROGRAM, str(folder), mixup]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1], history(folder)


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ("loss", "accuracy", "val_loss", "val_accuracy")
    return np.array([[float(row[key]) for key in keys] for row in rows])


@pytest.mark.slow
def test_two_devices_give_the_result_of_one(tmp_path):
    output_one, one = train_on(1, tmp_path / "one")
    output_two, two = train_on(2, tmp_path / "two")
    assert (output_one, output_two) == ("devices 1 1", "devices 2 2")
    assert one.shape == (3, 4)
    assert two == pytest.approx(one, abs=2e-3)


def train_in_processes(count, folder, arguments=()):
    """Train in `count` processes with a device each; return the history. The port is a free one."""
    port = free_port_pair()
    flags = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    command = [sys.executable, "-c", PROGRAM, str(folder), *arguments]
    processes = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=flags | Group("127.0.0.1", port, count, process).environment,
        )
        for process in range(count)
    ]
    try:
        outputs = [process.communicate(timeout=500)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * count, outputs
    return history(folder)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mixup", ["0.0", "0.2"])
def test_two_processes_give_the_result_of_one(mixup, tmp_path):
    _, one = train_on(1, tmp_path / "one", mixup)
    two = train_in_processes(2, tmp_path / "two", [mixup])
    assert one.shape == (3, 4)
    assert two == pytest.approx(one, abs=2e-3)


@pytest.fixture(scope="module")
def use_all_devices():
    """The function, imported after Keras was loaded."""
    from trainer import keras_backend

    keras_backend.load()
    from trainer.training.distribution import use_all_devices

    return use_all_devices


@pytest.fixture
def set_devices(monkeypatch):
    """Return a function that pretends that Keras runs on JAX with the given devices."""

    def pretend(*devices):
        monkeypatch.setattr("keras.backend.backend", lambda: "jax")
        monkeypatch.setattr("keras.distribution.list_devices", lambda: list(devices))

    return pretend


def test_other_backend_is_an_error_that_names_jax(use_all_devices):
    with pytest.raises(TrainingError, match=r"found tensorflow; .*KERAS_BACKEND=jax"):
        use_all_devices(64)


def test_batch_that_does_not_divide_is_an_error(use_all_devices, set_devices):
    set_devices("gpu:0", "gpu:1", "gpu:2")
    with pytest.raises(TrainingError, match=r"^batch_size is 64, .*multiple .*3$"):
        use_all_devices(64)


def test_single_device_needs_no_distribution(use_all_devices, set_devices):
    import keras

    set_devices("cpu:0")
    assert use_all_devices(63) == 1
    assert keras.distribution.distribution() is None
