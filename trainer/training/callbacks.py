"""Keras callbacks of the training loop, and the handling of Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.errors import TrainingError
from trainer.evaluation.metrics import compute_metrics
from trainer.training.batches import TrainingBatches, model_inputs, statistics_inputs
from trainer.training.checkpoints import Progress, RunDirectory
from trainer.training.distribution import copy_weights, on_own_device, process_count, process_index
from trainer.training.ema import averaged_weights, ema_weights
from trainer.training.settings import Stage, TrainingSettings


class EpochEvaluator(keras.callbacks.Callback):
    """Evaluates the averaged weights after each epoch, keeps the best, and writes checkpoint and history.

    Raises TrainingError after an epoch whose loss is not finite, before anything of it is written.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        stage: Stage,
        run: RunDirectory,
        progress: Progress,
        batches: TrainingBatches,
        training: Dataset,
        validation: Dataset,
        on_epoch: Callable[[RunDirectory], None],
    ) -> None:
        super().__init__()
        self._batches, self._on_epoch = batches, on_epoch
        self._copy: keras.Model | None = None
        self._settings, self._stage, self._run, self._progress = settings, stage, run, progress
        self._validation, self._inputs = validation, model_inputs(validation, settings.input_size)
        self._statistics_inputs = statistics_inputs(training, settings.input_size)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 (Keras' signature)
        self._batches.epoch = epoch
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        progress = self._progress
        if not np.isfinite(logs["loss"]):  # nor are the weights: no later epoch could be better
            raise TrainingError(
                f"the loss of epoch {epoch + 1} is {logs['loss']}: training diverged; start a new run with a lower "
                "learning rate"
            )
        if process_index():  # the first process evaluates and writes
            progress.epochs = epoch + 1
            return
        averages = averaged_weights(self.model)
        with self._evaluated_model() as model, ema_weights(model, self._statistics_inputs, averages):
            metrics = compute_metrics(self._predict(model), self._validation)
            is_best = metrics.accuracy > progress.best
            files = [self._run.best] if is_best else []
            if epoch >= self._settings.total_epochs - self._settings.keep_epochs:
                files.append(self._run.epoch_file(epoch + 1))
            for file in files:
                self._run.save_model(file, model, self._validation, self._batches.class_frequencies())
        progress.epochs, progress.best = epoch + 1, max(progress.best, metrics.accuracy)
        progress.seconds += time.monotonic() - self._started
        output = f"{self.model.output_names[0]}_" if self._settings.ferplus_weight else ""
        row = {
            "epoch": progress.epochs,
            "phase": self._stage.phase,
            "input_size": self._stage.input_size,
            "loss": round(float(logs["loss"]), 5),
            "accuracy": round(float(logs[f"{output}accuracy"]), 5),
            "val_loss": round(metrics.loss, 5),
            "val_accuracy": round(metrics.accuracy, 5),
            "val_macro_f1": round(metrics.macro_f1, 5),
            "learning_rate": float(np.asarray(self.model.optimizer.learning_rate)),
            "seconds": round(progress.seconds, 1),
        }
        self._run.add_epoch(row)
        self._on_epoch(self._run)
        self._run.save(self.model, progress)
        part = f"{self._stage.phase}, {self._stage.input_size} px"
        print(
            f"epoch {progress.epochs}/{self._settings.total_epochs} ({part}): PublicTest accuracy "
            f"{metrics.accuracy:.4f}, macro-F1 {metrics.macro_f1:.4f}{'  best so far' if is_best else ''}",
            flush=True,
        )

    @contextmanager
    def _evaluated_model(self) -> Iterator[keras.Model]:
        """Give the model, or where several processes share it a copy of this process' own."""
        if process_count() == 1:
            yield self.model
            return
        with on_own_device():
            if self._copy is None:
                self._copy = keras.models.clone_model(self.model)
            copy_weights(self.model, self._copy)
            yield self._copy

    def _predict(self, model: keras.Model) -> NDArray[np.float32]:
        """Return (n, classes) probabilities of the validation faces by `model`.

        The last batch is filled up with copies: several devices cannot share a smaller one.
        """
        batch_size, n = self._settings.batch_size, len(self._inputs)
        padded = np.pad(self._inputs, ((0, -n % batch_size), (0, 0), (0, 0), (0, 0)), mode="edge")
        outputs = model.predict(padded, batch_size=batch_size, verbose=0)
        probabilities: NDArray[np.float32] = (outputs[0] if self._settings.ferplus_weight else outputs)[:n]
        return probabilities


class Interruption:
    """Takes the first Ctrl-C as a request to stop after the current step; a second one raises KeyboardInterrupt.

    A KeyboardInterrupt in the middle of a step can be raised in a callback of Keras or TensorFlow, and get lost.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self._in_main_thread = threading.current_thread() is threading.main_thread()  # only it can handle signals
        if self._in_main_thread:

            def handle(*_: object) -> None:
                if self.requested:
                    raise KeyboardInterrupt
                self.requested = True

            self._previous_handler = signal.signal(signal.SIGINT, handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_main_thread:
            signal.signal(signal.SIGINT, self._previous_handler)


class StopOnInterrupt(keras.callbacks.Callback):
    """Raises KeyboardInterrupt after the step in which `interruption` was requested."""

    def __init__(self, interruption: Interruption) -> None:
        super().__init__()
        self._interruption = interruption

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 (Keras' signature)
        if self._interruption.requested:
            raise KeyboardInterrupt
