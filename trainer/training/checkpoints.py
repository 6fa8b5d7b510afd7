"""The folder of a training run.

    settings.json   the settings, the data's classes and counts, and the versions of Python and Keras
    history.csv     one line per epoch
    curves.png      loss and accuracy over the epochs, see trainer.reports.curves
    best.keras      the averaged weights of the epoch with the best accuracy on PublicTest; with progressive sizes the
                    best epoch of the present input size
    epochs/         the averaged weights of the last epochs, if --keep-epochs asks for them
    teachers/       the predictions of the teachers, see trainer.training.teachers
    last.npz        what resuming needs: weights, optimizer, epoch

Each file is written to a temporary name and then renamed: a run that stops at any time leaves complete files.
"""

from __future__ import annotations

import csv
import json
import platform
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edge.inference.model_file import GRAY, RGB
from edge.system.atomic_file import atomic_path, atomic_write
from trainer import keras_file
from trainer.data.dataset import Dataset
from trainer.errors import TrainingError
from trainer.keras_file import KerasMetadata
from trainer.training.settings import TrainingSettings

_FIXED_KEYS = ("settings", "labels", "effective_resolution", "training", "validation")  # of settings.json


def settings_content(settings: TrainingSettings, training: Dataset, validation: Dataset) -> dict[str, Any]:
    """Return the content of settings.json for a run with the rows `training` and `validation`."""
    versions = {"python": platform.python_version(), "keras": keras.__version__, "backend": keras.backend.backend()}
    return {
        "settings": settings.as_json(),
        "labels": list(training.class_names),
        "effective_resolution": training.side,
        "training": training.counts(),
        "validation": validation.counts(),
        "versions": versions,
    }


@dataclass
class Progress:
    """How far a run is."""

    epochs: int = 0  # completed, of both phases
    best: float = -1.0  # accuracy on PublicTest; below 0 so that the first epoch is the best so far
    seconds: float = 0.0  # of training and validation


class RunDirectory:
    """Reads and writes the folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best = folder / "best.keras"
        self.teachers = folder / "teachers"
        self.history, self.curves = folder / "history.csv", folder / "curves.png"
        self._settings, self._state = folder / "settings.json", folder / "last.npz"

    def begin(self) -> Progress:
        """Return the progress of a new run. Raises TrainingError when the folder has a run already."""
        if self._settings.exists():
            raise TrainingError(f"{self.folder}: has a run already; add --resume or name another --run-dir")
        return Progress()

    def save_settings(self, settings: Mapping[str, Any]) -> None:
        """Make the folder and write `settings`, the content of settings.json."""
        atomic_write(self._settings, (json.dumps(settings, indent=1) + "\n").encode())

    def resume(self, settings: Mapping[str, Any]) -> Progress:
        """Return the progress of the run in the folder, which was started with `settings`, as in settings.json.

        Raises TrainingError when there is none, when it is damaged, when an earlier version made it, or when it was
        started with other settings, naming them.
        """
        if not self._settings.is_file():
            raise TrainingError(f"{self.folder}: no run to resume (no settings.json); leave out --resume to start one")
        with self._readable(self._settings):
            saved = dict(json.loads(self._settings.read_text()))
        if not saved.keys() >= set(_FIXED_KEYS):
            raise TrainingError(
                f"{self.folder}: made by an earlier version; convert it with 'python -m trainer.migrate {self.folder}'"
            )
        for key in _FIXED_KEYS:
            before, given = saved.get(key), json.loads(json.dumps(settings[key]))
            if before == given:
                continue
            difference = f"{before} -> {given}"
            if isinstance(before, dict) and isinstance(given, dict):
                changed = [name for name, value in given.items() if before.get(name) != value]
                difference = "; ".join(f"{name} {before.get(name)} -> {given[name]}" for name in changed)
            raise TrainingError(f"{self.folder}: cannot resume with other {key}: {difference}")
        if not self._state.is_file():
            return Progress()
        with self._readable(self._state), self._state.open("rb") as file, np.load(file) as state:
            return Progress(**json.loads(str(state["progress"])))

    def save(self, model: keras.Model, progress: Progress) -> None:
        """Write what resuming needs."""
        arrays: dict[str, Any] = {f"model{i}": np.asarray(value) for i, value in enumerate(model.variables)}
        arrays |= {f"optimizer{i}": np.asarray(value) for i, value in enumerate(model.optimizer.variables)}
        arrays["progress"] = np.array(json.dumps(asdict(progress)))
        with atomic_path(self._state) as temporary:
            np.savez(temporary, **arrays)

    def restore(self, model: keras.Model, *, optimizer: bool) -> None:
        """Load the saved weights into `model`, and with `optimizer` the optimizer's state, saved in the same phase.

        Raises TrainingError when they are damaged.
        """
        with self._readable(self._state), self._state.open("rb") as file, np.load(file) as state:
            for i, variable in enumerate(model.variables):
                variable.assign(state[f"model{i}"])
            for i, variable in enumerate(model.optimizer.variables if optimizer else []):
                variable.assign(state[f"optimizer{i}"])

    @contextmanager
    def _readable(self, file: Path) -> Iterator[None]:
        """Raise TrainingError where the content of `file` is not what a run writes."""
        try:
            yield
        except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split())[:100] or type(error).__name__
            raise TrainingError(
                f"{file}: damaged, the run cannot be resumed ({reason}); start one in another --run-dir, from its best "
                f"epoch by --weights {self.best}"
            ) from error

    def epoch_file(self, epoch: int) -> Path:
        """Return the path of the model of an epoch that is kept; `epoch` counts from 1."""
        return self.folder / "epochs" / f"{epoch:03}.keras"

    @staticmethod
    def save_model(path: Path, model: keras.Model, dataset: Dataset, class_frequencies: Mapping[str, float]) -> None:
        """Write `model` to `path`, with the labels of `dataset` and how frequent they were in training.

        Without its optimizer, which is three times its size, and without FER+'s head, which is for training alone.
        """
        with atomic_path(path) as temporary:
            color = GRAY if dataset.channels == 1 else RGB
            inference_model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
            metadata = KerasMetadata(dataset.class_names, dataset.side, class_frequencies, color)
            keras_file.save(inference_model, temporary, metadata)

    def add_epoch(self, row: Mapping[str, Any]) -> None:
        """Add an epoch to the history. Lines of this and later epochs are replaced."""
        earlier: list[Mapping[str, Any]] = []
        if self.history.exists():
            with self.history.open(newline="") as file:
                earlier = [line for line in csv.DictReader(file) if int(line["epoch"]) < row["epoch"]]
        lines = [",".join(row), *(",".join(str(line.get(key, "")) for key in row) for line in (*earlier, row))]
        atomic_write(self.history, ("\n".join(lines) + "\n").encode())
