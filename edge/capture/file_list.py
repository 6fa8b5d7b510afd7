"""Which images and videos a source names: a file, a folder, or a pattern such as 'faces/*.png' or 'trip/**'.

What is left out is part of the list, with its reason; only hidden files are not: their names begin with a dot. Links to
folders are not followed, so that no folder is read twice or without end.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edge.config.image_formats import READ_IMAGE_SUFFIXES, VIDEO_SUFFIXES
from edge.errors import CameraError, SourceNotFoundError, UsageError
from edge.system.paths import MAX_FOLDERS, display_name, expand_path

IMAGE_INTERVAL_SECONDS = 1.0  # between the times of two images: each is a scene of its own
VIDEO_INTERVAL_SECONDS = 3.0  # between two videos: longer than a face is kept that is out of sight
_MAGIC = re.compile(r"[*?\[]")


class ListedFile(NamedTuple):
    """A file of a source."""

    path: Path
    name: str  # for results and messages: relative to the folder of the source; with several sources, the whole path
    is_image: bool
    problem: str = ""  # why it is left out; empty: it is read

    @property
    def interval_seconds(self) -> float:
        """The seconds between the last frame of this file and the first one of the next."""
        return IMAGE_INTERVAL_SECONDS if self.is_image else VIDEO_INTERVAL_SECONDS

    def size(self) -> int:
        """Return the bytes that are to be read; 0: the file is left out."""
        try:
            return 0 if self.problem else self.path.stat().st_size
        except OSError:
            return 0


def list_files(sources: Sequence[str], *, recursive: bool = False) -> list[ListedFile]:
    """Return what `sources` name, source by source, each in natural order: frame2 before frame10.

    Args:
        recursive: folders with their subfolders.

    Raises SourceNotFoundError if a source names no file; UsageError if one is no regular file, such as a FIFO;
    CameraError if one cannot be read.
    """
    listed: list[ListedFile] = []
    for source in sources:
        try:
            found = _list_source(source, recursive)
        except (SourceNotFoundError, CameraError):
            raise
        except OSError as error:  # a folder without read permission, a name that is too long
            raise CameraError(f"{display_name(source)}: cannot be read ({error.strerror})") from error
        listed += found if len(sources) == 1 else [each._replace(name=display_name(each.path)) for each in found]
    return listed


def natural_key(path: Path) -> list[list[tuple[str, int, str]]]:
    """Return the key that sorts paths by name, with the numbers in them by value."""
    return [
        [(text.casefold(), int(number or 0), text + number) for text, number in re.findall(r"([^0-9]*)([0-9]*)", part)]
        for part in path.parts
    ]


def _list_source(source: str, recursive: bool) -> list[ListedFile]:
    path = expand_path(source)
    if path.is_dir():
        paths = _walk(path) if recursive else (each for each in path.iterdir() if not each.name.startswith("."))
        listed = [_examine(each, path) for each in sorted(paths, key=natural_key)]
        if not listed or all(each.problem for each in listed):
            known = ", ".join((*READ_IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
            raise SourceNotFoundError(
                f"{display_name(path)}: a folder without images and videos ({known})"
                + "".join(f"; {each.name}: {each.problem}" for each in listed[:1])
            )
        return listed
    if path.exists():
        return [_examine_named(path)]
    if path.is_symlink():
        raise SourceNotFoundError(f"{display_name(path)}: a link to a file that does not exist")
    matches = {Path(name): None for name in _expand(str(path))}
    if not matches:
        raise SourceNotFoundError(
            f"{display_name(source)}: no such file, folder or pattern; name an existing one, a camera, or 'synthetic'"
        )
    parts = path.parts
    fixed = next(number for number, part in enumerate((*parts, "*")) if _MAGIC.search(part))
    return [_examine(each, Path(*parts[:fixed])) for each in sorted(matches, key=natural_key)]


def _examine_named(path: Path) -> ListedFile:
    """Return the file at `path`, which the user named: what is no image is taken for a video."""
    if not path.is_file():
        raise UsageError(f"{display_name(path)}: not a regular file; name a video, an image, a folder or a pattern")
    return ListedFile(path, display_name(path.name), path.suffix.lower() in READ_IMAGE_SUFFIXES)


def _examine(path: Path, folder: Path) -> ListedFile:
    """Return the file at `path` in `folder`, with the problem if it is to be left out."""
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            problem = "a folder; --recursive reads folders in folders"
        elif path.is_file():
            known = suffix in (*READ_IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
            problem = "" if known else "its name is not that of an image or a video"
        else:
            problem = "not a regular file" if path.exists() else "a link to a file that does not exist"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    return ListedFile(path, display_name(name), suffix in READ_IMAGE_SUFFIXES, problem)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files of `folder` and its subfolders, and the folders that are not read: links, too deep, no access."""
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as found:
                entries = [each for each in found if not each.name.startswith(".")]
        except OSError:
            yield place
            continue
        may_enter = len(place.parts) - len(folder.parts) < MAX_FOLDERS
        for entry in entries:
            if may_enter and entry.is_dir(follow_symlinks=False):
                waiting.append(place / entry.name)
            else:
                yield place / entry.name


def _expand(pattern: str) -> Iterable[str]:
    """Return the paths that match `pattern`; `**` is any number of folders, and at the end all files in them."""
    parts = pattern.split("/")
    if "**" not in parts:
        return glob.glob(pattern)  # noqa: PTH207 (pathlib takes no absolute pattern)
    place = parts.index("**")
    above, below = "/".join(parts[:place]) or ("/" if pattern.startswith("/") else "."), "/".join(parts[place + 1 :])
    found: list[str] = []
    for folder in glob.glob(above):  # noqa: PTH207
        files = [path for path in _walk(Path(folder)) if not path.is_dir()]
        if below:
            folders = {Path(folder), *(parent for path in files for parent in path.parents)}
            inside = [each for each in folders if each == Path(folder) or Path(folder) in each.parents]
            found += [match for each in inside for match in _expand(f"{glob.escape(str(each))}/{below}")]
        else:
            found += map(str, files)
    return found
