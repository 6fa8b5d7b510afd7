"""Plots of a run and of an evaluation, with Matplotlib and without a display.

Each function returns a figure; `save` writes it to a file, whose suffix names the format, or as SVG to a stream.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import EmotionEdgeError, UsageError
from edge.system.atomic_file import atomic_path
from edge.system.installation import install_command
from trainer.evaluation.calibration import CoverageCurve, ReliabilityDiagram
from trainer.evaluation.metrics import Metrics, wilson_interval

# Distinguishable with color vision deficiencies (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
BAR_COLORS = (BLUE, ORANGE, GREEN, RED)
GRAY, DARK_GRAY = "#999999", "#333333"
DOTS_PER_INCH = 120
MIN_PLOTTED_COVERAGE = 0.02  # below it so few faces are left that their accuracy is noise
MAX_MISTAKES = 40
SHEET_GAP_PIXELS = 8  # between the images of a contact sheet
SHEET_LINE_PIXELS = 18  # height of a line of text
SHEET_LETTER_PIXELS = 8.2  # width of a wide letter
LARGEST_DOT_POINTS = 900  # area of the largest file in `tradeoff`, in square points

Figure = Any  # matplotlib.figure.Figure, which has no types and is imported when the first figure is drawn


def training_curves(history: Path) -> Figure:
    """Plot loss and accuracy over the epochs of `history` (history.csv of a run).

    Raises UsageError when `history` does not exist or is not the history of a run.
    """
    columns = _read_history(history)
    figure = _new_figure(9, 3.6)
    for axis, key in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axis.plot(columns["epoch"], columns[key], "o-", ms=3, label="training (augmented)")
        axis.plot(columns["epoch"], columns[f"val_{key}"], "o-", ms=3, label="PublicTest (EMA weights)")
        axis.set(title=key, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    return figure


def confusion_matrix(metrics: Metrics) -> Figure:
    """Plot the confusion matrix: each cell with its count and its fraction of the true label."""
    counts = metrics.confusion
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ticks = range(len(metrics.class_names))
    figure = _new_figure(1.6 + 0.75 * len(ticks), 1.4 + 0.7 * len(ticks))
    axis = figure.subplots()
    axis.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(ticks, metrics.class_names, rotation=45, ha="right")
    axis.set_yticks(ticks, metrics.class_names)
    low, high = metrics.accuracy_interval
    accuracy = f"accuracy {metrics.accuracy:.1%} ({low:.1%} to {high:.1%})"
    axis.set_title(f"{metrics.split}: {accuracy}, macro-F1 {metrics.macro_f1:.3f}", fontsize=10)
    axis.set(xlabel="predicted", ylabel="true")
    for row in ticks:
        for column in ticks:
            color = "white" if fractions[row, column] > 0.5 else "black"
            text = f"{fractions[row, column]:.0%}\n{counts[row, column]}"
            axis.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    return figure


def per_class(metrics: Metrics) -> Figure:
    """Plot precision, recall and F1 of each class as bars."""
    groups = [f"{name}\n{n:,} faces" for name, n in zip(metrics.class_names, metrics.support, strict=True)]
    bars = {"precision": metrics.precision, "recall": metrics.recall, "F1": metrics.f1}
    figure = _new_figure(5.4, 1.2 + 0.62 * len(groups))
    _draw_bars(figure.subplots(), groups, bars, "{:.2f}")
    figure.axes[0].set_title(f"{metrics.split}: macro-F1 {metrics.macro_f1:.3f}", fontsize=10)
    return figure


def corruptions(by_model: Mapping[str, Mapping[str, Metrics]]) -> Figure:
    """Plot the accuracy of each model per corruption as bars, with its 95 % confidence interval.

    Args:
        by_model: model name -> corruption -> metrics; all models have the corruptions of the first.
    """
    names = list(next(iter(by_model.values())))
    figure = _new_figure(5.4, 1.4 + (0.25 + 0.22 * len(by_model)) * len(names))
    axis = figure.subplots()
    bars = {model: np.array([metrics[name].accuracy for name in names]) for model, metrics in by_model.items()}
    intervals = [[metrics[name].accuracy_interval for name in names] for metrics in by_model.values()]
    _draw_bars(axis, names, bars, "{:.1%}", intervals)
    axis.xaxis.set_major_formatter("{x:.0%}")
    axis.set_title("accuracy, with its 95% confidence interval", fontsize=10)
    return figure


def tradeoff(points: Sequence[tuple[str, float, float, int]]) -> Figure:
    """Plot accuracy over latency: each (name, milliseconds per face, accuracy, bytes) as a dot; bytes are its area."""
    names, latencies, accuracies, sizes = zip(*points, strict=True)
    figure = _new_figure(6.4, 4.6)
    axis = figure.subplots()
    areas = np.array(sizes) / max(sizes) * LARGEST_DOT_POINTS
    axis.scatter(latencies, accuracies, areas, color=BLUE, alpha=0.35)
    axis.plot(latencies, accuracies, ".", color=BLUE)
    for name, *center, size, area in zip(names, latencies, accuracies, sizes, areas, strict=True):
        above = {"xytext": (0, 3 + np.sqrt(area / np.pi)), "textcoords": "offset points"}
        axis.annotate(f"{name}\n{size / 1e6:.2f} MB", center, ha="center", fontsize=8, **above)
    axis.set(xscale="log", xlabel="milliseconds per face, one thread", ylabel="accuracy")
    axis.margins(0.25)
    axis.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
    axis.minorticks_off()
    axis.xaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_major_formatter("{x:.1%}")
    _style_axis(axis)
    return figure


def reliability(diagram: ReliabilityDiagram) -> Figure:
    """Plot accuracy over confidence, with 95 % confidence intervals, and below it the number of faces per bin."""
    confidence, accuracy, n = diagram.confidence, diagram.accuracy, diagram.n
    figure = _new_figure(5.4, 5.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot((0, 1), (0, 1), "--", color=GRAY, lw=1, label="perfect calibration")
    above.vlines(confidence, accuracy, confidence, color=RED, lw=5, alpha=0.35, label="gap")
    correct = np.rint(accuracy * n).astype(int)
    intervals = [wilson_interval(count, total) for count, total in zip(correct.tolist(), n.tolist(), strict=True)]
    errors = np.abs(np.array(intervals).T - accuracy)
    above.errorbar(confidence, accuracy, errors, fmt="o-", ms=5, color=BLUE, capsize=2, elinewidth=1, label="model")
    above.set(ylim=(0, 1), ylabel="accuracy")
    above.set_title(
        f"expected calibration error {diagram.expected_calibration_error:.3f} ({n.sum():,} faces)", fontsize=10
    )
    above.yaxis.set_major_formatter("{x:.0%}")
    above.legend(loc="upper left", frameon=False)
    below.bar(confidence, n, width=0.045, color=BLUE, edgecolor="white")
    for x, count in zip(confidence, n, strict=True):
        below.annotate(str(count), (x, count), (0, 2), textcoords="offset points", ha="center", fontsize=7)
    below.set(xlim=(0, 1), ylim=(0, n.max() * 1.25), xlabel="confidence", ylabel="faces")
    below.xaxis.set_major_formatter("{x:.0%}")
    for axis in (above, below):
        _style_axis(axis)
    return figure


def coverage(curve: CoverageCurve, threshold: float | None = None) -> Figure:
    """Plot selective accuracy over coverage. Thresholds of 30 % to 90 % are marked; `threshold` (0 to 1) in words."""
    figure = _new_figure(5.4, 4.2)
    axis = figure.subplots()
    plotted = curve.coverage >= MIN_PLOTTED_COVERAGE
    axis.plot(curve.coverage[plotted], curve.accuracy[plotted], color=BLUE)
    for mark in np.arange(3, 10) / 10:
        covered, accuracy = curve.at(mark)
        if 0 < covered < 1 and mark != threshold:
            axis.plot(covered, accuracy, "o", ms=4, color=BLUE)
            offset = {"xytext": (3, 4), "textcoords": "offset points", "fontsize": 8}
            axis.annotate(f"{mark:.0%}", (covered, accuracy), **offset)
    if threshold is not None:
        covered, accuracy = curve.at(threshold)
        effect = f"coverage {covered:.1%},\nselective accuracy {accuracy:.1%}" if covered else "coverage 0%"
        text = f"at threshold {threshold:.0%}:\n{effect}"
        axis.plot(covered, accuracy, "o", ms=8, color=RED)
        line = {"arrowstyle": "-", "color": RED}
        axis.annotate(text, (covered, accuracy), (0.04, 0.06), textcoords="axes fraction", color=RED, arrowprops=line)
    axis.set(xlim=(0, 1.02), xlabel="coverage: faces that get a label", ylabel="selective accuracy")
    axis.set_title("coverage and selective accuracy per confidence threshold", fontsize=10)
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_formatter("{x:.0%}")
    _style_axis(axis)
    return figure


def most_confident_mistakes(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], count: int = MAX_MISTAKES
) -> NDArray[np.int64]:
    """Return the rows of up to `count` wrong predictions in `probabilities` (n, classes), most confident first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]


# --- contact sheets -------------------------------------------------------------------------------------------------


def enlarge(face: NDArray[np.uint8], min_side: int) -> NDArray[np.uint8]:
    """Return `face` (side, side[, 3]) enlarged by the smallest integer factor that gives at least `min_side` pixels."""
    side = face.shape[0]
    factor = -(-min_side // side)
    larger = cv2.resize(face, (side * factor, side * factor), interpolation=cv2.INTER_CUBIC) if factor > 1 else face
    return larger.astype(np.uint8, copy=False)


def contact_sheet(
    images: Sequence[NDArray[np.uint8]], *, columns: int, title: str, left: Sequence[str], above: Sequence[str]
) -> Figure:
    """Draw `images` row by row, without rescaling.

    Args:
        images: (side, side) gray or (side, side, 3) RGB uint8, all of one size, at least one.
        columns: images per row.
        title: above everything.
        left: a text on the left of each row.
        above: a text above each column.
    """
    side = len(images[0])
    column_width = max(side, _text_width(above)) + SHEET_GAP_PIXELS
    row_height = side + SHEET_GAP_PIXELS
    x0, y0 = 2 * SHEET_GAP_PIXELS + _text_width(left), 3 * SHEET_LINE_PIXELS
    width = max(x0 + column_width * min(columns, len(images)), _text_width([title]) + 2 * SHEET_GAP_PIXELS)
    # Three channels: a color map would change some pixels by a level.
    canvas = np.full((y0 + row_height * -(-len(images) // columns), width, 3), 255, np.uint8)
    inset = (column_width - SHEET_GAP_PIXELS - side) // 2
    for number, image in enumerate(images):
        y, x = y0 + number // columns * row_height, x0 + number % columns * column_width + inset
        canvas[y : y + side, x : x + side] = image if image.ndim == 3 else image[..., np.newaxis]
    figure = _new_figure(width / DOTS_PER_INCH, len(canvas) / DOTS_PER_INCH, layout=None)
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(len(canvas), 0))
    axis.axis("off")
    axis.imshow(canvas, interpolation="none", extent=(0, width, len(canvas), 0))
    axis.text(SHEET_GAP_PIXELS, SHEET_LINE_PIXELS, title, va="center", fontsize=9)
    for number, text in enumerate(left):
        middle = y0 + number * row_height + side / 2
        axis.text(x0 - SHEET_GAP_PIXELS, middle, text, ha="right", va="center", fontsize=9)
    for number, text in enumerate(above):
        center = x0 + number * column_width + inset + side / 2
        axis.text(center, y0 - 5, text, ha="center", va="bottom", fontsize=8)
    return figure


def _text_width(texts: Sequence[str]) -> int:
    """Return the pixels that the longest of `texts` takes at most."""
    return round(SHEET_LETTER_PIXELS * max((len(text) for text in texts), default=0))


# --- figures --------------------------------------------------------------------------------------------------------


def save(figure: Figure, target: Path | IO[bytes]) -> None:
    """Write `figure` to a file, atomically, or as SVG to a binary stream. Equal figures give equal bytes.

    Args:
        target: a path, whose suffix names the format (.png, .svg, .pdf; default .png), or a stream.

    Raises:
        UsageError: Matplotlib does not know the format. FileError: the file cannot be written.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a class may be called $a$
    if not isinstance(target, Path):
        _write(figure, target, "svg")
        return
    try:
        with atomic_path(target) as temporary:
            _write(figure, temporary, target.suffix.lstrip(".") or "png")
    except ValueError as error:  # an unknown format; the message lists the known ones
        raise UsageError(f"{target}: {error}") from error


def _write(figure: Figure, target: Path | IO[bytes], file_format: str) -> None:
    from matplotlib import rc_context

    no_date = {"metadata": {"Date": None}} if file_format == "svg" else {}
    with rc_context({"svg.hashsalt": "emotion-edge"}):  # element ids that do not depend on the time
        figure.savefig(target, format=file_format, dpi=DOTS_PER_INCH, **no_date)


def sweep(trials: Sequence[tuple[float, bool, Mapping[str, Any]]], metric: str) -> Figure:
    """Plot the `metric` of the trials of a study in their order, and over each option.

    Args:
        trials: the metric, whether the trial was completed, and its options: name -> value.
        metric: its name.
    """
    names = sorted({name for _, _, options in trials for name in options})
    columns = min(3, len(names) + 1)
    rows = -(-(len(names) + 1) // columns)
    figure = _new_figure(3.4 * columns, 2.8 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    order = [(number, value, completed) for number, (value, completed, _) in enumerate(trials)]
    _plot_trials(axes[0], order)
    axes[0].plot(np.maximum.accumulate([value for _, value, _ in order]), color=ORANGE, label="best so far")
    axes[0].set(xlabel="trial", ylabel=f"PublicTest {metric}")
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(fontsize="small")
    for axis, name in zip(axes[1:], names, strict=False):
        points = [(options[name], value, completed) for value, completed, options in trials if name in options]
        numbers = [x for x, _, _ in points if isinstance(x, int | float) and not isinstance(x, bool)]
        if len(numbers) < len(points):
            points = [(str(x), value, completed) for x, value, completed in points]
        elif min(numbers) > 0 and max(numbers) >= 10 * min(numbers):
            axis.set_xscale("log")
        _plot_trials(axis, points)
        if axis.get_xscale() == "log":
            axis.xaxis.get_major_locator().set_params(subs=(1.0,) if max(numbers) > 100 * min(numbers) else (1.0, 3.0))
            axis.xaxis.set_major_formatter("{x:g}")  # without mathematical notation, which `save` turns off
            axis.xaxis.set_minor_formatter("")
        axis.set(xlabel=name)
    for axis in axes:
        axis.grid(alpha=0.3)
    for axis in axes[len(names) + 1 :]:
        axis.remove()
    return figure


def _plot_trials(axis: Any, points: Sequence[tuple[Any, float, bool]]) -> None:
    """Draw `points` (x, value, completed); a trial that was not completed is a ring."""
    axis.plot(
        [x for x, _, _ in points],
        [value for _, value, _ in points],
        "o",
        ms=4,
        color=BLUE,
        mfc="white",
        label="not completed",
    )
    done = [(x, value) for x, value, completed in points if completed]
    axis.plot([x for x, _ in done], [value for _, value in done], "o", ms=4, color=BLUE, label="completed")


def _new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """Return an empty figure of `width` x `height` inches."""
    try:
        from matplotlib.figure import Figure as MatplotlibFigure
    except ModuleNotFoundError as error:
        raise EmotionEdgeError(f"matplotlib is not installed; {install_command('trainer')} installs it") from error
    return MatplotlibFigure(figsize=(width, height), layout=layout)  # without pyplot: no global state, no window


def _read_history(history: Path) -> dict[str, list[float]]:
    """Return the plotted columns of history.csv: name -> value per epoch."""
    try:
        with history.open(newline="") as file:
            rows = list(csv.DictReader(file))
        names = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
        columns = {name: [float(row[name]) for row in rows] for name in names}
    except OSError as error:
        raise UsageError(f"{history}: cannot be read ({error.strerror or error})") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{history}: not the history.csv of a run ({error})") from error
    if not rows:
        raise UsageError(f"{history}: not the history.csv of a run (no epoch in it)")
    return columns


def _draw_bars(
    axis: Any,
    groups: Sequence[str],
    bars: Mapping[str, NDArray[np.float64]],
    value_format: str,
    intervals: Sequence[Sequence[tuple[float, float]]] = (),
) -> None:
    """Draw horizontal bars: for each group, from the top, one bar per name.

    Args:
        bars: name -> value of each group, 0 to 1.
        value_format: of the number at the end of a bar.
        intervals: for each name the error bar (low, high) of each group; empty: no error bars.
    """
    height, containers = 0.8 / len(bars), []
    for number, values in enumerate(bars.values()):
        positions = np.arange(len(groups)) + (number - (len(bars) - 1) / 2) * height
        ends = np.array(intervals[number]) if intervals else np.column_stack([values, values])  # (groups, 2)
        errors = np.abs(ends.T - values) if intervals else None
        colors = {"color": BAR_COLORS[number % len(BAR_COLORS)], "ecolor": DARK_GRAY}
        containers.append(axis.barh(positions, values, height * 0.92, xerr=errors, capsize=1.5, **colors))
        for position, value, end in zip(positions, values, ends[:, 1], strict=True):
            axis.text(end + 0.008, position, value_format.format(value), va="center", fontsize=7.5)
    axis.set_yticks(range(len(groups)), groups)
    axis.set(xlim=(0, 1.08), ylim=(len(groups) - 0.5, -0.5), xticks=np.arange(6) / 5)
    axis.tick_params(axis="y", length=0)
    # Names that are passed here are shown even if they begin with an underscore.
    axis.figure.legend(containers, list(bars), loc="outside lower center", ncols=len(bars), frameon=False)
    _style_axis(axis, "x")


def _style_axis(axis: Any, grid: str = "both") -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3, axis=grid)
    axis.set_axisbelow(True)
