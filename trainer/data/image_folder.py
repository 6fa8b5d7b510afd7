"""Reader of class folders with images: train/CLASS/*, test/CLASS/* as Kaggle has FER2013, or CLASS/*."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.image_formats import IMAGE_SUFFIXES
from edge.inference.preprocess import center_square, crop, resample
from trainer.data.dataset import (
    FER2013_LABELS,
    PRIVATE_TEST,
    PUBLIC_TEST,
    SPLITS,
    TRAINING,
    Dataset,
    DatasetBuilder,
    progress_bar,
)
from trainer.errors import DataError

HOLDOUT_INTERVAL = 10  # without split folders every tenth image of a class is held out for validation

# Folder names that mean a split. With a validation folder, `test` is the final test; without one it is PublicTest.
_TRAIN_FOLDERS = ("train", "training")
_VALIDATION_FOLDERS = ("val", "valid", "validation", "publictest")
_TEST_FOLDERS = ("test", "testing", "privatetest")
_SPLIT_FOLDERS = (*_TRAIN_FOLDERS, *_VALIDATION_FOLDERS, *_TEST_FOLDERS)
# Common synonyms of FER2013's labels, so that a folder `anger` is its class 0.
LABEL_SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


@dataclass(frozen=True)
class ImageFile:
    """An image in a folder or an archive."""

    name: str  # path below the top of the data set, with /
    read: Callable[[], bytes]

    @property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.name).parts


def list_folder(folder: Path) -> list[ImageFile]:
    """Return the files below `folder`, by name, without hidden ones. Raises DataError when a folder in it is empty."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    visible = {name: path for name, path in paths.items() if not _is_hidden(name)}
    for path in visible.values():
        if path.is_dir() and all(_is_hidden(child.name) for child in path.iterdir()):
            raise DataError(f"{path}: the class folder is empty; add images or remove the folder")
    return [ImageFile(name, path.read_bytes) for name, path in visible.items() if path.is_file()]


def is_image(name: str) -> bool:
    """Return whether `name` has the suffix of an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def read_images(source: Path, files: Sequence[ImageFile], max_size: int, skip_invalid: bool) -> Dataset:
    """Return the data set of the class folders in `files`, which come from `source`.

    The class is the image's folder. Images are cropped to their central square, made gray, and resized to the median of
    their sides, at most `max_size` pixels. The classes have FER2013's order if all are FER2013's, else the alphabet's.

    Raises DataError when there are no images, and for an image that lies in no class folder or cannot be decoded.
    """
    images = [file for file in files if is_image(file.name) and not _is_hidden(file.name)]
    if not images:
        raise DataError(
            f"{source}: no data set found; expected fer2013.csv or icml_face_data.csv, or images "
            f"({', '.join(IMAGE_SUFFIXES)}) in train/CLASS/* and test/CLASS/*, or in CLASS/*"
        )
    folders = {part.lower() for image in images for part in image.parts[:-1]}
    builder = DatasetBuilder(skip_invalid)
    with progress_bar(f"reading {source.name}", len(images)) as progress:
        for image in progress(images):
            builder.add(lambda image=image: _read_image(source, image, folders, max_size))  # type: ignore[misc]
    labels = set(builder.labels)
    order = [name for name in FER2013_LABELS if name in labels] if labels <= set(FER2013_LABELS) else sorted(labels)
    builder.labels = [order.index(label) for label in builder.labels]
    if builder.faces:
        side = round(float(np.median([face.shape[0] for face in builder.faces])))
        builder.faces = [resample(face, effective_resolution=side, size=side) for face in builder.faces]
    if folders.isdisjoint(_SPLIT_FOLDERS):
        # Of each class with two images or more, a tenth and at least one is held out.
        counts: dict[int, int] = {}
        for row, label in enumerate(builder.labels):
            counts[label] = counts.get(label, 0) + 1
            builder.splits[row] = PUBLIC_TEST if counts[label] % HOLDOUT_INTERVAL == 2 else TRAINING
    return builder.build(tuple(order), str(source))


def _is_hidden(name: str) -> bool:
    """Return whether a path in the data set belongs to the system: .DS_Store, .git/, __MACOSX/ of a zip."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _read_image(source: Path, image: ImageFile, folders: set[str], max_size: int) -> tuple[NDArray[np.uint8], str, str]:
    """Return face, class and split of an image. Raises DataError."""
    parts = image.parts
    if len(parts) < 2 or parts[-2].lower() in _SPLIT_FOLDERS:
        raise DataError(f"{source / image.name}: not in a class folder; move it into a folder named after its class")
    content = np.frombuffer(image.read(), np.uint8)
    gray = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if len(content) else None
    if gray is None:
        raise DataError(f"{source / image.name}: cannot be decoded; replace or remove it, or use --skip-invalid")
    pixels: NDArray[np.uint8] = gray.astype(np.uint8, copy=False)
    square = crop(pixels, center_square(pixels), 0.0)
    size = min(square.shape[0], max_size)
    label = parts[-2].lower()
    return (
        resample(square, effective_resolution=size, size=size),
        LABEL_SYNONYMS.get(label, label),
        _split_of(parts, folders),
    )


def _split_of(parts: tuple[str, ...], folders: set[str]) -> str:
    """Return the split of the image with the path `parts`, by its file name or folders.

    Kaggle's folder `test` holds PublicTest and PrivateTest together; only the file names tell which.
    """
    for split in SPLITS:
        if parts[-1].startswith(f"{split}_"):
            return split
    parents = {part.lower() for part in parts[:-2]}
    if parents & set(_VALIDATION_FOLDERS):
        return PUBLIC_TEST
    if parents & set(_TEST_FOLDERS):
        return PRIVATE_TEST if folders & set(_VALIDATION_FOLDERS) else PUBLIC_TEST
    return TRAINING
