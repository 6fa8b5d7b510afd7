"""Which folders of a data set are splits and which are classes.

    train/CLASS/*, test/CLASS/*     splits, under many names; see SPLIT_NAMES
    CLASS/*                         no splits
    CLASS/train/*, CLASS/test/*     splits below the classes

A folder around all of them, as archives have it, is ignored. Folders below a class, such as one for each person, belong
to it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from edge.inference.model_file import MAX_LABELS, MAX_NAME_CHARACTERS, is_name
from trainer.data.dataset import FER2013_LABELS, LABEL_SYNONYMS, PRIVATE_TEST, PUBLIC_TEST, SPLITS, TRAINING
from trainer.data.image_decoding import ImageFile
from trainer.errors import DataError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
# Kind of split -> names of its folder, without case, digits, punctuation and the endings _set and _data. With a
# validation folder `test` is the final test; without one it is PublicTest.
SPLIT_NAMES = {
    TRAIN: ("train", "training"),
    VALIDATION: ("val", "valid", "validation", "dev", "devel", "development", "eval", "evaluation", "publictest"),
    TEST: ("test", "testing", "privatetest", "holdout", "heldout"),
}

Folders = tuple[str, ...]  # the folders around a file, below the top of the data set


@dataclass(frozen=True)
class Layout:
    """Where split and class are in the path of an image."""

    wrapper: int  # number of folders around the data set
    split_level: int | None  # below these: 0 split/class, 1 class/split, None without splits
    has_validation: bool

    def class_folder(self, folders: Folders) -> Folders | None:
        """Return the folders down to the one that is the class, or the split below it; None outside of one."""
        depth = self.wrapper + (1 if self.split_level is None else 2)
        return folders[:depth] if len(folders) >= depth else None

    def group(self, folders: Folders) -> str:
        """Return the name of the folder in the class folder that an image in `folders` is in; empty without one."""
        class_folder = self.class_folder(folders)
        return folders[len(class_folder)] if class_folder and len(folders) > len(class_folder) else ""

    def label(self, folders: Folders) -> str:
        """Return the class of an image in `folders`, which are in a class folder."""
        name = folders[self.wrapper + (1 if self.split_level == 0 else 0)].lower()
        return LABEL_SYNONYMS.get(name, name)

    def split_folder(self, folders: Folders) -> str | None:
        """Return the name of the folder that is the split of an image in `folders`; None without splits."""
        return None if self.split_level is None else folders[self.wrapper + self.split_level]

    def split(self, folders: Folders, file_name: str) -> str:
        """Return the split of an image in `folders`, which are in a class folder.

        Kaggle's folder `test` holds PublicTest and PrivateTest together; only the file names tell which.
        """
        for split in SPLITS:
            if file_name.startswith(f"{split}_"):
                return split
        kind = split_kind(self.split_folder(folders) or TRAIN)
        if kind == TEST and self.has_validation:
            return PRIVATE_TEST
        return TRAINING if kind == TRAIN else PUBLIC_TEST


def split_kind(folder: str) -> str | None:
    """Return the kind of split that a folder of this name is, None for another one."""
    name = re.sub(r"[^a-z]", "", folder.lower())
    names = {name, re.sub(r"(sub)?(data)?(set|split)$|data$", "", name)}
    return next((kind for kind, known in SPLIT_NAMES.items() if names & set(known)), None)


def find_layout(source: str, folders: Collection[Folders]) -> Layout:
    """Return the layout of a data set whose images are in `folders`.

    Raises DataError for a folder that is no split beside others that are, and for labels below other folders.
    """
    wrapper = 0
    while len(first := {each[wrapper] for each in folders if len(each) > wrapper}) == 1:
        (name,) = first
        has_folders = any(len(each) > wrapper + 1 for each in folders)
        if split_kind(name) or _is_known_label(name) or not has_folders:
            break
        wrapper += 1
    below = [each[wrapper:] for each in folders if len(each) > wrapper]
    outer, inner = {each[0] for each in below}, {each[1] for each in below if len(each) > 1}
    if any(map(split_kind, outer)):
        if unknown := sorted(name for name in outer if not split_kind(name)):
            known = ", ".join(sorted(name for name in outer if split_kind(name)))
            raise DataError(
                f"{source}: the folder {unknown[0]!r} lies beside {known}, but is not known as a split; "
                f"rename it, remove it or name another folder; known are {', '.join(sum(SPLIT_NAMES.values(), ()))}"
            )
        split_level, split_folders = 0, outer
    elif inner and all(len(each) > 1 for each in below) and all(map(split_kind, inner)) and len(inner) > 1:
        split_level, split_folders = 1, inner
    else:
        if inner and all(map(_is_known_label, inner)) and not any(map(_is_known_label, outer)):
            raise DataError(
                f"{source}: the classes would be {', '.join(sorted(outer)[:5])}, but the folders below are named "
                f"{', '.join(sorted(inner)[:5])}; a class is the outer folder: CLASS/PERSON/*"
            )
        split_level, split_folders = None, set()
    kinds = set(map(split_kind, split_folders))
    return Layout(wrapper, split_level, VALIDATION in kinds)


def class_order(source: str, labels: Iterable[str]) -> list[str]:
    """Return the classes in FER2013's order if all are FER2013's, else in the alphabet's. Raises DataError."""
    names = set(labels)
    if len(names) < 2:
        raise DataError(f"{source}: the only class is {', '.join(names)}; expected at least two folders, one per class")
    if len(names) > MAX_LABELS:
        raise DataError(f"{source}: {len(names)} class folders; expected at most {MAX_LABELS}")
    for name in names:
        if not is_name(name):
            raise DataError(
                f"{source}: the class folder {name[:80]!a} cannot be a label; expected at most "
                f"{MAX_NAME_CHARACTERS} printable characters"
            )
    return [name for name in FER2013_LABELS if name in names] if names <= set(FER2013_LABELS) else sorted(names)


def describe_splits(layout: Layout, images: Iterable[ImageFile]) -> list[str]:
    """Return which folder became which split, with its number of `images`, as one line; no line without splits."""
    counts = Counter(
        (layout.split_folder(image.folders), layout.split(image.folders, image.parts[-1])) for image in images
    )
    parts = [f"{folder} is {split} ({n})" for (folder, split), n in sorted(counts.items()) if folder]
    return [f"splits: {', '.join(parts)}"] if parts else []


def describe_suffixes(files: Iterable[ImageFile]) -> str:
    """Return how many files there are of each suffix, such as "12 .xyz, 1 without suffix"."""
    counts = Counter(file.suffix or "without suffix" for file in files).most_common()
    return ", ".join(f"{n} {suffix[:20]}" for suffix, n in counts[:8]) + (", ..." if counts[8:] else "")


def _is_known_label(name: str) -> bool:
    return LABEL_SYNONYMS.get(name.lower(), name.lower()) in FER2013_LABELS
