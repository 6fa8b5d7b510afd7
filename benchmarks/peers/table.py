"""The leaderboard as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.peers.measure import CLEAN, CLEAN_SUBSET
from trainer.evaluation.corruptions import CORRUPTIONS

BEGIN, END = "<!-- written by python -m benchmarks.peers from here -->", "<!-- to here -->"


def render(content: Mapping[str, Any]) -> str:
    """Return the tables of docs/leaderboard.json, the most accurate peer first."""
    rows = sorted(content["peers"], key=lambda row: -row["conditions"][CLEAN]["accuracy"])
    subset = rows[0]["conditions"][CLEAN_SUBSET]["n"]
    every = content["corruption_step"]
    total = rows[0]["conditions"][CLEAN]["n"]
    return "\n\n".join(
        [
            f"{content['split']}, {total} faces, one crop, one thread:",
            _figures(rows),
            f"Accuracy in percent on corrupted faces: one row in {every}, {subset} faces, those of `clean` too:",
            _robustness(rows),
            "What is known of their training:",
            "\n".join(f"- **{row['name']}**: {row['training_data']} Source: {row['source']}" for row in rows),
            "How each gets a face:",
            "\n".join(f"- **{row['name']}**: {row['input']}." for row in rows),
        ]
    )


def replace(document: str, content: Mapping[str, Any]) -> str:
    """Return `document` with the text between the marks replaced by the tables."""
    before, _, rest = document.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{render(content)}\n\n{END}{after}"


def lacking(labels: Sequence[str], class_names: Iterable[str]) -> list[str]:
    """Return the classes that a peer with `labels` can never answer."""
    return [name for name in class_names if name not in labels]


def _figures(rows: Sequence[Mapping[str, Any]]) -> str:
    header = [
        "peer",
        "version",
        "model file",
        "ms a face",
        "times ours",
        "accuracy",
        "95 % interval",
        "macro-F1",
        "calibration error",
        "lacks",
    ]
    lines = []
    for row in rows:
        clean = row["conditions"][CLEAN]
        low, high = clean["accuracy_ci95"]
        lines.append(
            [
                row["name"],
                row["version"],
                f"{row['model_bytes'] / 1e6:.2f} MB",
                f"{row['milliseconds']:.1f}",
                f"{row['ratio']:.1f}",
                f"{100 * clean['accuracy']:.1f} %",
                f"{100 * low:.1f} to {100 * high:.1f}",
                f"{clean['macro_f1']:.3f}",
                f"{clean['calibration_error']:.3f}",
                ", ".join(row["lacks"]) or "-",
            ]
        )
    return _table(header, lines)


def _robustness(rows: Sequence[Mapping[str, Any]]) -> str:
    names = [CLEAN_SUBSET, *CORRUPTIONS]
    lines = [[row["name"], *(f"{100 * row['conditions'][name]['accuracy']:.1f}" for name in names)] for row in rows]
    return _table(["peer", "clean", *CORRUPTIONS], lines)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
