"""`trainer crop-padding`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug
from trainer.cli.options import DataFormat, DataPath, FerPlus, SkipInvalid, Split, load
from trainer.data import formats, label_mapping
from trainer.data.dataset import PUBLIC_TEST


def crop_padding(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.")],
    data: DataPath,
    split: Split = PUBLIC_TEST,
    ferplus: FerPlus = None,
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Find the best crop padding of a model.

    Measures the accuracy on Haar boxes for a range of paddings.
    """
    from edge.inference.classifier import Classifier
    from trainer.evaluation.crop_padding import measure_crop_paddings
    from trainer.reports.formatting import format_crop_paddings

    classifier = Classifier(model)
    dataset = label_mapping.match_labels(
        load(data, ferplus, data_format=data_format, skip_invalid=skip_invalid, color=classifier.uses_color),
        classifier.card.labels,
    )
    typer.echo(format_crop_paddings(measure_crop_paddings(classifier, dataset.split(split))))
