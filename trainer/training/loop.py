"""One training run, top to bottom: the head on a frozen backbone, then all layers, validated after each epoch."""

from __future__ import annotations

import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from edge.errors import FileError
from edge.inference.preprocess import resample
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from trainer.data.ferplus import FERPLUS_COLUMNS
from trainer.errors import TrainingError
from trainer.evaluation.metrics import measure
from trainer.networks import model as network
from trainer.training import targets
from trainer.training.augmentation import Augmentation, augment
from trainer.training.checkpoints import Progress, Run

HEAD, FINE = "head", "fine-tune"
WORKERS = 2  # threads that make batches
STATISTICS = 4096  # unchanged Training faces from which batch normalization is measured for the averaged weights


@dataclass(frozen=True)
class Settings:
    """What a run is told; each default with its reason. "Measured" is on PublicTest."""

    data: str = ""  # name of what it is trained on
    backbone: str = "mobilenet_v2"
    alpha: float = 1.0
    input_size: int = 96  # 48 px faces enlarged twice: leaves 3 x 3 feature maps to pool, at a fifth of 224's cost
    weights: str = "imagenet"  # "imagenet", "none" or the name of a file
    head_epochs: int = 1  # enough for the new head to stop sending noise into the pretrained layers
    epochs: int = 15
    unfreeze: int | None = None  # layers of the backbone, from the end, that fine-tuning trains; None: all
    batch: int = 64
    head_rate: float = 3e-3
    rate: float = 1e-3  # AdamW's usual one; pretrained layers bear it after the warm-up
    warm_up: float = 0.5  # epochs
    weight_decay: float = 1e-2
    average: float = 0.998  # of the weights, a step: a memory of about one epoch
    momentum: float = 0.9  # of batch normalization; Keras' 0.999 lags epochs behind on so few steps
    dropout: float = 0.3
    label_smoothing: float = 0.1  # ten people's majority names FER2013's label on two faces of three
    seed: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixup: float = 0.0  # both parameters of the Beta distribution by which two faces are blended (Zhang et al. 2018)
    teachers: tuple[str, ...] = ()  # names of the runs or files that soften the labels
    teaching: float = 0.5  # share of the target that is theirs
    votes: float = 0.0  # weight of the loss of FER+'s votes beside that of the labels; 0 without FER+

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("head_epochs", 0), ("batch", 1), ("input_size", 16), ("seed", 0)):
            if getattr(self, name) < least:
                raise TrainingError(f"{name} is {getattr(self, name)}, expected at least {least}")

    @property
    def total_epochs(self) -> int:
        """Epochs of both phases."""
        return self.head_epochs + self.epochs

    @property
    def phases(self) -> tuple[tuple[str, int, int], ...]:
        """Each phase with the epochs, from the first on, that it begins and ends after."""
        return (HEAD, 0, self.head_epochs), (FINE, self.head_epochs, self.total_epochs)


def train(
    settings: Settings,
    dataset: Dataset,
    folder: Path,
    *,
    weights: str = "none",
    teachers: Sequence[Path] = (),
    resume: bool = False,
) -> Path:
    """Train on the Training rows of `dataset`, select on its PublicTest rows, and return the path of the best model.

    Args:
        settings: kept in the run's folder; a resumed run must be given the same.
        dataset: with Training and PublicTest rows.
        folder: the run's, see trainer.training.checkpoints.
        weights: "imagenet", "none", a weights file of the backbone, or a .keras file of an earlier run, to start from.
        teachers: run folders or .keras files whose opinion softens the labels.
        resume: go on from the last whole epoch in the folder.

    Raises:
        TrainingError: the folder holds another run, there is none to resume, it was made with other settings, or it
            cannot be written to. DataError: a split is missing.
    """
    training, validation = dataset.split(TRAINING), dataset.split(PUBLIC_TEST)
    run = Run(folder)
    about = _about(settings, training, validation)
    progress = run.resume(about) if resume else run.begin()
    if progress.epochs >= settings.total_epochs:
        return run.best
    keras.utils.set_random_seed(settings.seed)
    model = _network(settings, len(dataset.class_names), weights if not progress.epochs else "none")
    taught = targets.taught(teachers, training, settings.teaching, _say)
    batches = Batches(settings, training, progress.epochs, taught)
    if not resume:
        run.describe(about)  # not before the weights are there: what could not start leaves nothing behind
    with _kept(folder) as interruption, closing(batches):
        for phase, first, end in settings.phases:
            if progress.epochs >= end:
                continue
            compile_for(model, settings, phase, len(batches))
            _build_metrics(model, batches)
            if progress.epochs:  # also after a phase, at whose end Keras put the averaged weights in
                run.restore(model, optimizer=progress.epochs > first)
            model.fit(
                batches,
                initial_epoch=progress.epochs,
                epochs=end,
                shuffle=False,
                verbose=1 if sys.stdout.isatty() else 2,
                callbacks=[Watch(settings, phase, run, progress, batches, training, validation), Stop(interruption)],
            )
    return run.best


def _network(settings: Settings, classes: int, weights: str) -> Any:
    """Return the network of `settings`, which starts from `weights` as `train` takes them."""
    model = network.build(
        settings.backbone,
        settings.input_size,
        classes,
        alpha=settings.alpha,
        weights="none" if _own(weights) else weights,
        momentum=settings.momentum,
        dropout=settings.dropout,
    )
    if _own(weights):
        network.start_from(model, Path(weights))
    return network.with_votes(model, len(FERPLUS_COLUMNS)) if settings.votes else model


def _own(weights: str) -> bool:
    return weights.endswith(".keras")


def _say(text: str) -> None:
    print(text, flush=True)


def _about(settings: Settings, training: Dataset, validation: Dataset) -> dict[str, Any]:
    versions = {"python": platform.python_version(), "keras": keras.__version__, "backend": keras.backend.backend()}
    return {
        "settings": asdict(settings),
        "labels": list(training.class_names),
        "detail": training.side,
        "training": training.counts(),
        "validation": validation.counts(),
        "versions": versions,
    }


class Interruption:
    """Notes the first Ctrl-C, for the training to end after the step in hand; the second one ends it where it is.

    A KeyboardInterrupt in the middle of a step can end up in one of Keras' or TensorFlow's own callbacks, and be lost.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._main = threading.current_thread() is threading.main_thread()  # only there signals can be taken
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)

    def _take(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def _kept(folder: Path) -> Iterator[Interruption]:
    """Say in one line, after a full disk or Ctrl-C, that nothing but the epoch in hand is lost."""
    try:
        with Interruption() as interruption:
            yield interruption
    except FileError as error:
        raise TrainingError(f"{error}; the last whole epoch is kept, make room and go on with --resume") from error
    except KeyboardInterrupt:
        raise TrainingError(f"stopped; the last whole epoch is kept in {folder}, go on with --resume") from None


# --- data -----------------------------------------------------------------------------------------------------------


def inputs_of(dataset: Dataset, size: int) -> NDArray[np.uint8]:
    """Return (n, size, size, 1) uint8: each face as the device would hand it to the model."""
    faces = [resample(face, detail=dataset.side, size=size) for face in dataset.faces]
    return np.stack(faces)[..., np.newaxis]


class Batches(keras.utils.PyDataset):
    """The augmented training batches; threads make them while the step before runs.

    What is drawn for an image depends on the seed, the epoch and its place in the epoch alone: neither the number of
    threads nor an interruption changes it.
    """

    def __init__(
        self, settings: Settings, dataset: Dataset, epoch: int = 0, taught: NDArray[np.float32] | None = None
    ) -> None:
        super().__init__(workers=WORKERS, max_queue_size=16)
        self._free = threading.Semaphore(WORKERS)
        self._settings, self._dataset = settings, dataset
        self.epoch = epoch  # set by Watch as one begins: Keras calls on_epoch_end more often than epochs end
        self._targets = [targets.labels(dataset) if taught is None else taught]  # (n, classes)
        if settings.votes:
            self._targets.append(targets.votes(dataset))  # (n, choices)

    def __len__(self) -> int:
        return max(1, len(self._dataset) // self._settings.batch)  # the rest of a shuffle is left out this epoch

    def __getitem__(self, step: int) -> tuple[NDArray[np.uint8], Any]:
        """Return (batch, size, size, 1) pixels and (batch, classes) targets; with votes a pair of targets."""
        with self._free:
            return self._make(step)

    def _make(self, step: int) -> tuple[NDArray[np.uint8], Any]:
        how = self._settings
        order = np.random.default_rng((how.seed, self.epoch)).permutation(len(self._dataset))
        rows = order[step * how.batch : (step + 1) * how.batch]
        rng = np.random.default_rng((how.seed, self.epoch, step))
        faces = [augment(self._dataset.faces[row], how.input_size, how.augmentation, rng) for row in rows]
        pixels = np.stack(faces)[..., np.newaxis]  # (batch, size, size, 1)
        wanted = [target[rows] for target in self._targets]  # each (batch, ...)
        if how.mixup:
            share = np.float32(rng.beta(how.mixup, how.mixup))
            pixels = np.rint(_blend(pixels, share)).astype(np.uint8)
            wanted = [_blend(target, share) for target in wanted]
        return pixels, wanted[0] if len(wanted) == 1 else tuple(wanted)

    def close(self) -> None:
        """Let no more batches be made, and wait for those in the making.

        After Ctrl-C Keras leaves its threads running. One that is inside OpenCV when Python ends aborts the process.
        """
        for _ in range(WORKERS):
            self._free.acquire()


def _blend(batch: NDArray[Any], share: np.float32) -> NDArray[np.float32]:
    """Return each row of `batch` mixed with the row at the same place from the end."""
    return (share * batch + (1 - share) * batch[::-1]).astype(np.float32)


# --- the two phases -------------------------------------------------------------------------------------------------


def compile_for(model: keras.Model, settings: Settings, phase: str, steps: int) -> None:
    """Freeze or free the backbone of `model` and give it optimizer and loss for `phase` of epochs of `steps` steps."""
    # What is frozen also runs its batch normalization on ImageNet's statistics: with those of the batch a head looks
    # good in training and bad in validation.
    network.unfreeze(model, 0 if phase == HEAD else settings.unfreeze)
    optimizer = keras.optimizers.AdamW(
        settings.head_rate if phase == HEAD else _cosine(settings, steps),
        weight_decay=settings.weight_decay,
        use_ema=True,
        ema_momentum=settings.average,
    )
    # Decay is for kernels; on scales and offsets it works against batch normalization (He et al., CVPR 2019).
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    crossentropy = keras.losses.CategoricalCrossentropy
    losses = [crossentropy(label_smoothing=settings.label_smoothing)]
    if settings.votes:
        losses.append(crossentropy())  # ten voters are smooth enough
    metrics = [["accuracy"], *([] for _ in losses[1:])]
    model.compile(optimizer, losses, loss_weights=[1.0, settings.votes][: len(losses)], metrics=metrics)
    optimizer.build(model.trainable_variables)


def _build_metrics(model: keras.Model, batches: Batches) -> None:
    """Let Keras see a batch outside `fit`, where on JAX it would take one away from a resumed run's first epoch."""
    if keras.backend.backend() != "tensorflow":
        model.test_on_batch(*batches[0])


def _cosine(settings: Settings, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a rate that climbs to `settings.rate` and falls to 0 in a half cosine (Loshchilov and Hutter 2017)."""
    total = settings.epochs * steps
    warm = min(round(settings.warm_up * steps), total - 1)
    return keras.optimizers.schedules.CosineDecay(0.0, total - warm, warmup_target=settings.rate, warmup_steps=warm)


class Watch(keras.callbacks.Callback):
    """Ends each epoch: averages the weights, validates them, keeps the best, and writes everything down."""

    def __init__(
        self,
        settings: Settings,
        phase: str,
        run: Run,
        progress: Progress,
        batches: Batches,
        training: Dataset,
        validation: Dataset,
    ) -> None:
        super().__init__()
        self._batches = batches
        self._settings, self._phase, self._run, self._progress = settings, phase, run, progress
        self._validation, self._inputs = validation, inputs_of(validation, settings.input_size)
        spread = np.linspace(0, len(training) - 1, min(len(training), STATISTICS), dtype=np.int64)
        self._statistics = inputs_of(training.take(spread), settings.input_size)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 (Keras' signature)
        self._batches.epoch = epoch
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        progress = self._progress
        with averaged(self.model, self._statistics):
            found = measure(self._scores(), self._validation)
            better = found.accuracy > progress.best
            if better:
                self._run.save_best(self.model, self._validation)
        progress.epochs, progress.best = epoch + 1, max(progress.best, found.accuracy)
        progress.seconds += time.monotonic() - self._started
        row = {
            "epoch": progress.epochs,
            "phase": self._phase,
            "loss": round(float(logs["loss"]), 5),
            "accuracy": round(float(logs["scores_accuracy" if self._settings.votes else "accuracy"]), 5),
            "val_loss": round(found.loss, 5),
            "val_accuracy": round(found.accuracy, 5),
            "val_macro_f1": round(found.macro_f1, 5),
            "rate": float(np.asarray(self.model.optimizer.learning_rate)),
            "seconds": round(progress.seconds, 1),
        }
        self._run.add_epoch(row)
        self._run.save(self.model, progress)
        print(
            f"epoch {progress.epochs}/{self._settings.total_epochs} ({self._phase}): PublicTest accuracy "
            f"{found.accuracy:.4f}, macro-F1 {found.macro_f1:.4f}{'  best so far' if better else ''}",
            flush=True,
        )

    def _scores(self) -> NDArray[np.float32]:
        """Return (n, classes) shares of the validation faces.

        Only whole batches are predicted, the last one filled with copies: several devices cannot share an odd rest.
        """
        batch, n = self._settings.batch, len(self._inputs)
        whole = np.pad(self._inputs, ((0, -n % batch), (0, 0), (0, 0), (0, 0)), mode="edge")
        said = self.model.predict(whole, batch_size=batch, verbose=0)
        scores: NDArray[np.float32] = (said[0] if self._settings.votes else said)[:n]
        return scores


class Stop(keras.callbacks.Callback):
    """Ends the training after a step when Ctrl-C has asked for it."""

    def __init__(self, interruption: Interruption) -> None:
        super().__init__()
        self._interruption = interruption

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 (Keras' signature)
        if self._interruption.asked:
            raise KeyboardInterrupt


@contextmanager
def averaged(model: keras.Model, images: NDArray[np.uint8]) -> Iterator[None]:
    """Put the optimizer's averaged weights into `model` for the length of the block.

    The moving statistics of batch normalization belong to the latest weights and are wrong for the averaged ones (35 %
    instead of 61 % accuracy in an early epoch), so they are measured anew on `images` (n, size, size, 1), as for
    stochastic weight averaging (Izmailov et al., UAI 2018).
    """
    shadows = model.optimizer._model_variables_moving_average  # noqa: SLF001 (Keras has no public name for them)
    own = [(variable, np.asarray(variable).copy()) for variable in model.variables]
    try:
        for variable, shadow in zip(model.trainable_variables, shadows, strict=True):
            variable.assign(np.asarray(shadow))  # a copy: JAX would take the shared array away in the next step
        _measure_statistics(model, images)
        yield
    finally:
        for variable, value in own:
            variable.assign(value)


def _measure_statistics(model: keras.Model, images: NDArray[np.uint8]) -> None:
    """Set each batch normalization's moving statistics to the plain mean over all batches of `images`."""
    backbone = model.get_layer("backbone")
    if not backbone.trainable:  # ImageNet's statistics stay
        return
    layers = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for seen, batch in enumerate(np.array_split(images, max(1, len(images) // 128))):
        for layer in layers:
            layer.momentum = seen / (seen + 1)
        model(batch, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
