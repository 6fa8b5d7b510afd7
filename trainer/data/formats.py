"""The formats of data sets by name: `--format`.

To add a data set with lists or file names of its own, write its module and add it to MODULES. It has

    EXPECTED: str                                  the layout in a few words, for messages
    matches(files) -> bool                         whether the files of a folder or an archive have the layout
    read(source, files) -> labeled_images.Listing  its faces
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from trainer.data import affectnet, ckplus, expw, jaffe, rafdb
from trainer.data.dataset import Dataset, ReadOptions
from trainer.data.image_decoding import ImageFile
from trainer.data.image_folder import is_system_file, read_images, require_no_empty_folder
from trainer.data.labeled_images import read_listing
from trainer.data.layout import describe_suffixes
from trainer.errors import DataError

AUTO, FER2013, FOLDERS = "auto", "fer2013", "folders"
MODULES: dict[str, ModuleType] = {
    "rafdb": rafdb,
    "affectnet": affectnet,
    "ckplus": ckplus,
    "jaffe": jaffe,
    "expw": expw,
}
NAMES = (AUTO, FER2013, FOLDERS, *MODULES)
LIST_SUFFIXES = (".txt", ".csv", ".lst", ".npy")
EXPECTED = {FER2013: "fer2013.csv or icml_face_data.csv", FOLDERS: "train/CLASS/* and test/CLASS/*, or CLASS/*"} | {
    name: module.EXPECTED for name, module in MODULES.items()
}


def may_be_fer2013(options: ReadOptions) -> bool:
    """Return whether FER2013's CSV is to be looked for."""
    return options.format in {AUTO, FER2013}


def read_files(source: Path, files: Sequence[ImageFile], options: ReadOptions, empty: Sequence[Path] = ()) -> Dataset:
    """Return the data set in `files`, which come from the folder or archive `source`.

    Args:
        options: with AUTO the layout is recognized.
        empty: folders without files, which class folders may not be.

    Raises DataError: the layout is unknown, is that of several formats, or is not that of the named one.
    """
    visible = [file for file in files if not is_system_file(file.name)]
    if options.format == AUTO:
        found = [name for name, module in MODULES.items() if module.matches(visible)]
        if len(found) > 1:
            raise DataError(f"{source}: may be {' or '.join(found)}; choose one with --format, or name a folder in it")
        name = found[0] if found else FOLDERS
    else:
        name = options.format
    if name == FOLDERS:
        require_no_empty_folder(empty)
        images = [file for file in visible if file.is_image]
        known = {file.name for file in images}
        others = [file for file in visible if file.name not in known]
        if not any(file.folders for file in images):
            found_files = describe_suffixes(visible) or "no file"
            raise DataError(
                f"{source}: no data set found in {found_files}; "
                "expected " + "; ".join(f"{name}: {expected}" for name, expected in EXPECTED.items())
            )
        return read_images(source, images, others, options)
    if name == FER2013 or not MODULES[name].matches(visible):
        raise DataError(f"{source}: not in the format {name}; looked for {EXPECTED[name]}")
    return read_listing(source, MODULES[name].read(source, visible), options)
