"""The door for files that sinks write: no file is lost that the run reads, or that another program wrote."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from edge.errors import UsageError
from edge.system.file_access import make_folder
from edge.system.paths import display_name
from edge.types import RunInfo

_log = logging.getLogger(__name__)


def check_not_source(sink: str, path: Path, run: RunInfo) -> None:
    """Raise UsageError if the run reads the file at `path`, under this or another name."""
    if run.is_source(path):
        raise UsageError(f"{sink}:{display_name(path)}: the target is the source; name another file")


def check_new(sink: str, path: Path, run: RunInfo) -> None:
    """Raise UsageError if a file at `path` may not be replaced: it is a source, or exists, without `overwrite`."""
    check_not_source(sink, path, run)
    if os.path.lexists(path) and not run.overwrite:
        raise UsageError(
            f"{sink}:{display_name(path)}: the file exists; name another file, or replace it by --overwrite"
        )


def make_output_folder(sink: str, folder: Path) -> None:
    """Make `folder` if it is missing, and log that: its name may be misspelled. Raises OSError."""
    if make_folder(folder):
        _log.info("edge: %s: made the folder %s, which did not exist", sink, display_name(folder.absolute()))


def numbered(path: Path, number: int) -> Path:
    """Return the path of file `number` of several, from 1: FILE.png, FILE-2.png, FILE-3.png and so on."""
    return path if number == 1 else path.with_stem(f"{path.stem}-{number}")


def at_start_time(path: Path) -> Path:
    """Return a path beside `path` that does not exist yet, with the present time added to its name."""
    dated = path.with_stem(f"{path.stem}-{time.strftime('%Y-%m-%d_%H-%M-%S')}".lstrip("-"))
    number = 1
    while os.path.lexists(numbered(dated, number)):
        number += 1
    return numbered(dated, number)
