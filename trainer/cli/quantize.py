"""`trainer quantize`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge.cli.common import Debug
from edge.config.defaults import MIN_CONFIDENCE
from trainer.cli.options import DataFormat, DataPath, FerPlus, SkipInvalid, check_outputs, load, split_names
from trainer.data import formats

_log = logging.getLogger(__name__)


def quantize(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .keras file: of a run, or of another program with --labels.")
    ],
    data: DataPath,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .tflite file to write.")],
    samples: Annotated[
        int, typer.Option(min=1, metavar="INT", help="Representative faces from Training, equally many of each class.")
    ] = 210,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the model in its card.", show_default="the network's")
    ] = "",
    crop_padding: Annotated[
        float,
        typer.Option(
            min=-0.4, max=1, metavar="FRACTION", help="Padding of the face box on each side, as a fraction of its side."
        ),
    ] = 0.0,
    min_confidence: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="PROBABILITY", help="Calibrated confidence below which the device gives no label."
        ),
    ] = MIN_CONFIDENCE,
    selective_accuracy: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="FRACTION",
            help="Fit the threshold in place of --min-confidence: so that this fraction of the labels is correct.",
            show_default="the threshold is --min-confidence",
        ),
    ] = None,
    adapted_temperature: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=100,
            metavar="TEMPERATURE",
            help="Of probabilities that are adapted to a prior; 'trainer evaluate --detect' prints the one that fits.",
        ),
    ] = 1.0,
    default_prior: Annotated[
        Literal["everyday", "training"] | None,
        typer.Option(help="Prior of 'edge run' for this model, if the user names none.", show_default="everyday"),
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Labels of the outputs, in their order, of a model without them: happy,sad,neutral.",
            show_default="the model's, or the data set's classes",
        ),
    ] = "",
    logits: Annotated[bool, typer.Option("--logits", help="The model ends without softmax: add it.")] = False,
    ferplus: FerPlus = None,
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Convert a model to full-int8 .tflite.

    The file carries its card: labels, input contract, calibration and metrics. Prints what quantization costs.
    """
    from trainer.evaluation.prediction import uses_color
    from trainer.quantization.quantize import quantize as quantize_model
    from trainer.reports.formatting import format_quantization

    check_outputs(("--out", out, (".tflite",)), inputs=(model, data, ferplus))
    color = uses_color(model)
    dataset = load(data, ferplus, data_format=data_format, skip_invalid=skip_invalid, color=color)
    result = quantize_model(
        model,
        dataset,
        out,
        samples=samples,
        name=name,
        crop_padding=crop_padding,
        min_confidence=min_confidence,
        selective_accuracy=selective_accuracy,
        adapted_temperature=adapted_temperature,
        default_prior=default_prior,
        labels=split_names(labels),
        logits=logits,
        report_progress=_log.info,
    )
    if result.label_warning:
        _log.warning("%s: %s", model, result.label_warning)
    typer.echo(f"{format_quantization(result)}\nwritten: {out}")
