"""The training loop: the head on a frozen backbone, then fine-tuning, with an evaluation after each epoch."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.errors import FileError
from edge.inference.model_file import RGB
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from trainer.data.ferplus import FERPLUS_COLUMNS
from trainer.errors import TrainingError
from trainer.evaluation.metrics import compute_metrics
from trainer.networks import model as network
from trainer.networks.backbones import require_size
from trainer.training.batches import TrainingBatches
from trainer.training.callbacks import EpochEvaluator, Interruption, StopOnInterrupt
from trainer.training.checkpoints import Progress, RunDirectory, settings_content
from trainer.training.class_balance import require_every_class
from trainer.training.distribution import process_count, process_index
from trainer.training.doubtful_labels import find_doubtful, softened_targets
from trainer.training.losses import label_loss
from trainer.training.settings import HEAD, TrainingSettings
from trainer.training.targets import one_hot, soft_targets
from trainer.training.teachers import teacher_predictions

SGD_MOMENTUM = 0.9  # Sutskever et al., ICML 2013
# Of the averaged weights at the end of a phase, how much may come from the weights that it began with. A data set of
# 420 faces has 48 steps in 8 epochs: a momentum of 0.998 left 91 % of them.
MAX_INITIAL_FRACTION = 0.05

_log = logging.getLogger(__name__)


def train(
    settings: TrainingSettings,
    dataset: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    teacher_cache: Path | None = None,
    on_epoch: Callable[[RunDirectory], None] = lambda _: None,
) -> Path:
    """Train on the Training rows of `dataset`, select on its PublicTest rows, and return the path of the best model.

    Args:
        settings: saved in the run's folder; a resumed run needs the same.
        dataset: with Training and PublicTest rows, and FER+ votes if they are to be learned.
        folder: of the run, see trainer.training.checkpoints.
        resume: continue after the last completed epoch in the folder.
        teacher_cache: folder of the predictions of teachers, which several runs may share; None: one in `folder`.
        on_epoch: called after each epoch, when its line is in the history.

    Raises:
        TrainingError: the folder has a run already, has none to resume or one with other settings, or it cannot be
            written; a class has no Training faces. DataError: a split is missing.
    """
    if (settings.color == RGB) != (dataset.channels == 3):
        raise TrainingError(f"{dataset.source}: was not read in {settings.color}, the color of the settings")
    everything, validation = dataset.split(TRAINING), dataset.split(PUBLIC_TEST)
    rows, labels = label_targets(settings, everything)
    training = everything.take(rows)
    require_every_class(training)
    settings = settings.for_dataset(dataset)
    run = RunDirectory(folder)
    content = settings_content(settings, training, validation)
    is_first = process_index() == 0  # of several processes it alone writes
    progress = run.resume(content) if resume else run.begin() if is_first else Progress()
    if progress.epochs >= settings.total_epochs:
        return run.best
    for stage in settings.stages:
        require_size(settings.backbone, stage.input_size)
    keras.mixed_precision.set_global_policy(settings.precision)
    keras.utils.set_random_seed(settings.seed)
    stage = next(stage for stage in settings.stages if stage.end > progress.epochs)
    model = build_model(stage.adapt(settings), len(dataset.class_names), initial_weights=not progress.epochs)
    if settings.teachers:
        if process_count() > 1:
            raise TrainingError("--teacher does not work in several processes; train in one, on all its devices")
        cache = teacher_cache or run.teachers
        _log_teachers(settings.teachers, teacher_predictions(settings.teachers, validation, cache), validation)
        labels = soft_targets(
            labels, teacher_predictions(settings.teachers, everything, cache), settings.distill_weight
        )
    if not resume and is_first:
        run.save_settings(content)  # only now: a run that cannot start leaves nothing behind
    _train_stages(model, settings, run, progress, training, validation, labels[rows], on_epoch)
    return run.best


def label_targets(settings: TrainingSettings, training: Dataset) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return (m,) the rows of the n in `training` to learn from, and (n, classes) the targets of all their labels."""
    rows = np.arange(len(training))
    if settings.ferplus_clean == "none":
        return rows, one_hot(training)
    doubtful = find_doubtful(training)
    _log.info("%s: %s", {"drop": "left out", "soften": "softened"}[settings.ferplus_clean], doubtful)
    if settings.ferplus_clean == "drop":
        return rows[~doubtful.rows], one_hot(training)
    return rows, softened_targets(training, doubtful.rows)


def _log_teachers(teachers: Sequence[Path], predictions: NDArray[np.float32], validation: Dataset) -> None:
    """Log the accuracy of each of `teachers` and of their mean, which the student can hardly exceed."""
    each = [compute_metrics(one, validation).accuracy for one in predictions]
    for teacher, accuracy in zip(teachers, each, strict=True):
        _log.info("teacher %s: PublicTest accuracy %.4f with the mirror image", teacher, accuracy)
    mean = compute_metrics(predictions.mean(axis=0), validation).accuracy
    _log.info("mean of %d teachers: PublicTest accuracy %.4f", len(each), mean)


def _train_stages(
    model: Any,
    settings: TrainingSettings,
    run: RunDirectory,
    progress: Progress,
    training: Dataset,
    validation: Dataset,
    targets: NDArray[np.float32],
    on_epoch: Callable[[RunDirectory], None],
) -> None:
    """Train what is left of the stages of `settings`, with the (n, classes) `targets` of the n rows of `training`."""
    previous_size = None
    with _explain_stop(run.folder) as interruption:
        for stage in settings.stages:
            if progress.epochs == stage.first and stage.input_size != previous_size:
                progress.best = -1.0  # the best model is one of the present input size
            previous_size = stage.input_size
            if progress.epochs >= stage.end:
                continue
            staged = stage.adapt(settings)
            if model.input_shape[1] != stage.input_size:
                model = build_model(staged, len(training.class_names), initial_weights=False)
            with closing(TrainingBatches(staged, training, progress.epochs, targets)) as batches:
                compile_model(model, staged, stage.phase, len(batches), targets.mean(axis=0))
                if keras.backend.backend() != "tensorflow":  # builds the metrics: on JAX `fit` would use a batch for it
                    model.test_on_batch(*batches[0])
                if progress.epochs:  # also at the start of a stage: Keras ends a fit with the averaged weights
                    run.restore(model, optimizer=progress.epochs > stage.phase_first)
                evaluator = EpochEvaluator(staged, stage, run, progress, batches, training, validation, on_epoch)
                model.fit(
                    batches,
                    initial_epoch=progress.epochs,
                    epochs=stage.end,
                    shuffle=False,
                    verbose=0 if process_index() else 1 if sys.stdout.isatty() else 2,
                    callbacks=[evaluator, StopOnInterrupt(interruption)],
                )


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
        channels=3 if settings.color == RGB else 1,
        flatten=settings.flattens,
        dense=settings.dense_units,
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
    kind, options = {
        "adamw": (keras.optimizers.AdamW, {"weight_decay": settings.weight_decay}),
        "sgd": (
            keras.optimizers.SGD,
            {"weight_decay": settings.weight_decay, "momentum": SGD_MOMENTUM, "nesterov": True},
        ),
        "adam": (keras.optimizers.Adam, {}),
    }[settings.optimizer]
    total = steps * max(1, settings.head_epochs if phase == HEAD else settings.epochs)
    optimizer = kind(
        settings.head_learning_rate if phase == HEAD else learning_rate_schedule(settings, steps),
        use_ema=True,
        ema_momentum=min(settings.ema_momentum, MAX_INITIAL_FRACTION ** (1 / total)),
        **options,
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
