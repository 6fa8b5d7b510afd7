"""The training loop: the head on a frozen backbone, then fine-tuning, with an evaluation after each epoch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.errors import FileError
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from trainer.data.ferplus import FERPLUS_COLUMNS
from trainer.errors import TrainingError
from trainer.networks import model as network
from trainer.training.batches import TrainingBatches
from trainer.training.callbacks import EpochEvaluator, Interruption, StopOnInterrupt
from trainer.training.checkpoints import RunDirectory, settings_content
from trainer.training.class_balance import require_every_class
from trainer.training.losses import label_loss
from trainer.training.settings import HEAD, TrainingSettings
from trainer.training.targets import soft_targets


def train(
    settings: TrainingSettings,
    dataset: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    on_epoch: Callable[[RunDirectory], None] = lambda _: None,
) -> Path:
    """Train on the Training rows of `dataset`, select on its PublicTest rows, and return the path of the best model.

    Args:
        settings: saved in the run's folder; a resumed run needs the same.
        dataset: with Training and PublicTest rows, and FER+ votes if they are to be learned.
        folder: of the run, see trainer.training.checkpoints.
        resume: continue after the last completed epoch in the folder.
        on_epoch: called after each epoch, when its line is in the history.

    Raises:
        TrainingError: the folder has a run already, has none to resume or one with other settings, or it cannot be
            written; a class to balance has no Training faces. DataError: a split is missing.
    """
    training, validation = dataset.split(TRAINING), dataset.split(PUBLIC_TEST)
    if settings.balance != "none":
        require_every_class(training, settings.balance)
    settings = settings.for_dataset(dataset)
    run = RunDirectory(folder)
    content = settings_content(settings, training, validation)
    progress = run.resume(content) if resume else run.begin()
    if progress.epochs >= settings.total_epochs:
        return run.best
    keras.mixed_precision.set_global_policy(settings.precision)
    keras.utils.set_random_seed(settings.seed)
    model = build_model(settings, len(dataset.class_names), initial_weights=not progress.epochs)
    targets = soft_targets(settings.teachers, training, settings.distill_weight)
    batches = TrainingBatches(settings, training, progress.epochs, targets)
    if not resume:
        run.save_settings(content)  # only now: a run that cannot start leaves nothing behind
    with _explain_stop(folder) as interruption, closing(batches):
        for phase, first, end in settings.phases:
            if progress.epochs >= end:
                continue
            compile_model(model, settings, phase, len(batches), targets.mean(axis=0))
            if keras.backend.backend() != "tensorflow":  # builds the metrics: on JAX `fit` would use up a batch for it
                model.test_on_batch(*batches[0])
            if progress.epochs:  # also at the start of the second phase: Keras ends a fit with the averaged weights
                run.restore(model, optimizer=progress.epochs > first)
            evaluator = EpochEvaluator(settings, phase, run, progress, batches, training, validation, on_epoch)
            model.fit(
                batches,
                initial_epoch=progress.epochs,
                epochs=end,
                shuffle=False,
                verbose=1 if sys.stdout.isatty() else 2,
                callbacks=[evaluator, StopOnInterrupt(interruption)],
            )
    return run.best


def build_model(settings: TrainingSettings, classes: int, *, initial_weights: bool = True) -> Any:
    """Return the network of `settings` with its initial weights, or random ones without `initial_weights`.

    Raises TrainingError when network or weights do not exist or do not fit.
    """
    weights = settings.weights if initial_weights else "none"
    of_a_run = weights.endswith(".keras")
    model = network.build(
        settings.backbone,
        settings.input_size,
        classes,
        alpha=settings.alpha,
        weights="none" if of_a_run else weights,
        momentum=settings.batch_norm_momentum,
        dropout=settings.dropout,
    )
    if of_a_run:
        network.load_weights(model, Path(weights))
    return network.with_ferplus_head(model, len(FERPLUS_COLUMNS)) if settings.ferplus_weight else model


def compile_model(
    model: keras.Model,
    settings: TrainingSettings,
    phase: str,
    steps: int,
    frequencies: NDArray[np.floating] | None = None,
) -> None:
    """Freeze or unfreeze the backbone of `model` and set optimizer and loss for `phase`.

    Args:
        model: from `build_model`.
        settings: unfreeze, learning rates, weight decay, and what the losses need.
        phase: HEAD or FINE_TUNE.
        steps: per epoch.
        frequencies: of the classes, see trainer.training.losses.label_loss.
    """
    # A frozen backbone also uses ImageNet's batch statistics: with those of the batch a head learns well in training
    # and fails in validation.
    network.unfreeze(model, 0 if phase == HEAD else settings.unfreeze)
    optimizer = keras.optimizers.AdamW(
        settings.head_learning_rate if phase == HEAD else learning_rate_schedule(settings, steps),
        weight_decay=settings.weight_decay,
        use_ema=True,
        ema_momentum=settings.ema_momentum,
    )
    # Weight decay is for kernels; on scales and offsets it works against batch normalization (He et al., CVPR 2019).
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    losses = [label_loss(settings, frequencies)]
    loss_weights, metrics = [1.0], [["accuracy"]]
    if settings.ferplus_weight:  # without label smoothing: ten votes are soft enough
        losses.append(keras.losses.CategoricalCrossentropy())
        loss_weights.append(settings.ferplus_weight)
        metrics.append([])
    model.compile(optimizer, losses, loss_weights=loss_weights, metrics=metrics)
    optimizer.build(model.trainable_variables)


def learning_rate_schedule(settings: TrainingSettings, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a linear warm-up to `settings.learning_rate` and a cosine decay to 0 (Loshchilov and Hutter 2017)."""
    total = settings.epochs * steps
    warmup = min(round(settings.warmup_epochs * steps), total - 1)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=settings.learning_rate, warmup_steps=warmup
    )


@contextmanager
def _explain_stop(folder: Path) -> Iterator[Interruption]:
    """Turn a full disk or Ctrl-C into a TrainingError with the command to resume."""
    try:
        with Interruption() as interruption:
            yield interruption
    except FileError as error:
        raise TrainingError(
            f"{error}; the last completed epoch is kept, free space and resume with --resume"
        ) from error
    except KeyboardInterrupt:
        raise TrainingError(f"stopped; the last completed epoch is kept in {folder}, resume with --resume") from None
