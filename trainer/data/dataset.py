"""Labeled faces as arrays, in the splits of FER2013."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from trainer.errors import DataError

TRAINING, PUBLIC_TEST, PRIVATE_TEST = "Training", "PublicTest", "PrivateTest"  # train, validation, test
SPLITS = (TRAINING, PUBLIC_TEST, PRIVATE_TEST)
ALL = "all"  # in place of a split: the rows of all splits
FER2013_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # in FER2013's order, 0 to 6
# Common synonyms of these labels, so that a folder `anger` is class 0.
LABEL_SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
FER2013_FACE_PIXELS = 48  # pixels a side
HOLDOUT_INTERVAL = 10  # of a class whose images are all for training every tenth one is held out
DEFAULT_MAX_SIZE = 224  # pixels a side


@dataclass(frozen=True)
class ReadOptions:
    """How a data set is read."""

    format: str = "auto"  # name of its format, see trainer.data.formats
    max_size: int = DEFAULT_MAX_SIZE  # largest side of faces from image files, in pixels
    skip_invalid: bool = False  # leave invalid rows and images out and count them
    color: bool = False  # faces in red, green and blue, in place of gray levels


@dataclass(frozen=True, eq=False)
class Dataset:
    """Faces with their labels."""

    faces: NDArray[np.uint8]  # (n, side, side) gray, 0 black to 255 white; or (n, side, side, 3) RGB
    labels: NDArray[np.int64]  # (n,), an index into `class_names`
    splits: NDArray[np.str_]  # (n,), one of SPLITS
    class_names: tuple[str, ...]
    ferplus_votes: NDArray[np.uint8] | None = None  # (n, 10), columns as FERPLUS_COLUMNS; a face without votes has 0
    skipped: int = 0  # invalid rows or images that were left out
    source: str = ""  # path, for messages and the model's card
    notes: tuple[str, ...] = ()  # what the reader decided: splits, held-out images, files that were left out

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Pixels a side of each face."""
        return int(self.faces.shape[1])

    @property
    def channels(self) -> int:
        """1 for gray faces, 3 for faces in color."""
        return 1 if self.faces.ndim == 3 else int(self.faces.shape[3])

    def split(self, name: str) -> Dataset:
        """Return the rows of split `name`, or all of them as one split for ALL.

        Raises DataError listing the splits that exist when it has none.
        """
        if name == ALL:
            return replace(self, splits=np.full(len(self), ALL))
        rows = self.splits == name
        if not rows.any():
            found = ", ".join(f"{s} ({n})" for s in SPLITS if (n := int((self.splits == s).sum()))) or "none"
            raise DataError(f"{self.source}: no rows of split {name}; found: {found}")
        return self.take(np.flatnonzero(rows))

    def take(self, rows: NDArray[np.int64]) -> Dataset:
        """Return the data set of the given row numbers (m,). Rows that follow each other are not copied."""
        selected: slice | NDArray[np.int64] = rows
        if len(rows) and (np.diff(rows) == 1).all():  # a split of AffectNet has 14 GB
            selected = slice(int(rows[0]), int(rows[-1]) + 1)
        return replace(
            self,
            faces=self.faces[selected],
            labels=self.labels[selected],
            splits=self.splits[selected],
            ferplus_votes=None if self.ferplus_votes is None else self.ferplus_votes[selected],
        )

    def seen_faces(self) -> NDArray[np.bool_]:
        """Return (n,) which faces of other splits are Training faces, too, pixel for pixel."""
        hashes = [hashlib.blake2b(face.tobytes()).digest() for face in self.faces]
        is_training: NDArray[np.bool_] = self.splits == TRAINING
        training = set(compress(hashes, is_training))
        return np.array([each in training for each in hashes], bool) & ~is_training

    def counts(self) -> dict[str, int]:
        """Return class name -> number of faces."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return {name: int(n) for name, n in zip(self.class_names, counts, strict=True)}


def as_inputs(faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return (n, size, size, channels): `faces` of the shape (size, size) or (size, size, 3) as inputs of a network."""
    stacked = np.stack(faces)
    return stacked[..., np.newaxis] if stacked.ndim == 3 else stacked


@dataclass
class DatasetBuilder:
    """Collects the rows of a data set. An invalid row raises its DataError, or is skipped with `skip_invalid`."""

    skip_invalid: bool
    faces: list[NDArray[np.uint8]] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    row_numbers: list[int] = field(default_factory=list)  # of each valid row among all rows: FER+ is matched by it
    total: int = 0  # rows, the invalid ones included
    notes: list[str] = field(default_factory=list)  # see Dataset

    @property
    def skipped(self) -> int:
        """Number of invalid rows."""
        return self.total - len(self.faces)

    def add(self, read_row: Callable[[], tuple[NDArray[np.uint8], Any, str]]) -> None:
        """Add the (face, label, split) that `read_row` returns."""
        self.total += 1
        try:
            face, label, split = read_row()
        except DataError:
            if not self.skip_invalid:
                raise
            return
        self.faces.append(face.copy())  # a crop is a view, which would keep its whole photograph in memory
        self.labels.append(label)
        self.splits.append(split)
        self.row_numbers.append(self.total - 1)

    def hold_out_if_all_training(self, groups: Sequence[str] = (), *, every_class: bool = False) -> None:
        """Where all rows are for training, make a tenth of each class PublicTest, at least one of two rows.

        Args:
            groups: of each row, such as the person. Where they are named, a tenth of the groups is held out instead,
                each with all its rows, at least one of two groups.
            every_class: do so only if each class is in both splits then.
        """
        if set(self.splits) - {TRAINING}:
            return
        if any(groups):
            names = sorted(set(groups))
            held_out = set(names[1::HOLDOUT_INTERVAL])
            splits = [PUBLIC_TEST if group in held_out else TRAINING for group in groups]
            if not every_class or len(set(zip(self.labels, splits, strict=True))) == 2 * len(set(self.labels)):
                self.splits = splits
                self.notes.append(
                    f"no data for validation: every tenth person or photograph, {len(held_out)} of {len(names)}, is "
                    f"held out as {PUBLIC_TEST}"
                )
                return
            self.notes.append(
                "the folders in the classes are not kept apart: a class would be missing in one of the splits"
            )
        counts: dict[int, int] = {}
        for row, label in enumerate(self.labels):
            counts[label] = counts.get(label, 0) + 1
            if counts[label] % HOLDOUT_INTERVAL == 2:
                self.splits[row] = PUBLIC_TEST
        self.notes.append(f"no data for validation: every tenth face of a class is held out as {PUBLIC_TEST}")

    def build(self, class_names: tuple[str, ...], source: str) -> Dataset:
        """Return the data set; faces have one size and labels are numbers by now. Raises DataError when it is empty."""
        if not self.faces:
            raise DataError(f"{source}: no valid rows ({self.skipped} invalid ones skipped)")
        faces, labels = np.stack(self.faces), np.array(self.labels, np.int64)
        splits, notes = np.array(self.splits), tuple(self.notes)
        return Dataset(faces, labels, splits, class_names, skipped=self.skipped, source=source, notes=notes)


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[Any], Any]]:
    """Give a function that wraps a binary file of `total` bytes or a sequence, and shows its progress on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:

        def wrap(source: Any) -> Any:
            if hasattr(source, "read"):
                return progress.wrap_file(source, total, description=description)
            return progress.track(source, total, description=description)

        yield wrap
