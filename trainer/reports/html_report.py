"""The evaluation of a model as one HTML page: metrics, plots, mistakes and limitations.

The file is self-contained: style and images are inside, it has no script and fetches nothing.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import EmotionEdgeError
from edge.system.atomic_file import atomic_write
from edge.system.installation import install_command
from trainer.data.dataset import FER2013_LABELS
from trainer.evaluation.calibration import CALIBRATION_BINS, coverage_curve, reliability_diagram
from trainer.evaluation.evaluate import Evaluation
from trainer.reports import plots

TEMPLATE_FILE = "report.html.j2"


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
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise EmotionEdgeError(f"jinja2 is not installed; {install_command('trainer')} installs it") from error
    environment = Environment(
        loader=PackageLoader("trainer", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "anchor": lambda title: title.lower().replace(" ", "-"),
        "decimal": "{:.3f}".format,
        "interval": lambda metrics: "{:.1%} to {:.1%}".format(*metrics.accuracy_interval),
        "percent": "{:.1%}".format,
        "thousands": "{:,}".format,
        "rounded_percent": "{:.0%}".format,
        "png_uri": _png_uri,
        "svg_uri": _svg_uri,
    }
    page = environment.get_template(TEMPLATE_FILE).render(_variables(report))
    atomic_write(path, page.encode(errors="replace"))


def _variables(report: HtmlReport) -> dict[str, Any]:
    """Return the variables of the template, which formats them."""
    evaluation = report.evaluation
    selective = [evaluation.coverage(model) for model in evaluation.models]
    probabilities, labels = evaluation.model.probabilities, evaluation.dataset.labels
    return {
        "report": report,
        "evaluation": evaluation,
        "model": evaluation.model,
        "metrics": evaluation.model.metrics,
        "class_names": list(evaluation.model.metrics.class_names),
        "compared": evaluation.compared,
        "dataset_name": Path(evaluation.dataset.source).name,
        "is_fer2013": evaluation.dataset.class_names == FER2013_LABELS,
        "calibration_bins": CALIBRATION_BINS,
        "calibration_errors": [evaluation.calibration_error(model) for model in evaluation.models],
        "cross_fitted_errors": [evaluation.cross_fitted_error(model) for model in evaluation.models],
        "selective": selective,
        "selective_accuracies": [f"{accuracy:.1%}" if coverage else "none" for coverage, accuracy in selective],
        "reliability": reliability_diagram(probabilities, labels),
        "coverage": coverage_curve(probabilities, labels),
        "mistakes": plots.most_confident_mistakes(probabilities, labels) if report.show_faces else (),
        "plots": plots,
    }


def _svg_uri(figure: plots.Figure) -> str:
    """Return `figure` as a data URI."""
    stream = io.BytesIO()
    plots.save(figure, stream)
    return f"data:image/svg+xml;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _png_uri(face: NDArray[np.uint8]) -> str:
    """Return `face` (side, side) gray or (side, side, 3) RGB as a data URI."""
    encoded, content = cv2.imencode(".png", face[..., ::-1] if face.ndim == 3 else face)
    assert encoded
    return f"data:image/png;base64,{base64.b64encode(content.tobytes()).decode()}"
