"""What the public has of FER2013, and data sets like it, as arrays.

Read are `fer2013.csv` of the Kaggle challenge (also as `icml_face_data.csv`), a zip or tar archive that holds it or the
image folders, the image folders `train/<emotion>/*` and `test/<emotion>/*`, and any folder with one folder a class.
FER+ (Barsoum et al., ICMI 2016) adds ten votes a row to the CSV, in its row order.
"""

from __future__ import annotations

import csv
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from edge.inference.preprocess import cut, resample
from edge.types import Box
from trainer.errors import DataError

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # in FER2013's own order, 0 to 6
FERPLUS_VOTES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",  # no face
)
SIDE = 48  # pixels of a FER2013 face
TRAINING, PUBLIC, PRIVATE = "Training", "PublicTest", "PrivateTest"
SPLITS = (TRAINING, PUBLIC, PRIVATE)
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm")
HELD_OUT = 10  # of a folder without splits every tenth image is held out for validation

# Folder names that mean a split. `test` beside a folder `val` is the final test, else it is what one selects on.
_TRAIN_FOLDERS = ("train", "training")
_VALIDATION_FOLDERS = ("val", "valid", "validation", "publictest")
_TEST_FOLDERS = ("test", "testing", "privatetest")
# Other people's spellings of the seven labels, so that a folder `anger` is FER2013's class 0.
_SPELLINGS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Faces with their labels."""

    faces: NDArray[np.uint8]  # (n, side, side), 0 black to 255 white
    labels: NDArray[np.int64]  # (n,), an index into `names`
    splits: NDArray[np.str_]  # (n,), one of SPLITS
    names: tuple[str, ...]
    votes: NDArray[np.uint8] | None = None  # (n, 10) FER+ votes in the order of FERPLUS_VOTES, rows without votes are 0
    skipped: int = 0  # bad rows or images left out
    source: str = ""  # where it came from, for messages and the model's card

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Pixels a side of each face."""
        return int(self.faces.shape[1])

    def split(self, name: str) -> Dataset:
        """Return the rows of split `name`. Raises DataError listing the splits that there are when it has none."""
        rows = self.splits == name
        if not rows.any():
            found = ", ".join(f"{s} ({n})" for s in SPLITS if (n := int((self.splits == s).sum()))) or "none"
            raise DataError(f"{self.source}: no rows of split {name}; found: {found}")
        return self.take(np.flatnonzero(rows))

    def take(self, rows: NDArray[np.int64]) -> Dataset:
        """Return the data set of the given row numbers (m,)."""
        votes = None if self.votes is None else self.votes[rows]
        return replace(self, faces=self.faces[rows], labels=self.labels[rows], splits=self.splits[rows], votes=votes)

    def counts(self) -> dict[str, int]:
        """Return label -> number of faces."""
        found = np.bincount(self.labels, minlength=len(self.names))
        return {name: int(n) for name, n in zip(self.names, found, strict=True)}


@dataclass
class _Collector:
    """Takes good rows and refuses bad ones: the first ends the reading, or with `skip_bad` each is counted."""

    skip_bad: bool
    faces: list[NDArray[np.uint8]] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # place of each good row among all rows: what FER+ is matched by
    total: int = 0
    skipped: int = 0

    def add(self, make: Callable[[], tuple[NDArray[np.uint8], Any, str]]) -> None:
        self.total += 1
        try:
            face, label, split = make()
        except DataError:
            if not self.skip_bad:
                raise
            self.skipped += 1
            return
        self.faces.append(face)
        self.labels.append(label)
        self.splits.append(split)
        self.rows.append(self.total - 1)


def read(path: Path, *, ferplus: Path | None = None, size: int = 224, skip_bad: bool = False) -> Dataset:
    """Read the data set at `path`, whatever form it has, with a progress bar on a terminal.

    Args:
        path: a CSV, an archive (.zip, .tar, .tar.gz, .tgz) or a folder.
        ferplus: FER+'s fer2013new.csv; only with FER2013's CSV, whose row order it shares.
        size: images in folders are cut square, made gray and kept at the median of their sides, at most this.
        skip_bad: leave bad rows out and count them, instead of ending at the first.

    Raises:
        DataError: with file, row and reason.
    """
    if not path.exists():
        raise DataError(f"{path}: not found; name fer2013.csv, an archive with it, or a folder with one folder a class")
    try:
        dataset, rows = _read(path, size, skip_bad)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")  # tarfile goes on with a line for each compression it tried
        raise DataError(f"{path}: the archive is damaged, cut short or encrypted ({reason}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if ferplus is None:
        return dataset
    if rows is None:
        raise DataError(f"{ferplus}: FER+ votes go by the row order of fer2013.csv, and {path} holds images")
    return replace(dataset, votes=read_ferplus(ferplus, dataset, *rows))


def _read(path: Path, size: int, skip_bad: bool) -> tuple[Dataset, tuple[list[int], int] | None]:
    """Return the data set and, of a CSV, the numbers of its good rows and how many rows there were."""
    if path.is_dir():
        table = path / "fer2013.csv"
        return (
            _read(table, size, skip_bad) if table.is_file() else (_read_images(path, _walk(path), size, skip_bad), None)
        )
    if path.suffix.lower() == ".csv":
        with path.open("rb") as raw:
            return _read_csv(raw, path.stat().st_size, str(path), skip_bad)
    if path.suffix.lower() == ".zip":
        return _read_zip(path, size, skip_bad)
    if path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        return _read_tar(path, size, skip_bad)
    raise DataError(f"{path}: unknown kind of file; expected .csv, .zip, .tar.gz or a folder with one folder a class")


# --- CSV ------------------------------------------------------------------------------------------------------------


def _is_table(name: str) -> bool:
    return PurePosixPath(name).name in ("fer2013.csv", "icml_face_data.csv")


def _read_csv(raw: IO[bytes], size: int, where: str, skip_bad: bool) -> tuple[Dataset, tuple[list[int], int]]:
    with _bar(f"reading {PurePosixPath(where).name}", size) as progress:
        text = io.TextIOWrapper(progress(raw), encoding="utf-8-sig", errors="replace", newline="")
        reader = csv.reader(text)
        rows = _Collector(skip_bad)
        try:
            header = [cell.strip().lower() for cell in next(reader, [])]
            columns = _columns(header, ("emotion", "pixels", "usage"), where)
            for row in reader:
                if row:
                    rows.add(lambda row=row: _parse_row(row, columns, f"{where} line {reader.line_num}"))  # type: ignore[misc]
        except csv.Error as error:  # a quote that does not end makes one cell of all that follows
            raise DataError(f"{where} line {reader.line_num}: not CSV ({error}); fetch the file again") from error
    return _dataset(rows, LABELS, where), (rows.rows, rows.total)


def _columns(header: Sequence[str], wanted: Sequence[str], where: str) -> list[int]:
    missing = [name for name in wanted if name not in header]
    if missing:
        found = ", ".join(header)[:80] or "nothing"
        raise DataError(f"{where} line 1: no column {', '.join(missing)}; the header has {found}")
    return [header.index(name) for name in wanted]


def _parse_row(row: list[str], columns: list[int], where: str) -> tuple[NDArray[np.uint8], int, str]:
    """Return face, label and split of one CSV row. Raises DataError with `where` and the reason."""
    if len(row) <= max(columns):
        raise DataError(f"{where}: {len(row)} columns, expected {max(columns) + 1}; is the file cut short?")
    emotion, text, usage = (row[column].strip() for column in columns)
    if emotion not in map(str, range(len(LABELS))):
        raise DataError(f"{where}: unknown label {emotion[:20]!r}, expected 0 to {len(LABELS) - 1}")
    if usage not in SPLITS:
        raise DataError(f"{where}: unknown usage {usage[:20]!r}, expected one of {', '.join(SPLITS)}")
    return _parse_pixels(text, where), int(emotion), usage


def _parse_pixels(text: str, where: str) -> NDArray[np.uint8]:
    # Splitting and converting in numpy takes 0.1 ms a row; a row that it cannot convert is looked at word by word.
    words = text.split()
    try:
        pixels = np.array(words, dtype=np.int64) if len(words) == SIDE * SIDE else np.empty(0, np.int64)
    except (ValueError, OverflowError):
        odd = next((word for word in words if not word.isdecimal()), max(words, key=len))
        raise DataError(f"{where}: pixel {odd[:20]!r} is not a whole number 0 to 255") from None
    if len(words) != SIDE * SIDE:
        raise DataError(f"{where}: {len(words)} pixels, expected {SIDE * SIDE} ({SIDE} x {SIDE})")
    if pixels.min() < 0 or pixels.max() > 255:
        odd_value = pixels[(pixels < 0) | (pixels > 255)][0]
        raise DataError(f"{where}: pixel {odd_value} is outside 0 to 255")
    return pixels.astype(np.uint8).reshape(SIDE, SIDE)


def read_ferplus(path: Path, dataset: Dataset, rows: list[int], total: int) -> NDArray[np.uint8]:
    """Return (n, 10) FER+ votes for the rows of `dataset`, which are `rows` of a CSV of `total` rows.

    Raises DataError when the file is not FER+'s, has another number of rows, or disagrees about a row's split.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            table = [row for row in csv.reader(file) if row]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except csv.Error as error:
        raise DataError(f"{path}: not CSV ({error}); fetch the file again") from error
    header = [cell.strip().lower() for cell in (table[0] if table else [])]
    usage, *columns = _columns(header, ("usage", *(vote.lower() for vote in FERPLUS_VOTES)), str(path))
    if len(table) - 1 != total:
        raise DataError(f"{path}: {len(table) - 1} rows, but the data set has {total}; FER+ goes by row order")
    votes = np.zeros((len(rows), len(columns)), np.uint8)
    for place, number in enumerate(rows):
        row, where = table[number + 1], f"{path} line {number + 2}"
        if len(row) != len(header):
            raise DataError(f"{where}: {len(row)} columns, expected {len(header)}; is the file cut short?")
        if row[usage] != dataset.splits[place]:
            raise DataError(f"{where}: usage {row[usage][:20]!r}, but the data set's row is {dataset.splits[place]}")
        cells = [row[column].strip() for column in columns]
        if not all(cell.isdecimal() and int(cell) <= 10 for cell in cells):
            raise DataError(f"{where}: votes {cells}, expected whole numbers 0 to 10")
        votes[place] = [int(cell) for cell in cells]
    return votes


# --- images and archives ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Member:
    """An image in a folder or archive: its path below the top and how to get its bytes."""

    name: str
    content: Callable[[], bytes]


def _walk(folder: Path) -> list[_Member]:
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    shown = {name: path for name, path in paths.items() if not _hidden(name)}
    for path in shown.values():
        if path.is_dir() and all(_hidden(inside.name) for inside in path.iterdir()):
            raise DataError(f"{path}: the class folder is empty; add images or remove the folder")
    return [_Member(name, path.read_bytes) for name, path in shown.items() if path.is_file()]


def _hidden(name: str) -> bool:
    """Tell whether a path below the data set is the system's: .DS_Store, .git/, what a Mac adds to a zip."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _read_zip(path: Path, size: int, skip_bad: bool) -> tuple[Dataset, tuple[list[int], int] | None]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if _is_table(info.filename):
                with archive.open(info) as raw:
                    return _read_csv(raw, info.file_size, f"{path}/{info.filename}", skip_bad)
        members = [
            _Member(info.filename, lambda info=info: archive.read(info))  # type: ignore[misc]
            for info in sorted(archive.infolist(), key=lambda info: info.filename)
            if not info.is_dir()
        ]
        return _read_images(path, members, size, skip_bad), None


def _read_tar(path: Path, size: int, skip_bad: bool) -> tuple[Dataset, tuple[list[int], int] | None]:
    members = []
    with tarfile.open(path) as archive:
        for info in archive:
            file = archive.extractfile(info)
            if file is None:
                continue
            if _is_table(info.name):
                return _read_csv(file, info.size, f"{path}/{info.name}", skip_bad)
            if info.name.lower().endswith(IMAGES):
                # A compressed tar cannot be read out of order, so the (small) encoded images are kept in memory.
                content = file.read()
                members.append(_Member(info.name, lambda content=content: content))  # type: ignore[misc]
        _require_end(archive)
    return _read_images(path, sorted(members, key=lambda member: member.name), size, skip_bad), None


def _require_end(archive: tarfile.TarFile) -> None:
    """Raise ReadError unless a block of zeros comes next: tarfile takes a header cut short or damaged for the end."""
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("no end mark")


def _read_images(path: Path, members: list[_Member], size: int, skip_bad: bool) -> Dataset:
    images = [member for member in members if member.name.lower().endswith(IMAGES) and not _hidden(member.name)]
    if not images:
        raise DataError(f"{path}: neither fer2013.csv nor class folders with images ({', '.join(IMAGES)}) in it")
    folders = {part.lower() for member in images for part in PurePosixPath(member.name).parts[:-1]}
    rows = _Collector(skip_bad)
    with _bar(f"reading {path.name}", len(images)) as progress:
        for member in progress(images):
            rows.add(lambda member=member: _parse_image(path, member, folders, size))  # type: ignore[misc]
    names = _label_order({str(label) for label in rows.labels})
    rows.labels = [names.index(label) for label in rows.labels]
    side = round(float(np.median([face.shape[0] for face in rows.faces]))) if rows.faces else SIDE
    rows.faces = [resample(face, detail=side, size=side) for face in rows.faces]
    if not any(name in folders for name in (*_TRAIN_FOLDERS, *_VALIDATION_FOLDERS, *_TEST_FOLDERS)):
        rows.splits = _hold_out(rows.labels)
    return _dataset(rows, names, str(path))


def _parse_image(path: Path, member: _Member, folders: set[str], size: int) -> tuple[NDArray[np.uint8], str, str]:
    parts = PurePosixPath(member.name).parts
    if len(parts) < 2 or parts[-2].lower() in (*_TRAIN_FOLDERS, *_VALIDATION_FOLDERS, *_TEST_FOLDERS):
        raise DataError(f"{path / member.name}: lies in no class folder; put it into a folder named by its class")
    content = np.frombuffer(member.content(), np.uint8)
    gray = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if len(content) else None
    if gray is None:
        raise DataError(f"{path / member.name}: does not decode as an image; mend or remove it, or use --skip-bad")
    height, width = gray.shape
    side = min(height, width)
    square = cut(gray.astype(np.uint8, copy=False), Box((width - side) // 2, (height - side) // 2, side, side), 0.0)
    label = parts[-2].lower()
    return (
        resample(square, detail=min(side, size), size=min(side, size)),
        _SPELLINGS.get(label, label),
        _split(parts, folders),
    )


def _split(parts: tuple[str, ...], folders: set[str]) -> str:
    """Return the split that an image's file name or folders tell.

    Kaggle's folder `test` holds PublicTest and PrivateTest together; its file names tell them apart.
    """
    for name in SPLITS:
        if parts[-1].startswith(f"{name}_"):
            return name
    above = {part.lower() for part in parts[:-2]}
    if above & set(_VALIDATION_FOLDERS):
        return PUBLIC
    if above & set(_TEST_FOLDERS):
        return PRIVATE if folders & set(_VALIDATION_FOLDERS) else PUBLIC
    return TRAINING


def _hold_out(labels: Sequence[int]) -> list[str]:
    """Return a split for each row: of each class every tenth image, at least one, is held out as PublicTest."""
    seen: dict[int, int] = {}
    splits = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        splits.append(PUBLIC if seen[label] % HELD_OUT == 2 else TRAINING)
    return splits


def _label_order(found: set[str]) -> tuple[str, ...]:
    """Return FER2013's order when all labels are FER2013's, else the alphabet's."""
    return tuple(name for name in LABELS if name in found) if found <= set(LABELS) else tuple(sorted(found))


def _dataset(rows: _Collector, names: tuple[str, ...], source: str) -> Dataset:
    if not rows.faces:
        raise DataError(f"{source}: no usable rows ({rows.skipped} bad ones skipped)")
    faces, labels = np.stack(rows.faces), np.array(rows.labels, np.int64)
    return Dataset(faces, labels, np.array(rows.splits), names, skipped=rows.skipped, source=source)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[Any], Any]]:
    """Give a function that wraps a binary file or a sequence; a bar on a terminal's stderr then shows how far it is."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:

        def wrap(thing: Any) -> Any:
            if hasattr(thing, "read"):
                return progress.wrap_file(thing, total, description=what)
            return progress.track(thing, total, description=what)

        yield wrap
