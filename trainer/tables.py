"""Results as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.evaluate import Result

if TYPE_CHECKING:
    from trainer.quantize import Comparison


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
    tail = f"they agree on {found.agreement:.1%} of {after.n} faces; worst class: {worst}, F1 {-lost:+.3f}"
    return f"{grid(rows)}\n{tail}"
