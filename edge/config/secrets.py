"""Passwords and tokens of outputs, from a file, the environment or systemd.

Never from the command line, which every user of the machine can read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edge.errors import SettingsError


class Secret(NamedTuple):
    text: str  # as it was found, with the end of its line
    where: str  # in words for people


def find(
    owner: str, path: Path | None, variable: str, credential: str, environment: Mapping[str, str] = os.environ
) -> Secret | None:
    """Return the secret of the file at `path`, else of the environment, else of systemd's credentials; None: of none.

    Args:
        owner: of the secret, for messages.
        path: a file that the user named; None: none.
        variable: of the environment.
        credential: a file's name in $CREDENTIALS_DIRECTORY, see LoadCredential= in systemd.exec(5).

    Raises SettingsError naming a file that cannot be read.
    """
    if path is None and variable in environment:
        return Secret(environment[variable], f"${variable}")
    if path is None and (folder := environment.get("CREDENTIALS_DIRECTORY")):
        handed = Path(folder, credential)
        path = handed if handed.exists() else None
    if path is None:
        return None
    try:
        return Secret(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error.strerror
        raise SettingsError(f"{owner}: {path}: cannot be read ({reason})") from error
