"""`trainer preview`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug
from trainer.cli.options import DataPath, SkipInvalid, load, training_options
from trainer.data.dataset import TRAINING
from trainer.training.settings import TrainingSettings

_log = logging.getLogger(__name__)


@training_options(("input_size", "seed"))
def preview(
    data: DataPath,
    settings: TrainingSettings,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Image to write (.png).")] = Path("preview.png"),
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Draw augmented training images.

    Draws Training faces of each class next to augmented copies of them.
    """
    from trainer.reports.preview import write_preview

    training = load(data, skip_invalid=skip_invalid).split(TRAINING)
    write_preview(training, settings.augmentation, settings.input_size, settings.seed, out)
    _log.info("written: %s", out)
