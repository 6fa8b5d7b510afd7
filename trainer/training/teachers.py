"""The predictions of teachers for knowledge distillation, computed once and kept in files.

A teacher predicts each face and its mirror image: minutes for FER2013's 28,709 Training faces. A file holds the
probabilities of one teacher for the rows of one split. Its name is a hash of all that decides them: the bytes of the
teacher's file, the rows, the labels, and the preprocessing that makes the teacher's input of a face.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.inference import preprocess
from edge.system.atomic_file import atomic_path
from edge.system.paths import file_problem
from trainer.data.dataset import Dataset
from trainer.errors import TrainingError
from trainer.evaluation.prediction import EvaluatedModel, open_model

_log = logging.getLogger(__name__)


def teacher_predictions(teachers: Sequence[Path], dataset: Dataset, folder: Path | None = None) -> NDArray[np.float32]:
    """Return (teachers, n, classes): each one's mean probabilities of each face and its mirror image.

    Args:
        teachers: run folders, .keras or .tflite files; at least one.
        dataset: the n rows of a split.
        folder: predictions are read from files in it, or else computed and written there; None keeps none.

    Raises TrainingError when a teacher has other labels than the data set, ModelError when it is not a model, both
    before anything is written; FileError when a file cannot be written.
    """
    paths = [path / "best.keras" if path.is_dir() else path for path in teachers]
    files = [folder and folder / f"{prediction_key(path, dataset)[:32]}.npy" for path in paths]
    kept = [file and _read(file, dataset) for file in files]
    models = [_open(path, dataset) if views is None else None for path, views in zip(paths, kept, strict=True)]
    means = []
    for path, file, views, model in zip(paths, files, kept, models, strict=True):
        if model is None:
            _log.info("teacher %s: predictions of %d faces read from %s", path, len(dataset), file)
        else:
            _log.info("teacher %s: predicting %d faces and their mirror images", path, len(dataset))
            mirrored = replace(dataset, faces=dataset.faces[:, :, ::-1])
            views = np.stack([model.predict(dataset), model.predict(mirrored)])  # noqa: PLW2901 (was None)
            if file:
                with atomic_path(file) as partial:
                    np.save(partial, views)
        means.append(views.mean(axis=0))  # type: ignore[union-attr]
    return np.stack(means)


def prediction_key(teacher: Path, dataset: Dataset) -> str:
    """Return a hash, 64 hexadecimal digits, of what decides the predictions of the file `teacher` for `dataset`."""
    if problem := file_problem(teacher):
        raise ModelError(f"teacher {teacher}: {problem}; name a run folder, a .keras or a .tflite file")
    parts = (
        teacher.read_bytes(),
        Path(preprocess.__file__).read_bytes(),
        "\n".join(dataset.class_names).encode(),
        repr(dataset.faces.shape).encode(),
        np.ascontiguousarray(dataset.faces).data.cast("B"),
    )
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _open(teacher: Path, dataset: Dataset) -> EvaluatedModel:
    model = open_model(teacher, dataset)
    if model.labels != dataset.class_names:
        raise TrainingError(
            f"{teacher}: the teacher's labels are {', '.join(model.labels)}; the data set's are "
            f"{', '.join(dataset.class_names)}"
        )
    return model


def _read(file: Path, dataset: Dataset) -> NDArray[np.float32] | None:
    """Return (2, n, classes), the probabilities of the faces and of their mirror images; None if `file` has none."""
    if not file.is_file():
        return None
    try:
        content: NDArray[Any] = np.load(file, allow_pickle=False)
        if content.shape != (2, len(dataset), len(dataset.class_names)) or content.dtype != np.float32:
            raise ValueError("another shape or type")
    except (OSError, ValueError, EOFError) as error:
        _log.warning("%s: damaged (%s), predicting again", file, " ".join(str(error).split())[:100])
        return None
    return content
