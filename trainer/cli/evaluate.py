"""`trainer evaluate`."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.common import Debug
from edge.errors import UsageError
from edge.system.atomic_file import atomic_write
from trainer.cli.options import (
    PLOT_SUFFIXES,
    CompareTo,
    DataFormat,
    DataPath,
    FerPlus,
    SkipInvalid,
    Split,
    check_outputs,
    load,
)
from trainer.data import formats
from trainer.data.dataset import PUBLIC_TEST

if TYPE_CHECKING:
    from trainer.evaluation.evaluate import Evaluation

_log = logging.getLogger(__name__)


def evaluate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .keras file, or a .tflite file, run as on the device.")
    ],
    data: DataPath,
    split: Split = PUBLIC_TEST,
    ferplus: FerPlus = None,
    compare_to: CompareTo = None,
    corruptions: Annotated[
        bool,
        typer.Option(
            "--corruptions",
            help="Also evaluate on simulated camera degradations: shift, rotation, blur, low light, noise, resolution.",
        ),
    ] = False,
    tta: Annotated[
        bool, typer.Option("--tta", help="Also evaluate with flip test-time augmentation, as 'edge run' has it.")
    ] = False,
    detect: Annotated[
        bool,
        typer.Option(
            "--detect",
            help="--data is a folder with images of whole scenes, CLASS/* or <class>-<n>.jpg: also detect the face in "
            "each, as the device does.",
        ),
    ] = False,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="PRIOR",
            help="With --detect: how frequent each emotion is expected to be, as for 'edge run'. Without it the "
            "prior is training.",
            show_default="the default_prior of the model's card, else everyday",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the result to this JSON file.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Plot the confusion matrix to this .png.")] = None,
    reliability: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Plot accuracy over confidence to this .png.")
    ] = None,
    coverage: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Plot selective accuracy over coverage to this .png.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an HTML report with plots; includes --corruptions.")
    ] = None,
    mistakes: Annotated[
        bool, typer.Option("--mistakes/--no-mistakes", help="Show the most confident mistakes in the report.")
    ] = True,
    data_format: DataFormat = formats.AUTO,
    skip_invalid: SkipInvalid = False,
    debug: Debug = False,
) -> None:
    """Evaluate a model on faces, or on whole scenes.

    Prints accuracy, macro-F1, per-class metrics and calibration of one split; as text, JSON or an HTML report. With
    --detect the face detection of the device runs, too, on images of whole scenes.
    """
    from trainer.reports.formatting import format_evaluation

    check_outputs(
        ("--json", json_file, (".json",)),
        ("--plot", plot, PLOT_SUFFIXES),
        ("--reliability", reliability, PLOT_SUFFIXES),
        ("--coverage", coverage, PLOT_SUFFIXES),
        ("--report", report, (".html",)),
        inputs=(model, data, ferplus, compare_to),
    )
    if detect:
        others = {
            "--split": split != PUBLIC_TEST,
            "--ferplus": ferplus,
            "--compare-to": compare_to,
            "--corruptions": corruptions,
            "--tta": tta,
        }
        if given := [name for name, value in others.items() if value]:
            raise UsageError(f"--detect evaluates all images by themselves; leave out {', '.join(given)}")
        evaluation = _evaluate_scenes(model, data, prior, skip_invalid=skip_invalid)
    elif prior:
        raise UsageError("--prior is for --detect; without it the prior is training")
    else:
        from trainer.evaluation.evaluate import evaluate as evaluate_model
        from trainer.evaluation.prediction import uses_color

        color = uses_color(model)
        dataset = load(data, ferplus, data_format=data_format, skip_invalid=skip_invalid, color=color)
        corruptions = corruptions or report is not None
        evaluation = evaluate_model(
            model,
            dataset,
            split,
            compare_to=compare_to,
            corruptions=corruptions,
            tta=tta,
            report_progress=_log.info if corruptions else _log.debug,  # without corruptions it takes only seconds
        )
    typer.echo(format_evaluation(evaluation))
    if json_file:
        atomic_write(json_file, (json.dumps(evaluation.as_json(), indent=1) + "\n").encode())
    _write_plots(evaluation, confusion=plot, reliability=reliability, coverage=coverage)
    if report:
        _write_report(evaluation, [path for path in (model, compare_to) if path], report, show_faces=mistakes)


def _evaluate_scenes(model: Path, folder: Path, prior: str | None, *, skip_invalid: bool) -> Evaluation:
    """Evaluate `model` and the face detection of the device on the images in `folder`; log the progress."""
    from edge.image_analyzer import ImageAnalyzer
    from edge.inference.classifier import Classifier
    from trainer.evaluation.scenes import evaluate_scenes

    if model.suffix != ".tflite":
        raise UsageError(f"{model}: --detect runs as on the device; make a .tflite file with 'trainer quantize' first")
    classifier = Classifier(model, prior=prior)
    _log.info("evaluating %s on the images in %s", model.name, folder)
    analyzer = ImageAnalyzer(classifier=classifier)
    evaluation = evaluate_scenes(analyzer, folder, model.name, prior=classifier.prior, skip_invalid=skip_invalid)
    if evaluation.dataset.skipped:
        _log.warning("%s: %d invalid images skipped", folder, evaluation.dataset.skipped)
    return evaluation


def _write_plots(
    evaluation: Evaluation, *, confusion: Path | None, reliability: Path | None, coverage: Path | None
) -> None:
    """Plot the evaluation to those files that are named."""
    from trainer.evaluation.calibration import coverage_curve, reliability_diagram
    from trainer.reports import plots

    probabilities, labels = evaluation.model.probabilities, evaluation.dataset.labels
    if confusion:
        plots.save(plots.confusion_matrix(evaluation.model.metrics), confusion)
    if reliability:
        plots.save(plots.reliability(reliability_diagram(probabilities, labels)), reliability)
    if coverage:
        plots.save(plots.coverage(coverage_curve(probabilities, labels), evaluation.min_confidence), coverage)


def _write_report(evaluation: Evaluation, models: list[Path], path: Path, *, show_faces: bool) -> None:
    """Write the HTML report; the training curves are those of the first of `models` that lies in a run folder."""
    from trainer.evaluation.evaluate import describe_model
    from trainer.reports.html_report import HtmlReport, write_report

    histories = [model.parent / "history.csv" for model in models if model.suffix == ".keras"]
    content = HtmlReport(
        evaluation,
        command="trainer " + shlex.join(sys.argv[1:]),
        description=describe_model(models[0]),
        history=next((file for file in histories if file.is_file()), None),
        show_faces=show_faces,
    )
    write_report(content, path)
    _log.info("written: %s", path)
