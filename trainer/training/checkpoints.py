"""The folder that a training run lives in.

    settings.json   exactly what it was told, the data's classes and counts, and the versions it ran on
    history.csv     one line an epoch
    curves.png      loss and accuracy over the epochs
    best.keras      the averaged weights of the epoch with the best accuracy on PublicTest
    last.npz        everything that going on needs: weights, optimizer, epoch

Each file is written aside and then renamed: whatever stops a run, each is whole or the one before.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edge.system.atomic_file import atomic_path, atomic_write
from trainer import keras_file
from trainer.data.dataset import Dataset
from trainer.errors import TrainingError
from trainer.keras_file import KerasMetadata
from trainer.reports import plots


@dataclass
class Progress:
    """How far a run is."""

    epochs: int = 0  # whole ones done, of both phases together
    best: float = -1.0  # accuracy on PublicTest; below 0 so that the first epoch counts, however bad
    seconds: float = 0.0  # spent in training and validation so far


class Run:
    """Reads and writes the folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best = folder / "best.keras"
        self._settings, self._state = folder / "settings.json", folder / "last.npz"
        self._history, self._curves = folder / "history.csv", folder / "curves.png"

    def begin(self) -> Progress:
        """Return the progress of a new run. Raises TrainingError when the folder holds a run already."""
        if self._settings.exists():
            raise TrainingError(f"{self.folder}: holds a run already; go on with --resume or name another --run")
        return Progress()

    def describe(self, about: Mapping[str, Any]) -> None:
        """Make the folder and write down what the run was told."""
        atomic_write(self._settings, (json.dumps(about, indent=1) + "\n").encode())

    def resume(self, about: Mapping[str, Any]) -> Progress:
        """Return how far the run in the folder is.

        Raises TrainingError when there is none, or when it was begun with something else than `about`, naming that.
        """
        if not self._settings.is_file():
            raise TrainingError(f"{self.folder}: no run to resume (no settings.json); leave out --resume to start one")
        before = json.loads(self._settings.read_text())
        for part in ("settings", "labels", "detail", "training", "validation"):
            now = json.loads(json.dumps(about[part]))
            if before.get(part) != now:
                raise TrainingError(
                    f"{self.folder}: a run cannot go on with other {part}: {_difference(before.get(part), now)}"
                )
        if not self._state.is_file():
            return Progress()
        with np.load(self._state) as state:
            return Progress(**json.loads(str(state["progress"])))

    def save(self, model: keras.Model, progress: Progress) -> None:
        """Keep everything that going on needs."""
        arrays: dict[str, Any] = {f"model{i}": np.asarray(value) for i, value in enumerate(model.variables)}
        arrays |= {f"optimizer{i}": np.asarray(value) for i, value in enumerate(model.optimizer.variables)}
        arrays["progress"] = np.array(json.dumps(asdict(progress)))
        with atomic_path(self._state) as aside:
            np.savez(aside, **arrays)

    def restore(self, model: keras.Model, *, optimizer: bool) -> None:
        """Put the kept weights into `model`, and those of its optimizer where it is in the same phase."""
        with np.load(self._state) as state:
            for i, variable in enumerate(model.variables):
                variable.assign(state[f"model{i}"])
            for i, variable in enumerate(model.optimizer.variables if optimizer else []):
                variable.assign(state[f"optimizer{i}"])

    def save_best(self, model: keras.Model, dataset: Dataset) -> None:
        """Write `model`, with the labels of `dataset`, to best.keras.

        Without its optimizer, which is three times its size, and without FER+'s votes, which are for training alone.
        """
        with atomic_path(self.best) as aside:
            inference_model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
            keras_file.save(inference_model, aside, KerasMetadata(dataset.class_names, dataset.side))

    def add_epoch(self, row: Mapping[str, Any]) -> None:
        """Add an epoch's line to the history, in place of what an interrupted run left of it, and draw the curves."""
        kept: list[Mapping[str, Any]] = []
        if self._history.exists():
            with self._history.open(newline="") as file:
                kept = [line for line in csv.DictReader(file) if int(line["epoch"]) < row["epoch"]]
        lines = [",".join(row), *(",".join(map(str, line.values())) for line in (*kept, row))]
        atomic_write(self._history, ("\n".join(lines) + "\n").encode())
        plots.curves(self._history, self._curves)


def _difference(before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        return "; ".join(
            f"{key} {before.get(key)} -> {value}" for key, value in now.items() if before.get(key) != value
        )
    return f"{before} -> {now}"
