"""`trainer preview`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug
from edge.inference.model_file import RGB
from trainer.cli.options import (
    PLOT_SUFFIXES,
    Augment,
    DataFormat,
    DataPath,
    SkipInvalid,
    check_outputs,
    load,
    log_counts,
    training_options,
)
from trainer.data import augmentation_file, formats
from trainer.data.augmentation import Augmentation
from trainer.data.dataset import TRAINING
from trainer.training.settings import TrainingSettings

_log = logging.getLogger(__name__)


@training_options(("color", "input_size", "seed"))
def preview(
    data: DataPath,
    settings: TrainingSettings,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Image to write (.png).")] = Path("preview.png"),
    augment: Augment = None,
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Draw augmented training faces, and print the ranges.

    Draws Training faces of each class next to augmented copies of them. What is printed, the ranges of the augmentation
    as TOML, is a file for --augment.
    """
    from trainer.reports.preview import write_preview

    check_outputs(("--out", out, PLOT_SUFFIXES), inputs=(data, augment))
    augmentation = augmentation_file.read(augment) if augment else Augmentation()
    dataset = load(data, data_format=data_format, skip_invalid=skip_invalid, color=settings.color == RGB)
    log_counts(dataset)
    write_preview(dataset.split(TRAINING), augmentation, settings.input_size, settings.seed, out)
    typer.echo(augmentation_file.write(augmentation), nl=False)
    _log.info("written: %s", out)
