"""Pictures of a run: curves and the confusion matrix. Matplotlib without a screen."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import EmotionEdgeError, UsageError
from edge.files import whole
from trainer.evaluate import Result


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise EmotionEdgeError("matplotlib is not installed; 'pip install emotion-edge[trainer]' brings it") from error
    return Figure(figsize=(width, height), layout="constrained")  # no pyplot: no state, no window


def _save(figure: Any, path: Path) -> None:
    try:
        with whole(path) as aside:
            figure.savefig(aside, format=path.suffix.lstrip(".") or "png", dpi=120)
    except ValueError as error:  # an ending that it has no format for; it lists those that it has
        raise UsageError(f"{path}: {error}") from error


def curves(history: Path, path: Path) -> None:
    """Draw loss and accuracy over the epochs of `history` (a run's history.csv) to `path`."""
    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    figure = _figure(9, 3.6)
    for axis, key in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axis.plot(epochs, [float(row[key]) for row in rows], "o-", ms=3, label="training (augmented)")
        axis.plot(epochs, [float(row[f"val_{key}"]) for row in rows], "o-", ms=3, label="PublicTest (averaged weights)")
        axis.set(title=key, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    _save(figure, path)


def confusion(result: Result, path: Path) -> None:
    """Draw the confusion matrix of `result`, each row as shares of its true label, with the counts, to `path`."""
    counts = result.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    places = range(len(result.names))
    figure = _figure(1.6 + 0.75 * len(places), 1.4 + 0.7 * len(places))
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(places, result.names, rotation=45, ha="right")
    axis.set_yticks(places, result.names)
    low, high = result.interval
    title = f"{result.split}: accuracy {result.accuracy:.1%} ({low:.1%} to {high:.1%}), macro-F1 {result.macro_f1:.3f}"
    axis.set_title(title, fontsize=10)
    axis.set(xlabel="predicted", ylabel="true")
    for row in places:
        for column in places:
            shade = "white" if shares[row, column] > 0.5 else "black"
            text = f"{shares[row, column]:.0%}\n{counts[row, column]}"
            axis.text(column, row, text, ha="center", va="center", color=shade, fontsize=8)
    _save(figure, path)
