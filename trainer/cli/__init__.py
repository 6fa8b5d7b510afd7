"""The `trainer` command."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.common import new_app, run_app
from edge.errors import UsageError
from edge.system import atomic_file as files
from trainer import keras_backend as framework
from trainer.data import fer2013
from trainer.data import label_mapping
from trainer.reports import formatting as tables

if TYPE_CHECKING:
    from trainer.evaluation.evaluate import Judged

app = new_app(
    "trainer", "Train a face-emotion model, judge it, and turn it into a full-int8 .tflite file for a Raspberry Pi."
)

Data = Annotated[
    Path,
    typer.Option(
        help="fer2013.csv, a zip or tar.gz with it, or image folders (train/CLASS/*, test/CLASS/*, or CLASS/*)."
    ),
]
FerPlus = Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv: the ten votes on each row of fer2013.csv.")]
Weights = Annotated[
    str, typer.Option(help="imagenet (downloaded), none, a weights file, or a run's .keras file to go on from.")
]
Alpha = Annotated[float, typer.Option(help="Width of the network, where it has widths.")]
InputSize = Annotated[int, typer.Option(help="Pixels a side of the network's input.")]
Epochs = Annotated[int, typer.Option(help="Epochs of fine-tuning.")]
HeadEpochs = Annotated[int, typer.Option(help="Epochs of the head alone, on a frozen backbone.")]
Batch = Annotated[int, typer.Option(help="Faces a step.")]
Rate = Annotated[float, typer.Option(help="Highest learning rate of fine-tuning.")]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn at random.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows or images out and count them.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback for an error.")]


def main() -> None:
    """Entry point of the `trainer` command."""
    run_app(app, "trainer")


@app.callback()
def _options() -> None:
    pass


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _silent(text: str) -> None:
    pass


def _read(data: Path, ferplus: Path | None = None, skip_bad: bool = False) -> fer2013.Dataset:
    dataset = fer2013.read(data, ferplus=ferplus, skip_bad=skip_bad)
    if dataset.skipped:
        _say(f"{data}: {dataset.skipped} bad rows or images skipped")
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
    weights: Weights = "imagenet",
    backbone: Annotated[
        str,
        typer.Option(
            help="mobilenet_v2, mobilenet, resnet50, vgg16, vgg19, inception_v3, xception; small_cnn (--weights none)."
        ),
    ] = "mobilenet_v2",
    alpha: Alpha = 1.0,
    input_size: InputSize = 96,
    unfreeze: Annotated[
        str,
        typer.Option(help="Layers with weights, from the backbone's end, that fine-tuning trains: a number, or all."),
    ] = "all",
    head_epochs: HeadEpochs = 1,
    epochs: Epochs = 15,
    batch: Batch = 64,
    rate: Rate = 1e-3,
    seed: Seed = 1,
    mixup: Annotated[float, typer.Option(help="Blend pairs of faces; 0.2 is usual, 0 none.")] = 0.0,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Run folder or .keras file whose opinion softens the labels; repeatable.")
    ] = None,
    teaching: Annotated[float, typer.Option(min=0, max=1, help="Share of the target that is the teachers'.")] = 0.5,
    ferplus: FerPlus = None,
    votes: Annotated[float, typer.Option(min=0, help="Weight of learning FER+'s votes, with --ferplus.")] = 0.5,
    label_set: Annotated[
        str, typer.Option(help="own (the data set's), or ferplus: the eight emotions of FER+'s voters.")
    ] = "own",
    classes: Annotated[str, typer.Option(help="Only these, in this order: happy,sad,neutral.")] = "",
    devices: Annotated[
        str, typer.Option(help="one, or all: every batch is shared by all GPUs (KERAS_BACKEND=jax).")
    ] = "one",
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Fine-tune a network on the Training rows; the best epoch on PublicTest is kept as RUN/best.keras."""
    dataset = _labeled(_read(data, ferplus, skip_bad), label_set, classes)
    layers = _layers(unfreeze)
    if devices not in ("one", "all"):
        raise UsageError(f"--devices is {devices!r}, expected one or all")
    framework.load()
    from trainer.training import loop as training

    if devices == "all":
        from trainer.training.distribution import spread

        _say(f"training on {spread(batch)} devices")
    settings = training.Settings(
        data=data.name,
        weights=weights if weights in ("imagenet", "none") else Path(weights).name,
        backbone=backbone,
        alpha=alpha,
        input_size=input_size,
        unfreeze=layers,
        head_epochs=head_epochs,
        epochs=epochs,
        batch=batch,
        rate=rate,
        seed=seed,
        mixup=mixup,
        teachers=tuple(path.name for path in teacher or ()),
        teaching=teaching,
        votes=votes if ferplus else 0.0,
    )
    for name in (fer2013.TRAINING, fer2013.PUBLIC_TEST):
        counts = dataset.split(name).counts()
        typer.echo(f"{name}: {sum(counts.values())} faces: {', '.join(f'{n} {label}' for label, n in counts.items())}")
    best = training.train(settings, dataset, run, weights=weights, teachers=teacher or (), resume=resume)
    typer.echo(f"best epoch: {best}\nnext: trainer quantize {best} --data {data} --out emotion.tflite")


def _labeled(dataset: fer2013.Dataset, label_set: str, classes: str) -> fer2013.Dataset:
    if label_set not in ("own", "ferplus"):
        raise UsageError(f"--label-set is {label_set!r}, expected own or ferplus")
    if label_set == "ferplus":
        dataset = label_mapping.ferplus_majority(dataset)
    return label_mapping.select_classes(dataset, [name.strip() for name in classes.split(",")]) if classes else dataset


def _layers(unfreeze: str) -> int | None:
    """Return the number that `--unfreeze` names, None for all."""
    if unfreeze == "all":
        return None
    if not unfreeze.isdecimal():
        raise UsageError(f"--unfreeze is {unfreeze!r}, expected a number of layers or all")
    return int(unfreeze)


@app.command()
def compare(
    data: Data,
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Run folders; each gets its int8 file as best.tflite.")
    ] = None,
    backbones: Annotated[
        str, typer.Option(help="Train these first, one after the other: mobilenet_v2,small_cnn.")
    ] = "",
    folder: Annotated[Path, typer.Option(help="Where those runs go, each named by its backbone.")] = Path(
        "runs/compare"
    ),
    weights: Annotated[str, typer.Option(help="imagenet (downloaded) or none, for all.")] = "imagenet",
    input_size: InputSize = 96,
    head_epochs: HeadEpochs = 1,
    epochs: Epochs = 15,
    batch: Batch = 64,
    rate: Rate = 1e-3,
    seed: Seed = 1,
    out: Annotated[
        Path | None, typer.Option(help="Write the table to this .md or .csv, or draw it to this .png.")
    ] = None,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Put runs side by side: accuracy float and int8, size, speed of both, training time."""
    if out and out.suffix not in (".md", ".csv", ".png"):
        raise UsageError(f"--out {out}: expected .md, .csv or .png")
    chosen = [name.strip() for name in backbones.split(",") if name.strip()]
    if not chosen and not runs:
        raise UsageError("nothing to compare; name run folders, or networks by --backbones")
    dataset = _read(data, skip_bad=skip_bad)
    framework.load()
    from trainer.evaluation import comparison
    from trainer.training import loop as training

    for name in chosen:
        settings = training.Settings(
            data=data.name,
            weights=weights,
            backbone=name,
            input_size=input_size,
            head_epochs=head_epochs,
            epochs=epochs,
            batch=batch,
            rate=rate,
            seed=seed,
        )
        at = folder / name
        training.train(settings, dataset, at, weights=weights, resume=(at / "settings.json").exists())
    rows = comparison.compare([*(runs or []), *(folder / name for name in chosen)], dataset, _say)
    typer.echo(tables.grid([comparison.HEADER, *(row.cells() for row in rows)]))
    if out:
        comparison.write(rows, out)


@app.command()
def margin(
    model: Annotated[Path, typer.Argument(help="A .tflite file.")],
    data: Data,
    split: Annotated[str, typer.Option(help="Training or PublicTest.")] = fer2013.PUBLIC_TEST,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Measure how far Haar's boxes must be widened for a model: its accuracy on them, margin by margin."""
    from edge.inference.classifier import Classifier
    from trainer.evaluation.crop_padding import measure_margins

    classifier = Classifier(model)
    rows = label_mapping.match_labels(_read(data, skip_bad=skip_bad), classifier.card.labels).split(split)
    typer.echo(tables.margins(measure_margins(classifier, rows)))


@app.command()
def speed(
    data: Data,
    backbone: Annotated[str, typer.Option(help="Network to train.")] = "mobilenet_v2",
    input_size: InputSize = 96,
    batch: Batch = 64,
    steps: Annotated[int, typer.Option(min=1, help="Batches in each measurement.")] = 20,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Measure whether making images holds up training, and how it compares with Keras' ImageDataGenerator."""
    dataset = _read(data, skip_bad=skip_bad)
    framework.load()
    from trainer.training.input_benchmark import measure_speeds
    from trainer.training.loop import Settings

    settings = Settings(backbone=backbone, input_size=input_size, batch=batch)
    typer.echo(tables.speeds(measure_speeds(settings, dataset, steps=steps)))


@app.command()
def evaluate(
    model: Annotated[
        Path, typer.Argument(help="A .keras file, or a .tflite file, which is run as the device runs it.")
    ],
    data: Data,
    split: Annotated[str, typer.Option(help="Training, PublicTest or PrivateTest.")] = fer2013.PUBLIC_TEST,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the confusion matrix to this .png.")] = None,
    beside: Annotated[Path | None, typer.Option(help="A second model, as the .keras file of an int8 one.")] = None,
    robust: Annotated[
        bool, typer.Option("--robust", help="Also on shifted, turned, dark, blurred, noisy and tiny faces.")
    ] = False,
    two_looks: Annotated[
        bool, typer.Option("--two-looks", help="Also by the mean of two looks, as 'edge run' has of a face that stays.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write all of it, with images, to this .html (with --robust inside).")
    ] = None,
    mistakes: Annotated[
        bool, typer.Option("--mistakes/--no-mistakes", help="Store faces of the worst mistakes in the report.")
    ] = True,
    ferplus: FerPlus = None,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Measure a model on one split: accuracy, macro-F1, per class, calibration, robustness; as text, JSON or a page."""
    from trainer.evaluation.evaluate import judge

    dataset = _read(data, ferplus, skip_bad)
    robust = robust or report is not None
    say = _say if robust else _silent  # that takes a minute; without it it is done before one has read a line
    found = judge(model, dataset, split, beside=beside, robust=robust, two_looks=two_looks, say=say)
    typer.echo(tables.judged(found))
    if json_file:
        files.atomic_write(json_file, (json.dumps(found.as_json(), indent=1) + "\n").encode())
    if plot:
        from trainer.reports import plots

        plots.confusion(found.result, plot)
    if report:
        _write_report(found, model, beside, report, mistakes)


def _write_report(found: Judged, model: Path, beside: Path | None, path: Path, mistakes: bool) -> None:
    from trainer.evaluation.evaluate import facts
    from trainer.reports import html_report as reports

    histories = [file.parent / "history.csv" for file in (model, beside) if file and file.suffix == ".keras"]
    made = reports.Report(
        found.models[0],
        found.rows,
        found.unsure,
        "trainer " + shlex.join(sys.argv[1:]),
        facts=facts(model),
        beside=found.models[1] if beside else None,
        robustness=found.robustness,
        ferplus=found.ferplus,
        history=next((file for file in histories if file.is_file()), None),
        faces=mistakes,
    )
    reports.write(made, path)
    _say(f"written: {path}")


@app.command()
def preview(
    data: Data,
    out: Annotated[Path, typer.Option(help="The .png to draw.")] = Path("preview.png"),
    input_size: InputSize = 96,
    seed: Seed = 1,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Draw what training will see: faces of each class and changed copies of them."""
    from trainer.reports.preview import preview as draw
    from trainer.training.augmentation import Augmentation

    training = _read(data, skip_bad=skip_bad).split(fer2013.TRAINING)
    draw(training, Augmentation(), input_size, seed, out)
    _say(f"written: {out}")


@app.command()
def quantize(
    model: Annotated[Path, typer.Argument(help="The .keras file of a run.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="The .tflite file to write.")],
    samples: Annotated[
        int, typer.Option(min=1, help="Representative faces from Training, of all classes alike.")
    ] = 210,
    name: Annotated[str, typer.Option(help="Name in the card. [default: the network's]")] = "",
    margin: Annotated[
        float, typer.Option(min=-0.4, max=1, help="Share of a face box's side that the device adds on each side.")
    ] = 0.0,
    unsure: Annotated[
        float, typer.Option(min=0, max=1, help="Calibrated confidence below which the device gives no label.")
    ] = 0.5,
    ferplus: FerPlus = None,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Turn a .keras file into a full-int8 .tflite file with its card inside, and show what that cost."""
    from trainer.quantization import quantize as quantization

    dataset = _read(data, ferplus, skip_bad)
    compared = quantization.quantize(
        model, dataset, out, samples=samples, name=name, margin=margin, unsure=unsure, say=_say
    )
    typer.echo(tables.comparison(compared))
    typer.echo(f"written: {out}")
