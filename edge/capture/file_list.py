"""Which images and videos a source names: a file, a folder, or a pattern such as 'faces/*.png' or 'trip/**'.

What is left out is part of the list, with its reason; only hidden files are not: their names begin with a dot. `**` and
`recursive` do not follow links to folders, so that no folder is read twice or without end. A source that would search a
whole disk, such as '/**', is refused after MAX_ENTRIES.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from edge.config.image_formats import READ_IMAGE_SUFFIXES, VIDEO_SUFFIXES
from edge.config.secrets import hide_passwords
from edge.errors import CameraError, SourceNotFoundError, UsageError
from edge.system.paths import MAX_FOLDERS, display_name, expand_path

IMAGE_INTERVAL_SECONDS = 1.0  # between the times of two images: each is a scene of its own
VIDEO_INTERVAL_SECONDS = 3.0  # between two videos: longer than a face is kept that is out of sight
MAX_ENTRIES = 100_000  # files and folders that are looked at for one source; a disk of a Pi has more
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

    Raises SourceNotFoundError if a source names no file; UsageError if one is no regular file, such as a FIFO, or has
    more than MAX_ENTRIES to look at; CameraError if one cannot be read.
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


def are_images(files: Iterable[ListedFile]) -> bool:
    """Return whether all `files` that are read are images."""
    return all(file.is_image or file.problem for file in files)


class SourceFiles:
    """Whether a path is one of the files that a run reads, under whatever name."""

    def __init__(self, files: Iterable[ListedFile]) -> None:
        self._identities = set(filter(None, (self._identity(file.path) for file in files)))

    def __call__(self, path: Path) -> bool:
        return self._identity(path) in self._identities

    def _identity(self, path: Path) -> tuple[int, int] | None:
        try:
            status = path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def natural_key(path: Path) -> list[list[tuple[str, int, str]]]:
    """Return the key that sorts paths by name, with the numbers in them by value."""
    return [
        [(text.casefold(), int(number or 0), text + number) for text, number in re.findall(r"([^0-9]*)([0-9]*)", part)]
        for part in path.parts
    ]


def _list_source(source: str, recursive: bool) -> list[ListedFile]:
    path, search = expand_path(source), _FolderSearch(source)
    if path.is_dir():
        paths = search.files_below(path) if recursive else (path / each.name for each in search.entries(path))
        listed = [_examine(each, path) for each in sorted(paths, key=natural_key)]
        if not listed or all(each.problem for each in listed):
            known = ", ".join((*READ_IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
            raise SourceNotFoundError(
                f"{display_name(path)}: a folder without images and videos ({known})"
                + "".join(f"; {each.name}: {each.problem}" for each in listed[:1])
            )
        return listed
    if path.exists():
        if not path.is_file():
            raise UsageError(f"{display_name(path)}: not a regular file; name a video, an image, a folder or a pattern")
        # The user named it: what is no image by its name is taken for a video.
        return [ListedFile(path, display_name(path.name), path.suffix.lower() in READ_IMAGE_SUFFIXES)]
    if path.is_symlink():
        raise SourceNotFoundError(f"{display_name(path)}: a link to a file that does not exist")
    parts = path.parts
    matches = set(search.matches(Path(), parts))
    if not matches:
        raise SourceNotFoundError(
            f"{display_name(hide_passwords(source))}: no such file, folder or pattern; "
            "name an existing one, a camera, or 'synthetic'"
        )
    fixed = next(number for number, part in enumerate((*parts, "*")) if _MAGIC.search(part))
    return [_examine(each, Path(*parts[:fixed])) for each in sorted(matches, key=natural_key)]


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


class _FolderSearch:
    """Looks at the folders of one source, and at MAX_ENTRIES at most.

    Args:
        source: for messages.
    """

    def __init__(self, source: str) -> None:
        self._source, self._looked_at = source, 0

    def entries(self, folder: Path, *, hidden: bool = False) -> list[os.DirEntry[str]]:
        """Return what is in `folder`, also what is hidden if asked. Raises OSError; UsageError after MAX_ENTRIES."""
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self._looked_at += 1
                if self._looked_at > MAX_ENTRIES:
                    raise UsageError(
                        f"{display_name(self._source)}: looked at {MAX_ENTRIES:,} files and folders, and there are "
                        "more; name a folder or a pattern with fewer, or several of them"
                    )
                if hidden or not entry.name.startswith("."):
                    found.append(entry)
        return found

    def files_below(self, folder: Path) -> Iterator[Path]:
        """Yield the files below `folder`, and the folders that are not read: links, too deep, without access."""
        for place, entries in self._walk(folder):
            if entries is None:
                yield place
            else:
                may_enter = _may_enter(place, folder)
                yield from (place / each.name for each in entries if not (may_enter and _is_folder(each)))

    def matches(self, folder: Path, parts: Sequence[str]) -> Iterator[Path]:
        """Yield the paths below `folder` that match the pattern `parts`, the names between the slashes.

        `**` is any number of folders, and at the end all files in them.
        """
        if not parts:
            yield folder
            return
        name, *below = parts
        if name == "**" and below:
            for place, _ in self._walk(folder):
                yield from self.matches(place, below)
        elif name == "**":
            yield from self._matches_at_end(folder)
        elif not _MAGIC.search(name):
            if os.path.lexists(folder / name):
                yield from self.matches(folder / name, below)
        else:
            try:
                entries = self.entries(folder, hidden=name.startswith("."))
            except OSError:  # no folder, or no access
                return
            for entry in entries:
                if fnmatchcase(entry.name, name):
                    yield from self.matches(folder / entry.name, below)

    def _matches_at_end(self, folder: Path) -> Iterator[Path]:
        """Yield the files below `folder`, without links to folders; `folder` itself if it is a file."""
        for place, entries in self._walk(folder):
            if entries is None and not place.is_dir():
                yield place
            for each in entries or ():
                # An entry knows without a call of the system whether it is a folder; of a link it would raise.
                is_folder = (place / each.name).is_dir() if each.is_symlink() else each.is_dir()
                if not is_folder:
                    yield place / each.name

    def _walk(self, top: Path) -> Iterator[tuple[Path, list[os.DirEntry[str]] | None]]:
        """Yield `top` and the folders below it, each with its entries; None: no access."""
        waiting = [top]
        while waiting:
            place = waiting.pop()
            try:
                entries = self.entries(place)
            except OSError:
                yield place, None
                continue
            yield place, entries
            if _may_enter(place, top):
                waiting += [place / each.name for each in entries if _is_folder(each)]


def _may_enter(folder: Path, top: Path) -> bool:
    """Return whether the folders in `folder` are not too deep below `top`."""
    return len(folder.parts) - len(top.parts) < MAX_FOLDERS


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)
