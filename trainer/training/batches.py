"""Training batches: augmented images and their targets, made by threads while the previous step runs."""

from __future__ import annotations

import threading
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.inference.preprocess import resample
from trainer.data.augmentation import augment
from trainer.data.dataset import Dataset, as_inputs
from trainer.training import targets
from trainer.training.class_balance import learned_frequencies, oversampled_rows
from trainer.training.distribution import process_share
from trainer.training.settings import TrainingSettings

WORKER_THREADS = 2
STATISTICS_FACES = 4096  # Training faces, not augmented, for the batch normalization of averaged weights


class TrainingBatches(keras.utils.PyDataset):
    """The augmented batches of an epoch.

    The random numbers of an image depend only on the seed, the epoch and its place in the epoch: neither the number of
    threads nor an interruption changes them.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        dataset: Dataset,
        epoch: int = 0,
        soft_targets: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(workers=WORKER_THREADS, max_queue_size=16)
        self._idle_workers = threading.Semaphore(WORKER_THREADS)
        self._settings, self._dataset = settings, dataset
        self.epoch = epoch  # set by EpochEvaluator: Keras calls on_epoch_end more often than epochs end
        self._targets = [targets.one_hot(dataset) if soft_targets is None else soft_targets]  # (n, classes)
        if settings.ferplus_weight:
            self._targets.append(targets.label_distributions(dataset))  # (n, choices)

    def class_frequencies(self) -> dict[str, float]:
        """Return label -> how frequent it is for the model that learns from the batches, see learned_frequencies."""
        frequencies = learned_frequencies(self._targets[0], self._dataset.labels, self._settings.balance)
        return {name: round(float(x), 6) for name, x in zip(self._dataset.class_names, frequencies, strict=True)}

    def __len__(self) -> int:
        return max(1, len(self._dataset) // self._settings.batch_size)  # an incomplete batch is dropped

    def __getitem__(self, step: int) -> tuple[NDArray[np.uint8], Any]:
        """Return (n, size, size, channels) pixels and (n, classes) targets, with FER+ a pair: this process' part."""
        settings = self._settings
        with self._idle_workers:
            rng = np.random.default_rng((settings.seed, self.epoch))
            oversample, labels = settings.balance == "oversample", self._dataset.labels
            order = oversampled_rows(labels, rng) if oversample else rng.permutation(len(labels))
            rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
            own = np.arange(len(rows))[process_share(len(rows))]
            partners = len(rows) - 1 - own  # what mixup mixes each face with
            places = np.union1d(own, partners) if settings.mixup else own
            faces = [
                augment(
                    self._dataset.faces[rows[place]],
                    settings.input_size,
                    settings.augmentation,
                    np.random.default_rng((settings.seed, self.epoch, step, place)),
                )
                for place in places
            ]
            pixels = as_inputs(faces)
            batch_targets = [target[rows[places]] for target in self._targets]  # each (places, ...)
            if settings.mixup:
                rng = np.random.default_rng((settings.seed, self.epoch, step))
                weight = np.float32(rng.beta(settings.mixup, settings.mixup))
                pairs = np.searchsorted(places, own), np.searchsorted(places, partners)
                pixels = np.rint(mix(pixels, *pairs, weight)).astype(np.uint8)
                batch_targets = [mix(target, *pairs, weight) for target in batch_targets]
            return pixels, batch_targets[0] if len(batch_targets) == 1 else tuple(batch_targets)

    def close(self) -> None:
        """Wait for the batches in progress and allow no more.

        After Ctrl-C Keras leaves its threads running. One that is inside OpenCV when Python ends aborts the process.
        """
        for _ in range(WORKER_THREADS):
            self._idle_workers.acquire()


def mix(
    batch: NDArray[Any], rows: NDArray[np.int64], partners: NDArray[np.int64], weight: np.float32
) -> NDArray[np.float32]:
    """Return `weight` times the `rows` (n,) of `batch` plus 1 - `weight` times its rows `partners` (n,)."""
    return (weight * batch[rows] + (1 - weight) * batch[partners]).astype(np.float32)


def model_inputs(dataset: Dataset, size: int, effective_resolution: int | None = None) -> NDArray[np.uint8]:
    """Return (n, size, size, channels) uint8: each face as the device gives it to the model, without augmentation.

    Args:
        effective_resolution: of the model, in pixels a side; None: it is trained on faces of this data set.
    """
    resolution = effective_resolution or dataset.side
    return as_inputs([resample(face, effective_resolution=resolution, size=size) for face in dataset.faces])


def statistics_inputs(training: Dataset, size: int, effective_resolution: int | None = None) -> NDArray[np.uint8]:
    """Return (n, size, size, channels) inputs, evenly from `training`, for the statistics of batch normalization."""
    rows = np.linspace(0, len(training) - 1, min(len(training), STATISTICS_FACES), dtype=np.int64)
    return model_inputs(training.take(rows), size, effective_resolution)
