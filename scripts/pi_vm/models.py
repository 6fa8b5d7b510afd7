"""Count the instructions of one inference of model files on the emulated board.

usage: scripts/pi-vm.sh models FILE.tflite...
       scripts/pi-vm.sh models --table [--write]      (PYTHON= one with TensorFlow)

Prints, for each file and processor, the user-space instructions of one inference on one thread, and the operators that
XNNPACK does not take. `--table` makes untrained models of several widths and input sizes, counts them and the shipped
model, and with `--write` replaces the counts of docs/model-costs.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pi_vm import tables, untrained
from pi_vm.board import ROOT, BoardError, log
from pi_vm.release import PROCESSORS, count, deploy, release_board, versions

COMMITTED = ROOT / "docs/model-costs.json"
SHIPPED = ROOT / "models/emotion.tflite"
# Of the shipped model and an untrained one of the same width and size: what a model has learned must not matter.
MAX_WEIGHT_DEPENDENCE = 0.005
# What a row says besides its costs: filled in for the models that were trained, and kept by --write.
MEASURED = {"public_test_accuracy": None, "trained_from": None}

Costs = dict[str, dict[str, Any]]  # processor -> what pi_vm.count_models tells


def count_files(paths: Sequence[Path]) -> tuple[dict[str, str], list[Costs]]:
    """Return the versions on the board, and the costs of each file."""
    costs: list[Costs] = [{} for _ in paths]
    for processor in PROCESSORS:
        with release_board(ROOT, processor, counting=True) as board:
            found_versions = versions(board)
            for number, path in enumerate(paths):
                board.send(path.read_bytes(), f"/home/pi/{number}.tflite")
            log(f"{processor}: counting {len(paths)} models")
            files = [f"{number}.tflite" for number in range(len(paths))]
            for name, found in json.loads(count(board, "count_models", *files)).items():
                costs[int(Path(name).stem)][processor] = found
    return found_versions, costs


def count_table() -> dict[str, Any]:
    """Return the content of docs/model-costs.json, without what was measured on trained models.

    Raises BoardError if the shipped model and an untrained one of its width and size cost not the same.
    """
    from edge.inference import model_file

    with tempfile.TemporaryDirectory(prefix="pi-vm-models-") as name:
        folder = Path(name)
        log("making untrained models")
        flatbuffer, card = model_file.load(SHIPPED)
        parts = [
            untrained.write_part(flatbuffer, 0, 0, folder / "input.tflite"),
            untrained.write_part(flatbuffer, -2, -1, folder / "output.tflite"),
        ]
        found_versions, (shipped, first, last, *rows) = count_files(
            [SHIPPED, *parts, *untrained.make_untrained(folder)]
        )
    keys = [(width, size) for width in untrained.WIDTHS for size in untrained.SIZES]
    by_size = dict(zip(keys, rows, strict=True))
    for processor in PROCESSORS:
        learned, random = (costs[processor]["instructions"] for costs in (shipped, by_size[1.0, card.input_size]))
        if abs(random / learned - 1) > MAX_WEIGHT_DEPENDENCE:
            raise BoardError(f"{processor}: {learned} instructions of the shipped model, {random} of an untrained one")
    outside = {
        processor: first[processor]["instructions"] + last[processor]["instructions"] for processor in PROCESSORS
    }
    return {
        "versions": found_versions,
        "shipped": _instructions(shipped),
        "operators": shipped[PROCESSORS[0]]["operators"],
        "not_delegated": {"operators": shipped[PROCESSORS[0]]["not_delegated"], "instructions": outside},
        "models": [
            {"width": width, "input_size": size, "instructions": _instructions(costs), **MEASURED}
            for (width, size), costs in by_size.items()
        ],
    }


def _instructions(costs: Costs) -> dict[str, int]:
    return {processor: found["instructions"] for processor, found in costs.items()}


def keep_measured(found: dict[str, Any], before: dict[str, Any]) -> None:
    """Copy what was measured on trained models from the rows of `before` to the same rows of `found`."""
    rows = {(row["width"], row["input_size"]): row for row in before.get("models", ())}
    for row in found["models"]:
        earlier = rows.get((row["width"], row["input_size"]), {})
        row.update({key: value for key, value in earlier.items() if key not in row or row[key] is None})


def main() -> int:
    parser = argparse.ArgumentParser(prog="pi-vm.sh models", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.tflite")
    parser.add_argument("--table", action="store_true", help="count untrained models of several widths and sizes")
    parser.add_argument("--write", action="store_true", help=f"replace the counts of {COMMITTED.relative_to(ROOT)}")
    arguments = parser.parse_args()
    if bool(arguments.files) == arguments.table:
        parser.error("name model files, or --table")
    if missing := [path for path in arguments.files if not path.is_file()]:
        parser.error(f"{missing[0]}: no such file")
    try:
        deploy(fresh=False)
        found = count_table() if arguments.table else None
        costs = [] if found else count_files(arguments.files)[1]
    except BoardError as error:
        log(f"pi-vm.sh: error: {error}")
        return 1
    if found:
        keep_measured(found, json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {})
        print(tables.models(found))
        if arguments.write:
            COMMITTED.write_text(json.dumps(found, indent=1) + "\n")
            tables.DOCUMENT.write_text(tables.replace(tables.DOCUMENT.read_text(), tables.models(found)))
    else:
        named = zip(arguments.files, costs, strict=True)
        print(json.dumps({str(path): found for path, found in named}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
