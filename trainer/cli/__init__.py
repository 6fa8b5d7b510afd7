"""The `trainer` command. Each module of this folder but `options` is one of its subcommands."""

from __future__ import annotations

from edge.cli.common import new_app, run_app
from trainer.cli import (
    average,
    benchmark_input,
    compare,
    crop_padding,
    evaluate,
    launch,
    preview,
    quantize,
    sweep,
    train,
)

app = new_app(
    "trainer",
    "Train a facial emotion classifier, evaluate it, and convert it to a full-int8 .tflite file for a Raspberry Pi.",
)
app.command()(train.train)
app.command()(launch.launch)
app.command()(sweep.sweep)
app.command()(average.average)
app.command()(evaluate.evaluate)
app.command()(quantize.quantize)
app.command()(compare.compare)
app.command("crop-padding")(crop_padding.crop_padding)
app.command("benchmark-input")(benchmark_input.benchmark_input)
app.command()(preview.preview)


def main() -> None:
    """Entry point of the `trainer` command."""
    run_app(app, "trainer")
