"""Results as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.evaluation.metrics import Result

if TYPE_CHECKING:
    from trainer.evaluation.crop_padding import Margins
    from trainer.evaluation.evaluate import Judged
    from trainer.quantization.quantize import Comparison
    from trainer.training.input_benchmark import Speeds


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` with aligned columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def result(found: Result) -> str:
    """Return accuracy, the per-class table and the confusion matrix of one result."""
    low, high = found.interval
    head = f"{found.split}: {found.n} faces, accuracy {found.accuracy:.4f} (95 %: {low:.4f} to {high:.4f}), "
    head += f"macro-F1 {found.macro_f1:.4f}"
    per_class = [("class", "precision", "recall", "F1", "faces")]
    columns = zip(found.names, found.precision, found.recall, found.f1, found.confusion.sum(axis=1), strict=True)
    per_class += [(name, f"{p:.3f}", f"{r:.3f}", f"{f:.3f}", str(n)) for name, p, r, f, n in columns]
    confusion = [("true \\ predicted", *found.names)]
    confusion += [(name, *map(str, row)) for name, row in zip(found.names, found.confusion.tolist(), strict=True)]
    return f"{head}\n\n{grid(per_class)}\n\n{grid(confusion)}"


def judged(found: Judged) -> str:
    """Return all that was measured of a model: its result, its confidence, and what was asked for besides."""
    covered, accuracy = found.answered
    calibrated = f"expected calibration error {found.reliability.error:.4f}; sure (at least {found.unsure:.0%}) of "
    parts = [result(found.result), f"{calibrated}{covered:.1%} of the faces, right on {accuracy:.1%} of those"]
    if len(found.models) > 1:
        other = found.models[1]
        agreement = (other.scores.argmax(axis=1) == found.models[0].scores.argmax(axis=1)).mean()
        parts.append(
            f"{other.name}: accuracy {other.result.accuracy:.4f}, macro-F1 {other.result.macro_f1:.4f}; "
            f"both say the same of {agreement:.1%} of the faces"
        )
    if found.two_looks:
        held = f"accuracy {found.two_looks.accuracy:.4f}, macro-F1 {found.two_looks.macro_f1:.4f}"
        parts.append(f"mean of two looks at each face: {held}")
    if found.ferplus:
        held = f"{found.ferplus.n} faces, accuracy {found.ferplus.accuracy:.4f}, macro-F1 {found.ferplus.macro_f1:.4f}"
        parts.append(f"against the majority of FER+'s voters: {held}")
    if found.robustness:
        parts.append(robustness(found.robustness))
    return "\n\n".join(parts)


def robustness(found: Mapping[str, Mapping[str, Result]]) -> str:
    """Return accuracy and macro-F1 of each model under each condition."""
    rows = [("accuracy (macro-F1)", *found)]
    for condition in next(iter(found.values())):
        cells = [f"{r[condition].accuracy:.4f} ({r[condition].macro_f1:.3f})" for r in found.values()]
        rows.append((condition, *cells))
    return grid(rows)


def margins(found: Margins) -> str:
    """Return the accuracy for each margin, the best one marked."""
    rows = [("margin", "accuracy", "")]
    rows += [(f"{m:+.2f}", f"{a:.4f}", "<- best" if m == found.best else "") for m, a in found.accuracy.items()]
    head = (
        f"{found.found} of {found.faces} faces have exactly one Haar box, of {found.width:.2f} of their width (median);"
    )
    return f"{head}\non these the model is right on {found.whole:.4f} without a search\n\n{grid(rows)}"


def speeds(found: Speeds) -> str:
    """Return the two pairs and their ratios."""
    rows = [
        ("", "ours", "against", "ratio"),
        ("faces made a second, against ImageDataGenerator", *_pair(found.made, found.made_by_keras, 0)),
        ("training steps a second, against a constant batch", *_pair(found.steps, found.steps_on_constant, 2)),
    ]
    return grid(rows)


def _pair(ours: float, other: float, digits: int) -> tuple[str, str, str]:
    return f"{ours:,.{digits}f}", f"{other:,.{digits}f}", f"{ours / other:.2f}"


def comparison(found: Comparison) -> str:
    """Return float and int8 side by side."""
    before, after = found.before, found.after
    rows = [
        ("", "float", "int8"),
        ("file, bytes", f"{found.bytes_before:,}", f"{found.bytes_after:,}"),
        (f"{after.split} accuracy", f"{before.accuracy:.4f}", f"{after.accuracy:.4f}"),
        (f"{after.split} macro-F1", f"{before.macro_f1:.4f}", f"{after.macro_f1:.4f}"),
        *((f"F1 {name}", f"{b:.3f}", f"{a:.3f}") for name, b, a in zip(before.names, before.f1, after.f1, strict=True)),
    ]
    worst, lost = found.worst
    raw, fitted = found.calibration
    sure = (
        f"temperature {found.temperature:.3f}: expected calibration error {raw:.3f} -> {fitted:.3f}; confident of at "
    )
    sure += (
        f"least {found.unsure:.0%} on {found.covered:.1%} of the faces, right on {found.accuracy_covered:.1%} of those"
    )
    tail = f"they agree on {found.agreement:.1%} of {after.n} faces; worst class: {worst}, F1 {-lost:+.3f}"
    return f"{grid(rows)}\n{tail}\n{sure}"
