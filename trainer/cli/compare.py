"""`trainer compare`."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug
from edge.errors import UsageError
from edge.inference.model_file import RGB
from trainer import keras_backend
from trainer.cli.options import (
    DataFormat,
    DataPath,
    FerPlus,
    SkipInvalid,
    check_outputs,
    load,
    split_names,
    training_options,
)
from trainer.data import formats
from trainer.training.settings import TrainingSettings

_log = logging.getLogger(__name__)


@training_options(("weights", "color", "input_size", "head_epochs", "epochs", "batch_size", "learning_rate", "seed"))
def compare(
    data: DataPath,
    settings: TrainingSettings,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN_DIR|MODEL",
            help="Run folders, each gets its int8 model as best.tflite; or model files, .keras or .tflite.",
        ),
    ] = None,
    backbones: Annotated[
        str, typer.Option(metavar="NAMES", help="Train these backbones first: mobilenet_v2,small_cnn.")
    ] = "",
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of those runs, each named after its backbone.")
    ] = Path("runs/compare"),
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table to this .md or .csv, or a plot to this .png.")
    ] = None,
    ferplus: FerPlus = None,
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Compare runs or model files, and test if they differ.

    Columns: accuracy, size and latency of the float and int8 models, and training time. Each int8 model, or model file,
    is compared with the first one on the same PublicTest faces: difference of the accuracy and p by McNemar's test.

    The options from --weights to --seed are those of 'trainer train', for --backbones.
    """
    check_outputs(("--out", out, (".md", ".csv", ".png")), inputs=(data, ferplus))
    names = split_names(backbones)
    if not names and not runs:
        raise UsageError("nothing to compare; name run folders, or backbones by --backbones")
    files = [path for path in runs or [] if path.suffix in (".keras", ".tflite")]
    if files and (out or names or files != runs):
        raise UsageError("model files are compared by themselves; leave out run folders, --backbones and --out")
    keras_backend.load()
    from trainer.evaluation.prediction import uses_color
    from trainer.reports.comparison import HEADER, compare_files, compare_runs, read_run, write_comparison
    from trainer.reports.curves import write_curves
    from trainer.reports.formatting import format_pairs, format_table
    from trainer.training.loop import train

    first = next(iter(runs or []), None)
    color = settings.color == RGB
    if first and not files:
        read_run(first)  # raises where the folder is no run
    if first:
        color = uses_color(first if files else first / "best.keras")
    dataset = load(data, ferplus, data_format=data_format, skip_invalid=skip_invalid, color=color)
    if files:
        typer.echo(format_pairs(compare_files(files, dataset, _log.info)))
        return
    trained = [folder / name for name in names]
    for name, run_dir in zip(names, trained, strict=True):
        backbone_settings = replace(settings, data=data.name, backbone=name)
        resume = (run_dir / "settings.json").exists()
        train(backbone_settings, dataset, run_dir, resume=resume, on_epoch=write_curves)
    rows = compare_runs([*(runs or []), *trained], dataset, _log.info)
    typer.echo(format_table([HEADER, *(row.cells() for row in rows)]))
    if out:
        write_comparison(rows, out)
    if len(rows) > 1:
        int8_files = [run_dir / "best.tflite" for run_dir in (*(runs or []), *trained)]
        typer.echo(f"\n{format_pairs(compare_files(int8_files, dataset, _log.debug))}")
