"""Benchmark of the input pipeline: is it the training bottleneck, and is it faster than Keras' ImageDataGenerator?"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from trainer.data.dataset import TRAINING, Dataset
from trainer.errors import TrainingError
from trainer.training.batches import WORKER_THREADS, TrainingBatches, model_inputs
from trainer.training.loop import build_model, compile_model
from trainer.training.settings import FINE_TUNE, TrainingSettings

ROUNDS = 5


@dataclass(frozen=True)
class InputSpeed:
    """Medians over ROUNDS; the two of each pair are measured interleaved."""

    images: float  # per second, from TrainingBatches
    keras_images: (
        float  # per second, from ImageDataGenerator with the same ranges of flip, rotation, shear, shift, zoom, light
    )
    steps: float  # training steps per second on augmented batches
    constant_steps: float  # training steps per second on one constant batch

    @property
    def image_ratio(self) -> float:
        """Speed relative to ImageDataGenerator."""
        return self.images / self.keras_images

    @property
    def step_ratio(self) -> float:
        """Training speed relative to a constant batch; 1: the input pipeline is no bottleneck."""
        return self.steps / self.constant_steps


def measure_input_speed(settings: TrainingSettings, dataset: Dataset, *, steps: int = 20) -> InputSpeed:
    """Return the speed of the input pipeline with `settings` on the Training rows of `dataset`.

    Args:
        settings: network, input size and batch size; weights change no speed.
        dataset: with Training rows, at least one batch of them.
        steps: batches in each measurement.

    Raises TrainingError when there are too few faces or Keras' loader lacks SciPy.
    """
    rows = dataset.split(TRAINING)
    settings = settings.for_dataset(rows)
    batches = TrainingBatches(settings, rows)
    steps = min(steps, len(batches))
    model = build_model(settings, len(rows.class_names), initial_weights=False)
    compile_model(model, settings, FINE_TUNE, len(batches))
    with closing(batches):
        image_seconds = time_interleaved(
            lambda: make_batches(batches, steps), lambda: make_keras_batches(settings, rows, steps)
        )
        constant = _ConstantBatches(batches[0], steps)
        _fit(model, constant, 1)  # traces the step
        step_seconds = time_interleaved(lambda: _fit(model, batches, steps), lambda: _fit(model, constant, steps))
    images = steps * settings.batch_size
    return InputSpeed(
        images / image_seconds[0], images / image_seconds[1], steps / step_seconds[0], steps / step_seconds[1]
    )


def time_interleaved(
    *functions: Callable[[], object], rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return the median seconds of each of `functions`, interleaved, so that all see the same machine load."""
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, samples in zip(functions, seconds, strict=True):
            start = clock()
            function()
            samples.append(clock() - start)
    return [float(np.median(samples)) for samples in seconds]


def make_batches(batches: TrainingBatches, steps: int) -> None:
    """Make the first `steps` batches with the threads that training uses."""
    with ThreadPoolExecutor(WORKER_THREADS) as pool:
        list(pool.map(batches.__getitem__, range(steps)))


def make_keras_batches(settings: TrainingSettings, rows: Dataset, steps: int) -> None:
    """Make `steps` batches with ImageDataGenerator. Raises TrainingError when SciPy is missing."""
    try:
        import scipy.ndimage  # noqa: F401 (Keras' loader imports it only while it runs)
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
    except ModuleNotFoundError as error:
        raise TrainingError(f"{error.name} is not installed; Keras' loader needs it: 'pip install scipy'") from error
    ranges = settings.augmentation
    generator = ImageDataGenerator(
        rotation_range=ranges.rotate,
        shear_range=ranges.shear,
        width_shift_range=ranges.shift,
        height_shift_range=ranges.shift,
        zoom_range=ranges.zoom,
        brightness_range=(1 - ranges.contrast, 1 + ranges.contrast),
        horizontal_flip=ranges.flip,
        fill_mode="nearest",
    )
    used = rows.take(np.arange(min(len(rows), steps * settings.batch_size)))
    inputs = model_inputs(used, settings.input_size)
    flow = generator.flow(inputs, used.labels, settings.batch_size, seed=settings.seed)
    for _ in range(steps):
        next(flow)


class _ConstantBatches(keras.utils.PyDataset):
    """The same batch at each step: the training speed without an input pipeline."""

    def __init__(self, batch: Any, steps: int) -> None:
        super().__init__()
        self._batch, self._steps = batch, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Any:
        return self._batch


def _fit(model: keras.Model, batches: keras.utils.PyDataset, steps: int) -> None:
    model.fit(batches, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
