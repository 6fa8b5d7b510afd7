"""The evaluation of a model as one HTML page: metrics, plots, mistakes and limitations.

The file is self-contained: style and images are inside, it has no script and fetches nothing.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import EmotionEdgeError
from edge.system.atomic_file import atomic_write
from trainer.data.dataset import FER2013_LABELS
from trainer.evaluation.calibration import CALIBRATION_BINS, coverage_curve, reliability_diagram
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.metrics import Metrics
from trainer.reports import plots

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "report.html.j2"


@dataclass(frozen=True, eq=False)
class HtmlReport:
    """The content of a page."""

    evaluation: Evaluation
    command: str  # the command line that made it
    description: Mapping[str, str] = field(default_factory=dict)  # of the model file: size, input, labels, checksum
    history: Path | None = None  # history.csv of the run that the model comes from
    show_faces: bool = True  # show, and so store, the most confident mistakes


def write_report(report: HtmlReport, path: Path) -> None:
    """Write `report` as one HTML file to `path`, atomically.

    Unless `report.show_faces` is False the file contains up to 40 faces of the data set: share it only where the data
    set may be shared.

    Raises:
        FileError: `path` cannot be written. UsageError: `report.history` is not the history of a run.
        EmotionEdgeError: Jinja2 or Matplotlib is not installed.
    """
    atomic_write(path, _load_template().render(_variables(report)).encode(errors="replace"))


def _load_template() -> Template:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise EmotionEdgeError("jinja2 is not installed; 'pip install emotion-edge[trainer]' brings it") from error
    environment = Environment(
        loader=PackageLoader("trainer", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "anchor": lambda title: title.lower().replace(" ", "-"),
        "interval": _interval,
        "percent": _percent,
        "thousands": lambda count: f"{count:,}",
    }
    return environment.get_template(TEMPLATE)


def _variables(report: HtmlReport) -> dict[str, Any]:
    """Return the variables of the template; `sections` are the titles of the sections that it renders."""
    evaluation = report.evaluation
    model, dataset = evaluation.model, evaluation.dataset
    metrics = model.metrics
    majority = int(metrics.support.argmax())
    optional = {
        "Corruptions": bool(evaluation.corruptions),
        "Training": report.history is not None,
        "Most confident mistakes": report.show_faces,
    }
    sections = [
        "Summary",
        "Classes",
        "Confusion matrix",
        "Confidence",
        *(name for name, there in optional.items() if there),
    ]
    confusion = zip(metrics.class_names, metrics.confusion.tolist(), strict=True)
    return {
        "title": f"{model.name} on {metrics.split}",
        "sections": [*sections, "Limitations", "Model and command"],
        "model": model,
        "names": [each.name for each in evaluation.models],
        "dataset_name": Path(dataset.source).name,
        "split": metrics.split,
        "class_names": list(metrics.class_names),
        "is_fer2013": dataset.class_names == FER2013_LABELS,
        "majority": {"name": metrics.class_names[majority], "fraction": metrics.support[majority] / metrics.n},
        "summary": _summary_rows(evaluation),
        "classes": _classes(evaluation),
        "confusion": [(name, *row) for name, row in confusion],
        "mean_confidence": float(model.probabilities.max(axis=1).mean()),
        "calibration_error": f"{evaluation.calibration_error(model):.3f}",
        "min_confidence": evaluation.min_confidence,
        "corruptions": _corruptions(evaluation.corruptions),
        "mistakes": _mistakes(evaluation) if report.show_faces else [],
        "show_faces": report.show_faces,
        "figures": _figures(report),
        "description": list(report.description.items()),
        "command": report.command,
    }


def _summary_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Return the rows of the first table: a metric and its value for each model."""
    models = evaluation.models
    selective = [evaluation.coverage(model) for model in models]
    threshold = f"threshold {_percent(evaluation.min_confidence, 0)}"
    rows = [
        ("accuracy", *(_percent(model.metrics.accuracy) for model in models)),
        ("95% confidence interval of the accuracy", *(_interval(model.metrics) for model in models)),
        ("macro-F1", *(f"{model.metrics.macro_f1:.3f}" for model in models)),
        ("negative log likelihood", *(f"{model.metrics.loss:.3f}" for model in models)),
        (
            f"expected calibration error, {CALIBRATION_BINS} bins",
            *(f"{evaluation.calibration_error(model):.3f}" for model in models),
        ),
        (f"coverage at {threshold}", *(_percent(coverage) for coverage, _ in selective)),
        (
            f"selective accuracy at {threshold}",
            *(_percent(accuracy) if coverage else "none" for coverage, accuracy in selective),
        ),
    ]
    empty = ("",) * (len(models) - 1)
    if evaluation.ferplus:
        ferplus = evaluation.ferplus
        rows.append((f"accuracy against FER+'s majority, {ferplus.n:,} faces", _percent(ferplus.accuracy), *empty))
        rows.append(("95% confidence interval of that accuracy", _interval(ferplus), *empty))
    if evaluation.compared:
        rows.append((f"agreement with {evaluation.compared.name}", _percent(evaluation.agreement), ""))
    return rows


def _classes(evaluation: Evaluation) -> dict[str, Any]:
    """Return head and rows of the table of the classes, and the F1 of each in words."""
    metrics, other = evaluation.model.metrics, evaluation.compared
    other_f1 = [f"F1 of {other.name}"] if other else []
    rows = []
    for label, name in enumerate(metrics.class_names):
        values = [metrics.precision[label], metrics.recall[label], metrics.f1[label]]
        if other:
            values.append(other.metrics.f1[label])
        confused = metrics.confusion[label].copy()
        confused[label] = 0
        most = int(confused.argmax())
        mistake = f"{metrics.class_names[most]} ({_percent(confused[most] / metrics.support[label], 0)})"
        cells = (f"{metrics.support[label]:,}", mistake if confused.any() else "none")
        rows.append((name, *(f"{value:.3f}" for value in values), *cells))
    return {
        "head": ["class", "precision", "recall", "F1", *other_f1, "faces", "most frequent mistake"],
        "rows": rows,
        "f1": [f"{name} {f1:.2f}" for name, f1 in zip(metrics.class_names, metrics.f1, strict=True)],
    }


def _corruptions(by_model: Mapping[str, Mapping[str, Metrics]]) -> dict[str, Any]:
    """Return head and rows of the table of the corruptions, and the accuracies of the first model in words."""
    if not by_model:
        return {}
    first_model = next(iter(by_model.values()))
    rows = []
    for name in first_model:
        cells = []
        for model in by_model.values():
            metrics, original = model[name], next(iter(model.values()))
            change = f" ({100 * (metrics.accuracy - original.accuracy):+.1f})" if metrics is not original else ""
            cells += [f"{_percent(metrics.accuracy)}{change}", f"{metrics.macro_f1:.3f}"]
        rows.append((name, *cells))
    head = [f"{model}: {metric}" for model in by_model for metric in ("accuracy", "macro-F1")]
    accuracies = [f"{name} {_percent(metrics.accuracy)}" for name, metrics in first_model.items()]
    return {"head": ["corruption", *head], "rows": rows, "accuracies": accuracies}


def _mistakes(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the most confident mistakes: face (a data URI), label, predicted, confidence (0 to 1)."""
    model, dataset = evaluation.model, evaluation.dataset
    return [
        {
            "face": _png_uri(dataset.faces[row]),
            "label": dataset.class_names[dataset.labels[row]],
            "predicted": dataset.class_names[model.predicted[row]],
            "confidence": float(model.probabilities[row].max()),
        }
        for row in plots.most_confident_mistakes(model.probabilities, dataset.labels)
    ]


def _figures(report: HtmlReport) -> dict[str, str]:
    """Return the plots as data URIs of SVG images; an optional one that has no data is ''."""
    evaluation = report.evaluation
    metrics, probabilities, labels = evaluation.model.metrics, evaluation.model.probabilities, evaluation.dataset.labels
    figures = {
        "per_class": plots.per_class(metrics),
        "confusion_matrix": plots.confusion_matrix(metrics),
        "reliability": plots.reliability(reliability_diagram(probabilities, labels)),
        "coverage": plots.coverage(coverage_curve(probabilities, labels), evaluation.min_confidence),
        "corruptions": plots.corruptions(evaluation.corruptions) if evaluation.corruptions else None,
        "training_curves": plots.training_curves(report.history) if report.history else None,
    }
    uris = {}
    for name, figure in figures.items():
        stream = io.BytesIO()
        if figure is not None:
            plots.save(figure, stream)
        uris[name] = _data_uri("image/svg+xml", stream.getvalue()) if figure is not None else ""
    return uris


def _png_uri(face: NDArray[np.uint8]) -> str:
    encoded, content = cv2.imencode(".png", face)
    assert encoded
    return _data_uri("image/png", content.tobytes())


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _percent(fraction: float, digits: int = 1) -> str:
    return f"{fraction:.{digits}%}"


def _interval(metrics: Metrics) -> str:
    """Return the 95 % confidence interval of the accuracy as text."""
    low, high = metrics.accuracy_interval
    return f"{_percent(low)} to {_percent(high)}"
