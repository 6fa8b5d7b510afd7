"""Images of a run and of what was measured. Matplotlib without a screen.

Each drawing goes to a path, whose ending names the format (.png, .svg, .pdf), or as SVG into a binary stream.
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
from trainer.data.dataset import Dataset
from trainer.evaluation.calibration import Coverage, Reliability
from trainer.evaluation.metrics import Result

BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"  # told apart by color-blind people (Okabe, Ito)
GRAY, DARK = "#999999", "#333333"
COLORS = (BLUE, ORANGE, GREEN, RED)
DPI = 120
GAP, LINE, LETTER = 8, 18, 8.2  # pixels of a contact sheet: between images, height of a line, width of a wide letter
LEAST_COVERED = 0.02  # share of the faces below which their accuracy is left to chance, and not drawn
MISTAKES = 40  # most that a sheet of mistakes shows

Target = Path | IO[bytes]


def curves(history: Path, path: Target) -> None:
    """Draw loss and accuracy over the epochs of `history` (a run's history.csv) to `path`.

    Raises UsageError when `history` is not there or no run's history.
    """
    found = _epochs(history)
    epochs = found["epoch"]
    figure = _figure(9, 3.6)
    for axis, key in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axis.plot(epochs, found[key], "o-", ms=3, label="training (augmented)")
        axis.plot(epochs, found[f"val_{key}"], "o-", ms=3, label="PublicTest (averaged weights)")
        axis.set(title=key, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    _save(figure, path)


def confusion(result: Result, path: Target) -> None:
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


def per_class(result: Result, path: Target) -> None:
    """Draw precision, recall and F1 of each class of `result` as bars, with its number of faces, to `path`."""
    groups = [f"{name}\n{n:,} faces" for name, n in zip(result.names, result.confusion.sum(axis=1), strict=True)]
    bars = {"precision": result.precision, "recall": result.recall, "F1": result.f1}
    figure = _figure(5.4, 1.2 + 0.62 * len(groups))
    axis = figure.subplots()
    _bars(axis, groups, bars, "{:.2f}")
    axis.set_title(f"{result.split}: macro-F1 {result.macro_f1:.3f}", fontsize=10)
    _save(figure, path)


def robustness(rows: Mapping[str, Mapping[str, Result]], path: Target) -> None:
    """Draw the accuracy of each model under each condition, with its 95 % interval, to `path`.

    `rows` is model name -> condition -> result; all models have the conditions of the first.
    """
    conditions = list(next(iter(rows.values())))
    figure = _figure(5.4, 1.4 + (0.25 + 0.22 * len(rows)) * len(conditions))
    axis = figure.subplots()
    bars = {name: np.array([found[condition].accuracy for condition in conditions]) for name, found in rows.items()}
    reach = [[found[condition].interval for condition in conditions] for found in rows.values()]
    _bars(axis, conditions, bars, "{:.1%}", reach)
    axis.xaxis.set_major_formatter("{x:.0%}")
    axis.set_title("accuracy, with its 95% interval", fontsize=10)
    _save(figure, path)


def tradeoff(points: Sequence[tuple[str, float, float, int]], path: Target) -> None:
    """Draw what accuracy costs: each (name, milliseconds a face, accuracy, bytes) as a dot as large as its file."""
    names, times, accuracies, sizes = zip(*points, strict=True)
    figure = _figure(6.4, 4.6)
    axis = figure.subplots()
    areas = np.array(sizes) / max(sizes) * 900  # in square points
    axis.scatter(times, accuracies, areas, color=BLUE, alpha=0.35)
    axis.plot(times, accuracies, ".", color=BLUE)
    for name, *place, size, area in zip(names, times, accuracies, sizes, areas, strict=True):
        above = {"xytext": (0, 3 + np.sqrt(area / np.pi)), "textcoords": "offset points"}
        axis.annotate(f"{name}\n{size / 1e6:.2f} MB", place, ha="center", fontsize=8, **above)
    axis.set(xscale="log", xlabel="milliseconds a face, one thread", ylabel="accuracy")
    axis.margins(0.25)
    axis.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
    axis.minorticks_off()
    axis.xaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_major_formatter("{x:.1%}")
    _plain(axis)
    _save(figure, path)


def reliability(reliability: Reliability, path: Target) -> None:
    """Draw how right the answers of each range of confidence are, and how many there are, to `path`.

    The whiskers are 95 % intervals: a gap to the diagonal that they bridge may be chance.
    """
    confidence, accuracy, n = reliability.confidence, reliability.accuracy, reliability.n
    figure = _figure(5.4, 5.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot((0, 1), (0, 1), "--", color=GRAY, lw=1, label="as right as sure")
    above.vlines(confidence, accuracy, confidence, color=RED, lw=5, alpha=0.35, label="gap")
    reach = [_interval(share, count) for share, count in zip(accuracy, n, strict=True)]
    whiskers = np.abs(np.array(reach).T - accuracy)
    above.errorbar(confidence, accuracy, whiskers, fmt="o-", ms=5, color=BLUE, capsize=2, elinewidth=1, label="answers")
    above.set(ylim=(0, 1), ylabel="right answers")
    above.set_title(f"expected calibration error {reliability.error:.3f} ({n.sum():,} faces)", fontsize=10)
    above.yaxis.set_major_formatter("{x:.0%}")
    above.legend(loc="upper left", frameon=False)
    below.bar(confidence, n, width=0.045, color=BLUE, edgecolor="white")
    for place, count in zip(confidence, n, strict=True):
        below.annotate(str(count), (place, count), (0, 2), textcoords="offset points", ha="center", fontsize=7)
    below.set(xlim=(0, 1), ylim=(0, n.max() * 1.25), xlabel="confidence", ylabel="faces")
    below.xaxis.set_major_formatter("{x:.0%}")
    for axis in (above, below):
        _plain(axis)
    _save(figure, path)


def coverage(coverage: Coverage, path: Target, threshold: float | None = None) -> None:
    """Draw the accuracy of the answers over the share of faces that gets one to `path`.

    Thresholds from 30 % to 90 % are marked, and `threshold` (0 to 1) with what it does in words.
    """
    figure = _figure(5.4, 4.2)
    axis = figure.subplots()
    steady = coverage.covered >= LEAST_COVERED
    axis.plot(coverage.covered[steady], coverage.accuracy[steady], color=BLUE)
    for mark in np.arange(3, 10) / 10:
        share, right = coverage.at(mark)
        if 0 < share < 1 and mark != threshold:
            axis.plot(share, right, "o", ms=4, color=BLUE)
            place = {"xytext": (3, 4), "textcoords": "offset points", "fontsize": 8}
            axis.annotate(f"{mark:.0%}", (share, right), **place)
    if threshold is not None:
        share, right = coverage.at(threshold)
        given = (
            f"{share:.1%} of the faces get an answer,\n{right:.1%} of those are right" if share else "no answer at all"
        )
        words = f"unsure below {threshold:.0%}:\n{given}"
        axis.plot(share, right, "o", ms=8, color=RED)
        line = {"arrowstyle": "-", "color": RED}
        axis.annotate(words, (share, right), (0.04, 0.06), textcoords="axes fraction", color=RED, arrowprops=line)
    axis.set(xlim=(0, 1.02), xlabel="faces that get an answer", ylabel="right answers among those")
    axis.set_title("what a threshold on the confidence costs and gives", fontsize=10)
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_formatter("{x:.0%}")
    _plain(axis)
    _save(figure, path)


def mistaken(scores: NDArray[np.float32], labels: NDArray[np.int64], most: int = MISTAKES) -> NDArray[np.int64]:
    """Return the row numbers of the wrong answers in `scores` (n, classes), at most `most`, the surest first."""
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    return wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")][:most]


def mistakes(dataset: Dataset, scores: NDArray[np.float32], path: Target, most: int = MISTAKES) -> None:
    """Draw the faces of `dataset` that `scores` (n, classes) names wrong, at most `most`, the surest first, to `path`.

    The image stores faces of the data set: it may be passed on only where the data set may.
    """
    rows = mistaken(scores, dataset.labels, most)
    answers, names = scores[rows].argmax(axis=1), dataset.class_names
    below = [
        f"{names[dataset.labels[row]]} → {names[answer]}\n{scores[row, answer]:.0%}"
        for row, answer in zip(rows, answers, strict=True)
    ]
    faces = [enlarged(dataset.faces[row], 144) for row in rows]
    found = f"the {len(rows)} surest wrong answers: label → answer" if len(rows) else "no wrong answer"
    sheet(faces, path, columns=8, title=f"{dataset.splits[0]}: {found}", below=below)


def enlarged(face: NDArray[np.uint8], least: int) -> NDArray[np.uint8]:
    """Return `face` (side, side) a whole number of times as large, with at least `least` pixels a side, for the eye."""
    side = face.shape[0]
    times = -(-least // side)
    larger = cv2.resize(face, (side * times, side * times), interpolation=cv2.INTER_CUBIC) if times > 1 else face
    return larger.astype(np.uint8, copy=False)


def sheet(
    images: Sequence[NDArray[np.uint8]],
    path: Target,
    *,
    columns: int,
    title: str,
    below: Sequence[str] = (),
    left: Sequence[str] = (),
    above: Sequence[str] = (),
) -> None:
    """Draw `images`, gray squares of one size, row by row at their own pixels to `path`.

    Args:
        images: each (side, side) uint8; may be none, the title then stands alone.
        path: .png keeps the pixels as they are.
        columns: images a row.
        title: above all of it.
        below: a text under each image, or none.
        left: a text beside each row, or none.
        above: a text over each column, or none.
    """
    side = len(images[0]) if images else 0
    wide = max(side, round(LETTER * _longest((*below, *above)))) + GAP
    high = side + LINE * max((text.count("\n") + 1 for text in below), default=0) + GAP
    x0 = GAP + round(LETTER * _longest(left)) + (GAP if left else 0)
    y0 = 2 * LINE + (LINE if above else 0)
    width = max(x0 + wide * min(columns, len(images)), round(LETTER * len(title)) + 2 * GAP)
    # Three channels, as a color map changes some pixels by a level.
    canvas = np.full((y0 + high * -(-len(images) // columns), width, 3), 255, np.uint8)
    figure = _figure(width / DPI, len(canvas) / DPI, layout=None)
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(len(canvas), 0))
    axis.axis("off")
    inset = (wide - GAP - side) // 2
    for number, image in enumerate(images):
        top, edge = y0 + number // columns * high, x0 + number % columns * wide
        canvas[top : top + side, edge + inset : edge + inset + side] = image[..., np.newaxis]
        if below:
            axis.text(edge + (wide - GAP) / 2, top + side + 3, below[number], ha="center", va="top", fontsize=8)
    for number, text in enumerate(left):
        axis.text(x0 - GAP, y0 + number * high + side / 2, text, ha="right", va="center", fontsize=9)
    for number, text in enumerate(above):
        axis.text(x0 + number * wide + (wide - GAP) / 2, y0 - 5, text, ha="center", va="bottom", fontsize=8)
    axis.imshow(canvas, interpolation="none", extent=(0, width, len(canvas), 0))
    axis.text(GAP, LINE, title, va="center", fontsize=9)
    _save(figure, path)


# --- shared ---------------------------------------------------------------------------------------------------------


def _figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise EmotionEdgeError("matplotlib is not installed; 'pip install emotion-edge[trainer]' brings it") from error
    return Figure(figsize=(width, height), layout=layout)  # no pyplot: no state, no window


def _save(figure: Any, path: Target) -> None:
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a class may be called $a$
    if not isinstance(path, Path):
        _write(figure, path, "svg")
        return
    try:
        with atomic_path(path) as aside:
            _write(figure, aside, path.suffix.lstrip(".") or "png")
    except ValueError as error:  # an ending that it has no format for; it lists those that it has
        raise UsageError(f"{path}: {error}") from error


def _write(figure: Any, path: Target, kind: str) -> None:
    from matplotlib import rc_context

    dated = {"metadata": {"Date": None}} if kind == "svg" else {}
    with rc_context({"svg.hashsalt": "emotion-edge"}):  # the same figures give the same file
        figure.savefig(path, format=kind, dpi=DPI, **dated)


def _epochs(history: Path) -> dict[str, list[float]]:
    """Return what is drawn of a run's history: name of the column -> its value in each epoch."""
    try:
        with history.open(newline="") as file:
            rows = list(csv.DictReader(file))
        names = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
        found = {name: [float(row[name]) for row in rows] for name in names}
    except OSError as error:
        raise UsageError(f"{history}: cannot be read ({error.strerror or error})") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{history}: not the history.csv of a run ({error})") from error
    if not rows:
        raise UsageError(f"{history}: not the history.csv of a run (no epoch in it)")
    return found


def _bars(
    axis: Any,
    groups: Sequence[str],
    bars: Mapping[str, NDArray[np.float64]],
    look: str,
    reach: Sequence[Sequence[tuple[float, float]]] = (),
) -> None:
    """Draw for each group, from the top, a bar of each name, 0 to 1, with its value in the format `look`.

    `reach` has for each name and group the ends of a whisker.
    """
    thick, drawn = 0.8 / len(bars), []
    for number, values in enumerate(bars.values()):
        places = np.arange(len(groups)) + (number - (len(bars) - 1) / 2) * thick
        ends = np.array(reach[number]) if reach else np.column_stack([values, values])  # (groups, 2)
        whiskers = np.abs(ends.T - values) if reach else None
        colors = {"color": COLORS[number % len(COLORS)], "ecolor": DARK}
        drawn.append(axis.barh(places, values, thick * 0.92, xerr=whiskers, capsize=1.5, **colors))
        for place, value, end in zip(places, values, ends[:, 1], strict=True):
            axis.text(end + 0.008, place, look.format(value), va="center", fontsize=7.5)
    axis.set_yticks(range(len(groups)), groups)
    axis.set(xlim=(0, 1.08), ylim=(len(groups) - 0.5, -0.5), xticks=np.arange(6) / 5)
    axis.tick_params(axis="y", length=0)
    # With the names given here one that begins with an underscore is shown too.
    axis.figure.legend(drawn, list(bars), loc="outside lower center", ncols=len(bars), frameon=False)
    _plain(axis, "x")


def _plain(axis: Any, grid: str = "both") -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3, axis=grid)
    axis.set_axisbelow(True)


def _interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of `share` of `n` answers: that of a result with so many right."""
    right = round(share * n)
    return Result("", ("right", "wrong"), np.array([[right, n - right], [0, 0]]), 0.0).interval


def _longest(texts: Sequence[str]) -> int:
    return max((len(line) for text in texts for line in text.split("\n")), default=0)
