"""Reader of class folders with images: train/CLASS/*, test/CLASS/* as Kaggle has FER2013, or CLASS/*."""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from edge.inference.preprocess import center_square, crop, resample
from trainer.data.dataset import Dataset, DatasetBuilder, ReadOptions, progress_bar
from trainer.data.image_decoding import READ_SUFFIXES, ImageFile, decode_gray, decode_rgb
from trainer.data.layout import Layout, class_order, describe_splits, describe_suffixes, find_layout
from trainer.errors import DataError

# Files and folders that belong to a system: of macOS, Synology, Windows and file systems, besides hidden ones.
_SYSTEM_NAMES = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"}
)
MAX_FOLDERS = 100  # in each other, from the root: each is compared with all around it


def list_folder(folder: Path, empty: list[Path] | None = None) -> list[ImageFile]:
    """Return the files below `folder`, by name, without those of the system. Links are followed.

    Args:
        empty: gets the folders that are empty; without it one raises.

    Raises DataError when a folder in it is empty, or a link leads to a folder around itself; OSError for a folder that
    cannot be listed.
    """
    top = folder.resolve()
    found: list[Path] = []
    paths = list(_walk(folder, (top, *top.parents), found)) if _visible(folder) else ()
    if empty is None:
        require_no_empty_folder(found)
    else:
        empty += found
    return [ImageFile(path.relative_to(folder).as_posix(), _opener(path)) for path in paths]


def require_no_empty_folder(empty: Sequence[Path]) -> None:
    """Raise DataError for the first of the folders `empty`."""
    if empty:
        raise DataError(f"{empty[0]}: the class folder is empty; add images or remove the folder")


def _walk(folder: Path, around: tuple[Path, ...], empty: list[Path]) -> Iterator[Path]:
    """Yield the files below `folder`, and add empty folders to `empty`.

    Args:
        around: the folder itself and those around it, up to the root, resolved.
    """
    if len(around) > MAX_FOLDERS:
        raise DataError(f"{folder}: more than {MAX_FOLDERS} folders in each other; name the folder of the classes")
    paths = _visible(folder)
    if not paths:
        empty.append(folder)
    for path in paths:
        if not path.is_dir():
            if path.is_symlink() and not path.exists() and path.suffix.lower() not in READ_SUFFIXES:
                raise DataError(f"{path}: the link leads nowhere; restore its target or remove it")
            yield path
        elif (target := path.resolve()) in around:
            raise DataError(f"{path}: the link leads to a folder around it; remove it")
        else:
            yield from _walk(path, (*around, target), empty)


def _visible(folder: Path) -> list[Path]:
    """Return what is in `folder`, by name, without what belongs to the system."""
    return sorted(path for path in folder.iterdir() if not is_system_file(path.name))


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    """Return a function that opens the regular file at `path`; others, such as a FIFO, would block."""

    def open_file() -> IO[bytes]:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "not a regular file")
        return path.open("rb")

    return open_file


def is_image(name: str) -> bool:
    """Return whether `name` has the suffix of an image."""
    return name.lower().endswith(READ_SUFFIXES)


def is_system_file(name: str) -> bool:
    """Return whether a path in the data set belongs to the system: .DS_Store, .git/, @eaDir/, __MACOSX/ of a zip."""
    return any(part.startswith(".") or part.lower() in _SYSTEM_NAMES for part in PurePosixPath(name).parts)


def read_images(
    source: Path, images: Sequence[ImageFile], others: Sequence[ImageFile], options: ReadOptions
) -> Dataset:
    """Return the data set of the class folders in `source`; see trainer.data.layout.

    Images are cropped to their central square, made gray unless `options.color` is set, and resized to the median of
    their sides, at most `options.max_size` pixels. The classes have FER2013's order if all are FER2013's, else the
    alphabet's. Where all images are for training, every tenth one of a class is held out, or every tenth of the folders
    in the class folders, such as one for each person.

    Args:
        source: folder or archive, for messages.
        images, others: the files in it, of which the others are no images.

    Raises DataError when there is only one class, or a class has no images, and for an image that lies in no class
    folder or cannot be decoded.
    """
    layout = find_layout(str(source), {image.folders for image in images})
    _require_images(source, layout, images, others)
    builder = DatasetBuilder(options.skip_invalid)
    with progress_bar(f"reading {source.name}", len(images)) as progress:
        for image in progress(images):
            builder.add(lambda image=image: _read_image(source, image, layout, options))  # type: ignore[misc]
    labeled = [image for image in images if layout.class_folder(image.folders)]
    builder.notes += describe_splits(layout, labeled)
    if others:
        builder.notes.append(f"left out, not images: {describe_suffixes(others)}")
    groups = [layout.group(images[number].folders) for number in builder.row_numbers]
    labels = {layout.label(image.folders) for image in labeled}
    return build_dataset(source, builder, labels, groups, every_class=True)


def _require_images(source: Path, layout: Layout, images: Sequence[ImageFile], others: Sequence[ImageFile]) -> None:
    """Raise DataError naming a class folder that has some of the files `others`, but no image."""
    with_images = {layout.class_folder(image.folders) for image in images}
    without: dict[tuple[str, ...], list[ImageFile]] = defaultdict(list)
    for file in others:
        folder = layout.class_folder(file.folders)
        if folder and folder not in with_images:
            without[folder].append(file)
    for folder, found in without.items():
        raise DataError(
            f"{source.joinpath(*folder)}: no image that can be read, but {describe_suffixes(found)}; convert them to "
            ".png or .jpg, or remove the folder"
        )


def _read_image(
    source: Path, image: ImageFile, layout: Layout, options: ReadOptions
) -> tuple[NDArray[np.uint8], str, str]:
    """Return face, class and split of an image. Raises DataError."""
    if not layout.class_folder(image.folders):
        raise DataError(f"{source / image.name}: not in a class folder; move it into a folder named after its class")
    try:
        pixels = decode_rgb(image.read()) if options.color else decode_gray(image.read())
    except DataError as error:
        raise DataError(f"{source / image.name}: {error}, or use --skip-invalid") from error
    square = crop(pixels, center_square(pixels), 0.0)
    size = min(square.shape[0], options.max_size)
    face = resample(square, effective_resolution=size, size=size)
    return face, layout.label(image.folders), layout.split(image.folders, image.parts[-1])


def build_dataset(
    source: Path, builder: DatasetBuilder, labels: set[str], groups: Sequence[str] = (), *, every_class: bool = False
) -> Dataset:
    """Return the data set of the faces in `builder`, of any sides, each of which has one of `labels`.

    Args:
        groups, every_class: of the faces, see DatasetBuilder.hold_out_if_all_training.

    Raises DataError when there is no face, no valid one of a label, or only one label.
    """
    if not builder.faces:
        return builder.build((), str(source))  # raises
    order = class_order(str(source), labels)
    if lost := [name for name in order if name not in builder.labels]:
        raise DataError(f"{source}: no image of {', '.join(lost)} is valid ({builder.skipped} invalid ones skipped)")
    builder.labels = [order.index(label) for label in builder.labels]
    side = round(float(np.median([face.shape[0] for face in builder.faces])))
    for number, face in enumerate(builder.faces):  # one by one: all of them may fill half of the memory
        builder.faces[number] = resample(face, effective_resolution=side, size=side)
    builder.hold_out_if_all_training(groups, every_class=every_class)
    return builder.build(tuple(order), str(source))
