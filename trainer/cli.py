"""The `trainer` command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edge import files
from edge.command import new_app, run_app
from trainer import fer2013, framework, tables

app = new_app(
    "trainer", "Train a face-emotion model, judge it, and turn it into a full-int8 .tflite file for a Raspberry Pi."
)

Data = Annotated[
    Path,
    typer.Option(
        help="fer2013.csv, a zip or tar.gz with it, or picture folders (train/CLASS/*, test/CLASS/*, or CLASS/*)."
    ),
]
FerPlus = Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv: ten votes a row, read and checked.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows or pictures out and count them.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback for an error.")]


def main() -> None:
    """Entry point of the `trainer` command."""
    run_app(app, "trainer")


@app.callback()
def _options() -> None:
    pass


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _read(data: Path, ferplus: Path | None = None, skip_bad: bool = False) -> fer2013.Dataset:
    dataset = fer2013.read(data, ferplus=ferplus, skip_bad=skip_bad)
    if dataset.skipped:
        _say(f"{data}: {dataset.skipped} bad rows or pictures skipped")
    return dataset


@app.command()
def train(
    data: Data,
    run: Annotated[Path, typer.Option(help="Folder of the run: settings, history, curves, checkpoints.")] = Path(
        "runs/emotion"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder from its last whole epoch.")
    ] = False,
    weights: Annotated[str, typer.Option(help="imagenet (downloaded), none, or a weights file.")] = "imagenet",
    backbone: Annotated[str, typer.Option(help="Network to fine-tune.")] = "mobilenet_v2",
    alpha: Annotated[float, typer.Option(help="Width of the network.")] = 1.0,
    input_size: Annotated[int, typer.Option(help="Pixels a side of the network's input.")] = 96,
    head_epochs: Annotated[int, typer.Option(help="Epochs of the head alone, on a frozen backbone.")] = 1,
    epochs: Annotated[int, typer.Option(help="Epochs of fine-tuning all layers.")] = 15,
    batch: Annotated[int, typer.Option(help="Faces a step.")] = 64,
    rate: Annotated[float, typer.Option(help="Highest learning rate of fine-tuning.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn at random.")] = 1,
    ferplus: FerPlus = None,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Fine-tune a network on the Training rows; the best epoch on PublicTest is kept as RUN/best.keras."""
    dataset = _read(data, ferplus, skip_bad)
    framework.load()
    from trainer import training

    settings = training.Settings(
        data=data.name,
        weights=weights if weights in ("imagenet", "none") else Path(weights).name,
        backbone=backbone,
        alpha=alpha,
        input_size=input_size,
        head_epochs=head_epochs,
        epochs=epochs,
        batch=batch,
        rate=rate,
        seed=seed,
    )
    for name in (fer2013.TRAINING, fer2013.PUBLIC):
        counts = dataset.split(name).counts()
        typer.echo(f"{name}: {sum(counts.values())} faces: {', '.join(f'{n} {label}' for label, n in counts.items())}")
    best = training.train(settings, dataset, run, weights=weights, resume=resume)
    typer.echo(f"best epoch: {best}\nnext: trainer quantize {best} --data {data} --out emotion.tflite")


@app.command()
def evaluate(
    model: Annotated[
        Path, typer.Argument(help="A .keras file, or a .tflite file, which is run as the device runs it.")
    ],
    data: Data,
    split: Annotated[str, typer.Option(help="Training, PublicTest or PrivateTest.")] = fer2013.PUBLIC,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the confusion matrix to this .png.")] = None,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Measure a model on one split: accuracy, macro-F1, per-class figures, confusion matrix."""
    from trainer import evaluate as evaluation

    result = evaluation.evaluate(model, _read(data, skip_bad=skip_bad), split)
    typer.echo(tables.result(result))
    if json_file:
        files.write_whole(json_file, (json.dumps(result.as_json(), indent=1) + "\n").encode())
    if plot:
        from trainer import plots

        plots.confusion(result, plot)


@app.command()
def quantize(
    model: Annotated[Path, typer.Argument(help="The .keras file of a run.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="The .tflite file to write.")],
    samples: Annotated[
        int, typer.Option(min=1, help="Representative faces from Training, of all classes alike.")
    ] = 210,
    name: Annotated[str, typer.Option(help="Name in the card. [default: the network's]")] = "",
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Turn a .keras file into a full-int8 .tflite file with its card inside, and show what that cost."""
    from trainer import quantize as quantization

    compared = quantization.quantize(model, _read(data, skip_bad=skip_bad), out, samples=samples, name=name, say=_say)
    typer.echo(tables.comparison(compared))
    typer.echo(f"written: {out}")
