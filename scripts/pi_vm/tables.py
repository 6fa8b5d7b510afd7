"""The counts of docs/arm64.json and docs/model-costs.json as the Markdown tables of docs/runtime.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/runtime.md"
# Processor -> board, its clock in Hz. The clocks are the boards' highest, without throttling.
BOARDS = {"cortex-a72": ("Pi 4", 1.8e9), "cortex-a76": ("Pi 5", 2.4e9)}
INSTRUCTIONS_PER_CYCLE = 0.8, 1.5  # assumed, of this mixture of SIMD kernels and Python; not measured on a board
NOT_COUNTED = "-"
STAGES = ("detect", "crop", "classify", "smooth", "capture", "sinks")

Counts = Mapping[str, Mapping[str, float]]  # "scene source" -> stage -> instructions of a second


def stages(processor: str, scenes: Counts) -> str:
    """Return the stages of each scene on a processor, in million instructions a second."""
    rows = [
        [
            _name(scene),
            *(f"{counts.get(stage, 0) / 1e6:.1f}" for stage in (*STAGES, "loop", "process", "kernel")),
            f"{counts.get('inferences', 0):.1f}",
        ]
        for scene, counts in scenes.items()
    ]
    return _table(
        [f"{_short(processor)}: scene, source", *STAGES, "**loop**", "**process**", "kernel", "inferences"], rows
    )


def boards(seconds: Mapping[str, Counts]) -> str:
    """Return what the process takes of a core of each board, by the assumptions above."""
    header = ["scene, source"]
    for processor, (board, _) in BOARDS.items():
        header += [f"{_short(processor)}, 10^9 a second", f"of a core of a {board}"]
    rows = []
    for scene in next(iter(seconds.values())):
        row = [_name(scene)]
        for processor, (_, clock) in BOARDS.items():
            counts = seconds.get(processor, {}).get(scene)
            if counts is None:
                row += [NOT_COUNTED] * 2
                continue
            most, least = (counts["process"] / (clock * rate) for rate in INSTRUCTIONS_PER_CYCLE)
            row += [f"{counts['process'] / 1e9:.3f}", f"{least:.0%} to {most:.0%}"]
        rows.append(row)
    return _table(header, rows)


def models(content: Mapping[str, Any]) -> str:
    """Return width, input size and costs of each model, and what is known of those that were trained."""
    rows = []
    for row in content["models"]:
        accuracy = row["public_test_accuracy"]
        rows.append(
            [
                f"{row['width']:g}",
                str(row["input_size"]),
                *(_millions(row["instructions"].get(processor)) for processor in BOARDS),
                "" if accuracy is None else f"{accuracy:.1%}",
                row["trained_from"] or "",
            ]
        )
    return _table(["width", "input, pixels", "A72, 10^6 instructions", "A76", "PublicTest", "trained from"], rows)


def replace(text: str, table: str) -> str:
    """Return `text` with `table` in place of the table that has the same header."""
    lines, new = text.split("\n"), table.split("\n")
    start = lines.index(new[0])
    end = lines.index("", start)
    return "\n".join([*lines[:start], *new, *lines[end:]])


def _short(processor: str) -> str:
    return processor.removeprefix("cortex-").upper()


def _millions(instructions: float | None) -> str:
    return NOT_COUNTED if instructions is None else f"{instructions / 1e6:.1f}"


def _name(scene: str) -> str:
    name, _, source = scene.rpartition(" ")
    return f"{name.replace('_', ' ')}, {source}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
