"""`trainer average`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug
from trainer import keras_backend
from trainer.cli.options import DataFormat, DataPath, FerPlus, SkipInvalid, check_outputs, load
from trainer.data import formats
from trainer.evaluation.prediction import uses_color

_log = logging.getLogger(__name__)


def average(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders (their best.keras), or .keras files such as RUN/epochs/*.keras."
        ),
    ],
    data: DataPath,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .keras file to write.")],
    ferplus: FerPlus = None,
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Average the weights of models of one network.

    For the last epochs of a run (train --keep-epochs) or runs from the same weights. Prints the accuracy of each model
    and of the mean on PublicTest.
    """
    best = [path / "best.keras" for path in models]
    check_outputs(("--out", out, (".keras",)), inputs=(*models, *best, data, ferplus))
    keras_backend.load()
    from trainer.reports.formatting import format_average
    from trainer.training.averaging import average as average_models
    from trainer.training.averaging import model_file

    color = uses_color(model_file(models[0]))
    dataset = load(data, ferplus, data_format=data_format, skip_invalid=skip_invalid, color=color)
    result = average_models(models, dataset, out, _log.info)
    typer.echo(f"{format_average(result)}\nwritten: {out}")
