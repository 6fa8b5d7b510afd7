"""Several runs in one table: how right, how large and how fast each is, float and int8."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference.classifier import runtime
from edge.system.atomic_file import atomic_write
from edge.system.native_output import suppress_native_output
from trainer import keras_file
from trainer.data.dataset import Dataset
from trainer.errors import TrainingError
from trainer.evaluation.metrics import Result
from trainer.quantization.quantize import quantize, to_float_tflite
from trainer.reports import plots

ROUNDS, CALLS = 30, 5  # of every model in turn, so that a busy moment of the machine hits all alike

HEADER = (
    "run",
    "backbone",
    "alpha",
    "input",
    "epochs",
    "parameters",
    "float accuracy",
    "int8 accuracy",
    "95 %",
    "int8 macro-F1",
    "int8 bytes",
    "float ms",
    "int8 ms",
    "training s",
)


@dataclass(frozen=True, eq=False)
class Compared:
    """One run: what it was told and what was measured."""

    name: str
    backbone: str
    alpha: float
    input_size: int  # pixels a side
    epochs: int  # done, of both phases
    parameters: int
    float_result: Result  # on PublicTest
    int8_result: Result  # likewise, as the device runs it
    int8_bytes: int
    float_ms: float  # one face, one thread, median
    int8_ms: float
    seconds: float  # of training and validation

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the order of HEADER."""
        low, high = self.int8_result.interval
        return (
            self.name,
            self.backbone,
            f"{self.alpha:g}",
            str(self.input_size),
            str(self.epochs),
            f"{self.parameters:,}",
            f"{self.float_result.accuracy:.4f}",
            f"{self.int8_result.accuracy:.4f}",
            f"{low:.3f} to {high:.3f}",
            f"{self.int8_result.macro_f1:.4f}",
            f"{self.int8_bytes:,}",
            f"{self.float_ms:.2f}",
            f"{self.int8_ms:.2f}",
            f"{self.seconds:.0f}",
        )


def compare(runs: Sequence[Path], dataset: Dataset, say: Callable[[str], None] = lambda _: None) -> list[Compared]:
    """Return a row for each of the run folders `runs`; each gets its int8 file as RUN/best.tflite.

    Raises TrainingError when a folder holds no finished epoch, and what quantize raises.
    """
    setting_specs = [_about(folder) for folder in runs]
    contents: list[bytes] = []
    found = []
    for folder in runs:
        say(f"{folder}: converting and measuring")
        out = folder / "best.tflite"
        found.append(quantize(folder / "best.keras", dataset, out))
        model = keras_file.load(folder / "best.keras")
        contents += [to_float_tflite(model), out.read_bytes()]
    say("measuring the speed of all in turn")
    times = latencies(contents)
    return [
        Compared(
            name=folder.name,
            backbone=about["settings"]["backbone"],
            alpha=about["settings"]["alpha"],
            input_size=about["settings"]["input_size"],
            epochs=about["epochs"],
            parameters=keras_file.load(folder / "best.keras").count_params(),
            float_result=result.before,
            int8_result=result.after,
            int8_bytes=result.bytes_after,
            float_ms=times[2 * number],
            int8_ms=times[2 * number + 1],
            seconds=about["seconds"],
        )
        for number, (folder, about, result) in enumerate(zip(runs, setting_specs, found, strict=True))
    ]


def _about(folder: Path) -> dict[str, Any]:
    """Return what settings.json and history.csv of a run tell."""
    try:
        about: dict[str, Any] = json.loads((folder / "settings.json").read_text())
        with (folder / "history.csv").open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        return {**about, "epochs": int(last["epoch"]), "seconds": float(last["seconds"])}
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise TrainingError(f"{folder}: not a run with a finished epoch; name a folder of 'trainer train'") from error


def latencies(contents: Sequence[bytes]) -> list[float]:
    """Return for each FlatBuffer the median milliseconds of one inference on one thread, all measured in turn."""
    interpreters = [_ready(content) for content in contents]
    taken: list[list[float]] = [[] for _ in interpreters]
    for _ in range(ROUNDS):
        for interpreter, times in zip(interpreters, taken, strict=True):
            start = time.perf_counter()
            for _ in range(CALLS):
                interpreter.invoke()
            times.append((time.perf_counter() - start) / CALLS * 1000)
    return [float(np.median(times)) for times in taken]


def _ready(content: bytes) -> Any:
    with suppress_native_output(2):
        interpreter = runtime().Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    (details,) = interpreter.get_input_details()
    pixels: NDArray[Any] = np.full(details["shape"], 128, details["dtype"])
    interpreter.set_tensor(details["index"], pixels)
    for _ in range(CALLS):  # warm-up
        interpreter.invoke()
    return interpreter


def as_markdown(rows: Sequence[Compared]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEADER, ("---", "---", *["---:"] * (len(HEADER) - 2)), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def as_csv(rows: Sequence[Compared]) -> str:
    """Return the rows as CSV with a header, numbers without separators."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([cell.replace(",", "") for cell in row.cells()] for row in rows)
    return text.getvalue()


def write(rows: Sequence[Compared], path: Path) -> None:
    """Write the rows to `path`: .md or .csv as a table, anything else as an image."""
    if path.suffix == ".md":
        atomic_write(path, as_markdown(rows).encode())
    elif path.suffix == ".csv":
        atomic_write(path, as_csv(rows).encode())
    else:
        points = [(row.name, row.int8_ms, row.int8_result.accuracy, row.int8_bytes) for row in rows]
        plots.tradeoff(points, path)
