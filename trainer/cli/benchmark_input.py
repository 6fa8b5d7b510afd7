"""`trainer benchmark-input`."""

from __future__ import annotations

from typing import Annotated

import typer

from edge.cli.common import Debug
from edge.inference.model_file import RGB
from trainer import keras_backend
from trainer.cli.options import DataFormat, DataPath, SkipInvalid, load, training_options
from trainer.data import formats
from trainer.training.settings import TrainingSettings


@training_options(("backbone", "color", "input_size", "batch_size"))
def benchmark_input(
    data: DataPath,
    settings: TrainingSettings,
    steps: Annotated[int, typer.Option(min=1, metavar="INT", help="Batches in each measurement.")] = 20,
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Benchmark the input pipeline of training.

    Measures whether it is the training bottleneck, and its speed relative to Keras' ImageDataGenerator.
    """
    dataset = load(data, data_format=data_format, skip_invalid=skip_invalid, color=settings.color == RGB)
    keras_backend.load()
    from trainer.reports.formatting import format_input_benchmark
    from trainer.training.input_benchmark import measure_input_speed

    typer.echo(format_input_benchmark(measure_input_speed(settings, dataset, steps=steps)))
