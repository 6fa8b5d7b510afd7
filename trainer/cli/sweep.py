"""`trainer sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug
from edge.errors import EmotionEdgeError
from edge.inference.model_file import RGB
from edge.system.installation import install_command
from trainer import keras_backend
from trainer.cli.options import (
    Classes,
    DataFormat,
    DataPath,
    FerPlus,
    LabelSet,
    SkipInvalid,
    load,
    log_counts,
    select_labels,
)
from trainer.data import formats
from trainer.training import sweep_space


def sweep(
    space: Annotated[
        Path,
        typer.Argument(
            metavar="SPACE", help="TOML file: the options of 'trainer train' that are fixed, and to search."
        ),
    ],
    data: DataPath,
    trials: Annotated[
        int, typer.Option(min=1, metavar="INT", help="Trials of the study, those of other processes included.")
    ] = 12,
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of the study: journal, table, plots, one run folder a trial.")
    ] = Path("runs/sweep"),
    storage: Annotated[
        str,
        typer.Option(
            metavar="FILE|URL",
            envvar="TRAINER_SWEEP_STORAGE",
            show_envvar=True,
            help="Journal file or database URL that several processes or machines share.",
            show_default="journal.log in the folder",
        ),
    ] = "",
    ferplus: FerPlus = None,
    label_set: LabelSet = "own",
    classes: Classes = "",
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Search the settings of a training with Optuna.

    Each trial is a training; poor ones are stopped early. The same command continues a study, also in several
    processes at once. Prints the table of all trials, the best one first.
    """
    options = sweep_space.read(space)
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as error:
        raise EmotionEdgeError(f"optuna is not installed; {install_command('sweep')} installs it") from error
    is_color = options.color == RGB
    dataset = load(data, ferplus, data_format=data_format, skip_invalid=skip_invalid, color=is_color)
    dataset = select_labels(dataset, label_set, classes)
    log_counts(dataset)
    keras_backend.load()
    from trainer.reports.curves import write_curves
    from trainer.reports.formatting import format_table
    from trainer.reports.sweep_report import sweep_rows, write_sweep_report
    from trainer.training.sweep import StudyRunner

    metric = options.study.metric
    search = StudyRunner(options, dataset, folder, storage)

    def write_report() -> None:
        write_sweep_report(search.study.trials, metric, folder)

    search.run(trials, on_epoch=write_curves, on_trial=write_report)
    write_report()
    typer.echo(format_table(sweep_rows(search.study.trials, metric)))
