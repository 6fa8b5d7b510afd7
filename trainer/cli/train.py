"""`trainer train`."""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge.cli.common import Debug
from edge.inference.model_file import RGB
from trainer import keras_backend
from trainer.cli.options import (
    Augment,
    Classes,
    DataFormat,
    DataPath,
    FerPlus,
    LabelSet,
    SkipInvalid,
    load,
    log_counts,
    select_labels,
    training_options,
)
from trainer.data import augmentation_file, formats
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.training.settings import TrainingSettings, setting_specs

_log = logging.getLogger(__name__)


@training_options(setting_specs())
def train(
    data: DataPath,
    settings: TrainingSettings,
    ferplus: FerPlus = None,
    label_set: LabelSet = "own",
    classes: Classes = "",
    run_dir: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of the run: settings, history, curves, checkpoints.")
    ] = Path("runs/emotion"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in the folder after its last completed epoch.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the teachers' predictions, which runs with the same --teacher and data share.",
            show_default="RUN_DIR/teachers",
        ),
    ] = None,
    devices: Annotated[
        Literal["one", "all"],
        typer.Option(help="Train on one device, or data-parallel on all GPUs (KERAS_BACKEND=jax)."),
    ] = "one",
    augment: Augment = None,
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Train a network.

    Trains on the Training split. The epoch with the best accuracy on PublicTest becomes RUN_DIR/best.keras.
    """
    settings = replace(settings, data=data.name)
    if augment:
        settings = replace(settings, augmentation=augmentation_file.read(augment))
    dataset = load(data, ferplus, data_format=data_format, skip_invalid=skip_invalid, color=settings.color == RGB)
    log_counts(dataset)
    dataset = select_labels(dataset, label_set, classes)
    keras_backend.load()
    from trainer.reports.curves import write_curves
    from trainer.training import loop

    if devices == "all":
        from trainer.training.distribution import use_all_devices

        _log.info("training on %d devices", use_all_devices(settings.batch_size))
    for split in (TRAINING, PUBLIC_TEST):
        counts = dataset.split(split).counts()
        typer.echo(f"{split}: {sum(counts.values())} faces: {', '.join(f'{n} {label}' for label, n in counts.items())}")
    best = loop.train(settings, dataset, run_dir, resume=resume, teacher_cache=cache, on_epoch=write_curves)
    reading = ["--data", str(data)]
    if label_set == "ferplus":
        reading += ["--ferplus", str(ferplus)]
    if data_format != formats.AUTO:
        reading += ["--format", data_format]
    if skip_invalid:
        reading.append("--skip-invalid")
    convert = shlex.join(["trainer", "quantize", str(best), *reading, "--out", "emotion.tflite"])
    typer.echo(f"best epoch: {best}\nnext: {convert}")
