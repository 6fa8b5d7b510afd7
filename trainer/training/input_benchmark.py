"""Whether the making of images ever keeps the training waiting, and how it compares with Keras' own loader."""

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
from trainer.networks import model as network
from trainer.training import loop as training

ROUNDS = 5


@dataclass(frozen=True)
class Speeds:
    """Medians over ROUNDS, the two of each pair measured in turn."""

    made: float  # faces a second that trainer.training.loop.Batches makes
    made_by_keras: (
        float  # faces a second of ImageDataGenerator with the same ranges of flip, turn, shift, zoom and light
    )
    steps: float  # training steps a second on augmented faces
    steps_on_constant: float  # on one batch that is always the same

    @property
    def loading_ratio(self) -> float:
        """How many times faster than Keras' loader."""
        return self.made / self.made_by_keras

    @property
    def feeding_ratio(self) -> float:
        """1: training never waits for an image."""
        return self.steps / self.steps_on_constant


def measure_speeds(settings: training.Settings, dataset: Dataset, *, steps: int = 20, weights: str = "none") -> Speeds:
    """Return what was measured with `settings` (trainer.training.loop.Settings) on the Training rows of `dataset`.

    Args:
        settings: network, size and batch.
        dataset: with Training rows, at least one batch of them.
        steps: batches in each measurement.
        weights: of the network; they change no speed.

    Raises TrainingError when there are too few faces or Keras' loader lacks SciPy.
    """
    rows = dataset.split(TRAINING)
    batches = training.Batches(settings, rows)
    steps = min(steps, len(batches))
    model = network.build(
        settings.backbone,
        settings.input_size,
        len(rows.class_names),
        alpha=settings.alpha,
        weights=weights,
        momentum=settings.momentum,
        dropout=settings.dropout,
    )
    training.compile_for(model, settings, training.FINE, len(batches))
    with closing(batches):
        making = _in_turn(lambda: _make(batches, steps), lambda: _make_by_keras(settings, rows, steps))
        same = _Constant(batches[0], steps)
        _fit(model, same, 1)  # traces the step
        feeding = _in_turn(lambda: _fit(model, batches, steps), lambda: _fit(model, same, steps))
    faces = steps * settings.batch
    return Speeds(faces / making[0], faces / making[1], steps / feeding[0], steps / feeding[1])


def _in_turn(*works: Callable[[], object]) -> list[float]:
    """Return the median seconds of each of `works`."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, times in zip(works, taken, strict=True):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return [float(np.median(times)) for times in taken]


def _make(batches: Any, steps: int) -> None:
    with ThreadPoolExecutor(training.WORKERS) as pool:
        list(pool.map(batches.__getitem__, range(steps)))


def _make_by_keras(settings: training.Settings, rows: Dataset, steps: int) -> None:
    how = settings.augmentation
    generator = _generator()(
        rotation_range=how.rotate,
        width_shift_range=how.shift,
        height_shift_range=how.shift,
        zoom_range=how.zoom,
        brightness_range=(1 - how.contrast, 1 + how.contrast),
        horizontal_flip=how.flip,
        fill_mode="nearest",
    )
    few = rows.take(np.arange(min(len(rows), steps * settings.batch)))
    flow = generator.flow(training.inputs_of(few, settings.input_size), few.labels, settings.batch, seed=settings.seed)
    for _ in range(steps):
        next(flow)


def _generator() -> Any:
    try:
        import scipy.ndimage  # noqa: F401 (Keras' loader asks for it only when it is at work)
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
    except ModuleNotFoundError as error:
        raise TrainingError(f"{error.name} is not installed; Keras' loader needs it: 'pip install scipy'") from error
    return ImageDataGenerator


class _Constant(keras.utils.PyDataset):
    """The same batch over and over: what training would do if images cost nothing."""

    def __init__(self, batch: Any, steps: int) -> None:
        super().__init__()
        self._batch, self._steps = batch, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Any:
        return self._batch


def _fit(model: keras.Model, batches: keras.utils.PyDataset, steps: int) -> None:
    model.fit(batches, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
