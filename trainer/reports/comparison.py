"""Several runs in one table: accuracy, file size and latency of each, float and int8."""

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

from edge.system.atomic_file import atomic_write
from edge.system.native_output import suppress_native_output
from edge.system.plain_text import to_cell
from edge.system.tflite import runtime
from trainer import keras_file
from trainer.data import label_mapping
from trainer.data.dataset import PUBLIC_TEST, Dataset
from trainer.errors import TrainingError
from trainer.evaluation.metrics import Metrics, compute_metrics
from trainer.evaluation.paired_test import PairedDifference, compare_predictions
from trainer.evaluation.prediction import open_model
from trainer.quantization.quantize import convert_to_float, quantize
from trainer.reports import plots

# Each round times every model once, so that other load on the machine affects all of them alike.
LATENCY_ROUNDS, CALLS_PER_ROUND = 30, 5

HEADER = (
    "run",
    "backbone",
    "alpha",
    "input",
    "head",
    "trained layers",
    "epochs",
    "parameters",
    "float accuracy",
    "int8 accuracy",
    "95 % CI",
    "int8 macro-F1",
    "int8 bytes",
    "float ms",
    "int8 ms",
    "training s",
)


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """The settings and the measurements of one run."""

    name: str
    backbone: str
    alpha: float
    input_size: int  # pixels a side
    head: str  # layers before the probabilities, see TrainingSettings.head
    unfreeze: int | None  # layers of the backbone that were trained, from the end; None: all
    epochs: int  # finished ones of both phases
    parameters: int
    float_metrics: Metrics  # on PublicTest
    int8_metrics: Metrics  # likewise, with the classifier of the device
    int8_bytes: int
    float_ms: float  # median latency of one face on one thread
    int8_ms: float
    training_seconds: float  # validation included

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the order of HEADER."""
        low, high = self.int8_metrics.accuracy_interval
        return (
            self.name,
            self.backbone,
            f"{self.alpha:g}",
            str(self.input_size),
            self.head,
            "all" if self.unfreeze is None else str(self.unfreeze),
            str(self.epochs),
            f"{self.parameters:,}",
            f"{self.float_metrics.accuracy:.4f}",
            f"{self.int8_metrics.accuracy:.4f}",
            f"{low:.3f} to {high:.3f}",
            f"{self.int8_metrics.macro_f1:.4f}",
            f"{self.int8_bytes:,}",
            f"{self.float_ms:.2f}",
            f"{self.int8_ms:.2f}",
            f"{self.training_seconds:.0f}",
        )


@dataclass(frozen=True, eq=False)
class ComparedFile:
    """A model file on the PublicTest faces."""

    path: Path
    metrics: Metrics
    difference: PairedDifference  # from the first file


def compare_files(
    files: Sequence[Path], dataset: Dataset, report_progress: Callable[[str], None] = lambda _: None
) -> list[ComparedFile]:
    """Return each of the .keras or .tflite `files` on the same PublicTest faces, against the first one.

    The labels of the files may have any order. Raises ModelError when a file is no model, DataError when it has other
    labels than the first one or the data set lacks the split.
    """
    first = open_model(files[0], dataset)
    rows = label_mapping.match_labels(dataset, first.labels, some=True).split(PUBLIC_TEST)
    compared: list[ComparedFile] = []
    baseline: NDArray[np.int64] | None = None
    for path in files:
        report_progress(f"evaluating {path} on {len(rows)} {PUBLIC_TEST} faces")
        probabilities = open_model(path, rows).in_order(rows.class_names).predict(rows)
        predicted = probabilities.argmax(axis=1)
        baseline = predicted if baseline is None else baseline
        difference = compare_predictions(predicted, baseline, rows.labels)
        compared.append(ComparedFile(path, compute_metrics(probabilities, rows), difference))
    return compared


def compare_runs(
    runs: Sequence[Path], dataset: Dataset, report_progress: Callable[[str], None] = lambda _: None
) -> list[ComparedRun]:
    """Return a row for each of the run folders `runs`; each gets its int8 model as RUN/best.tflite.

    Raises TrainingError when a folder has no finished epoch, and what quantize raises.
    """
    run_facts = [read_run(folder) for folder in runs]
    results, parameters = [], []
    contents: list[bytes] = []  # of each run the float and the int8 FlatBuffer
    for folder in runs:
        report_progress(f"{folder}: converting and evaluating")
        int8_file = folder / "best.tflite"
        results.append(quantize(folder / "best.keras", dataset, int8_file))
        model = keras_file.load(folder / "best.keras")
        parameters.append(model.count_params())
        contents += [convert_to_float(model), int8_file.read_bytes()]
    report_progress("measuring the latency of all models, interleaved")
    latencies = measure_latencies(contents)
    return [
        ComparedRun(
            name=folder.name,
            backbone=settings["backbone"],
            alpha=settings["alpha"],
            input_size=settings["input_size"],
            head=settings.get("head", "gap"),
            unfreeze=settings["unfreeze"],
            epochs=epochs,
            parameters=parameters[number],
            float_metrics=results[number].float_metrics,
            int8_metrics=results[number].int8_metrics,
            int8_bytes=results[number].int8_bytes,
            float_ms=latencies[2 * number],
            int8_ms=latencies[2 * number + 1],
            training_seconds=seconds,
        )
        for number, (folder, (settings, epochs, seconds)) in enumerate(zip(runs, run_facts, strict=True))
    ]


def read_run(folder: Path) -> tuple[dict[str, Any], int, float]:
    """Return the settings of a run, its finished epochs and their seconds."""
    try:
        settings: dict[str, Any] = json.loads((folder / "settings.json").read_text())["settings"]
        with (folder / "history.csv").open(newline="") as file:
            last_epoch = list(csv.DictReader(file))[-1]
        return settings, int(last_epoch["epoch"]), float(last_epoch["seconds"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise TrainingError(f"{folder}: not a run with a finished epoch; name a folder of 'trainer train'") from error


def measure_latencies(contents: Sequence[bytes]) -> list[float]:
    """Return for each FlatBuffer the median milliseconds of one inference on one thread, measured interleaved."""
    interpreters = []
    for content in contents:
        with suppress_native_output(2):
            interpreter = runtime().Interpreter(model_content=content, num_threads=1)
            interpreter.allocate_tensors()
        (details,) = interpreter.get_input_details()
        gray: NDArray[Any] = np.full(details["shape"], 128, details["dtype"])
        interpreter.set_tensor(details["index"], gray)
        for _ in range(CALLS_PER_ROUND):  # warm-up
            interpreter.invoke()
        interpreters.append(interpreter)
    milliseconds: list[list[float]] = [[] for _ in interpreters]
    for _ in range(LATENCY_ROUNDS):
        for interpreter, samples in zip(interpreters, milliseconds, strict=True):
            start = time.perf_counter()
            for _ in range(CALLS_PER_ROUND):
                interpreter.invoke()
            samples.append((time.perf_counter() - start) / CALLS_PER_ROUND * 1000)
    return [float(np.median(samples)) for samples in milliseconds]


def as_markdown(rows: Sequence[ComparedRun]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEADER, ("---", "---", *["---:"] * (len(HEADER) - 2)), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def as_csv(rows: Sequence[ComparedRun]) -> str:
    """Return the rows as CSV with a header, numbers without thousands separators."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        name, *cells = row.cells()
        writer.writerow([to_cell(name), *(cell.replace(",", "") for cell in cells)])
    return text.getvalue()


def write_comparison(rows: Sequence[ComparedRun], path: Path) -> None:
    """Write the rows to `path`: as a table to .md or .csv, as a plot to any other suffix."""
    if path.suffix == ".md":
        atomic_write(path, as_markdown(rows).encode())
    elif path.suffix == ".csv":
        atomic_write(path, as_csv(rows).encode())
    else:
        points = [(row.name, row.int8_ms, row.int8_metrics.accuracy, row.int8_bytes) for row in rows]
        plots.save(plots.tradeoff(points), path)
