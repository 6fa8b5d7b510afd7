"""Reader of AffectNet (Mollahosseini, Hasani and Mahoor 2019): its lists with face boxes, or its annotation files.

    training.csv, validation.csv                subDirectory_filePath,face_x,face_y,face_width,face_height,
                                                facial_landmarks,expression,valence,arousal
    Manually_Annotated_Images/689/737db....jpg  the photographs that the lists name

    train_set/images/0.jpg, val_set/images/...  face crops
    train_set/annotations/0_exp.npy             the expression, a NumPy string or number; valence, arousal and landmarks
                                                beside it are not read

The validation set becomes PublicTest: AffectNet's test set has no labels.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np

from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.data.fer2013_csv import find_columns, read_rows
from trainer.data.image_decoding import ImageFile
from trainer.data.image_folder import is_image
from trainer.data.labeled_images import LabeledImage, Listing, by_name, parse_box, parse_label, parse_number
from trainer.errors import DataError

EXPECTED = "training.csv and validation.csv with subDirectory_filePath, or train_set/annotations/*_exp.npy"
NUMBERS = {
    "0": "neutral",
    "1": "happy",
    "2": "sad",
    "3": "surprise",
    "4": "fear",
    "5": "disgust",
    "6": "angry",
    "7": "contempt",
}
NO_EMOTION = {"8": "none of the emotions", "9": "uncertain", "10": "no face"}
LISTS = {"training.csv": TRAINING, "automatically_annotated.csv": TRAINING, "validation.csv": PUBLIC_TEST}
COLUMNS = ("subdirectory_filepath", "face_x", "face_y", "face_width", "face_height", "expression")
SETS = {"train_set": TRAINING, "val_set": PUBLIC_TEST}
MAX_ANNOTATION_BYTES = 4096  # a file has about 130
_ANNOTATION = re.compile(rf"({'|'.join(SETS)})/annotations/(\d+)_exp\.npy")


def matches(files: Sequence[ImageFile]) -> bool:
    """Return whether AffectNet's lists or annotation files are among `files`."""
    return any(_is_list(file) or _annotated_face(file) for file in files)


def read(source: Path, files: Sequence[ImageFile]) -> Listing:
    """Return the faces of AffectNet. Raises DataError for a list that is no CSV."""
    listing = Listing(NUMBERS)
    lists = [file for file in files if _is_list(file)]
    images = by_name(files, levels=2)
    for file in lists:
        with file.open() as content:
            rows = read_rows(content, str(source / file.name))
            header = [cell.strip().lower() for cell in next(rows)[1]]
            find_columns(header, COLUMNS, str(source / file.name))
            for number, cells in rows:
                place = f"{source / file.name} line {number}"
                split = LISTS[file.parts[-1].lower()]
                row = (cells, header, images, split, place)
                listing.add(lambda row=row: _read_row(*row))  # type: ignore[misc]
    if not lists:
        images = {file.name.rpartition(".")[0]: file for file in files if is_image(file.name)}
        for file in files:
            if name := _annotated_face(file):
                listing.add(lambda file=file, name=name: _read_annotation(source, file, name, images))  # type: ignore[misc]
    return listing


def _is_list(file: ImageFile) -> bool:
    """Return whether `file` is one of AffectNet's lists: others have such names, too."""
    if file.parts[-1].lower() not in LISTS:
        return False
    try:
        with file.open() as content:
            return COLUMNS[0] in content.readline(200).decode("utf-8-sig", errors="replace").lower()
    except OSError:
        return False


def _annotated_face(file: ImageFile) -> re.Match[str] | None:
    return _ANNOTATION.fullmatch("/".join(file.parts[-3:]))


def _read_row(
    cells: list[str], header: list[str], images: dict[str, ImageFile], split: str, place: str
) -> LabeledImage | str:
    """Return the face of one row of a list, or why it is left out. Raises DataError with `place`."""
    if len(cells) != len(header):
        raise DataError(f"{place}: {len(cells)} columns, expected {len(header)}; is the file cut short?")
    name, *edges, expression = (cells[header.index(column)].strip() for column in COLUMNS)
    if expression in NO_EMOTION:
        return NO_EMOTION[expression]
    label = parse_label(expression, NUMBERS, place)
    x, y, width, height = (parse_number(edge, place) for edge in edges)
    box = parse_box(x, y, width, height, place)
    if name not in images:
        raise DataError(f"{place}: the image {name[:80]!a} is missing; unpack the images beside the list")
    return LabeledImage(images[name], label, split, box=box, place=place)


def _read_annotation(
    source: Path, file: ImageFile, name: re.Match[str], images: dict[str, ImageFile]
) -> LabeledImage | str:
    """Return the face of one annotation file, or why it is left out. Raises DataError."""
    place = str(source / file.name)
    text = _read_scalar(file, place)
    if text in NO_EMOTION:
        return NO_EMOTION[text]
    label = parse_label(text, NUMBERS, place)
    image = "/".join((*file.folders[:-1], "images", name[2]))
    if image not in images:
        raise DataError(f"{place}: its image {image}.jpg is missing")
    return LabeledImage(images[image], label, SETS[name[1]], place=place)


def _read_scalar(file: ImageFile, place: str) -> str:
    """Return the one value in a .npy file as text. Raises DataError with `place`.

    Nothing in it is unpickled, and nothing is allocated for the shape that it claims.
    """
    with file.open() as opened:
        content = io.BytesIO(opened.read(MAX_ANNOTATION_BYTES + 1))
    try:
        np.lib.format.read_magic(content)
        shape, _, dtype = np.lib.format.read_array_header_1_0(content)
    except (ValueError, EOFError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError, TokenError):
        shape, dtype = (), None
    value = content.read()
    if dtype is None or dtype.kind not in "UiufS" or shape not in {(), (1,)} or len(value) != dtype.itemsize:
        raise DataError(f"{place}: expected a .npy file with one number")
    try:
        text = str(np.frombuffer(value, dtype)[0])
    except (ValueError, UnicodeError, SystemError):  # NumPy's for characters that there are not
        raise DataError(f"{place}: expected a .npy file with one number") from None
    return text.removeprefix("b'").removesuffix("'").strip().removesuffix(".0")
