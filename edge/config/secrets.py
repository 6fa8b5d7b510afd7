"""Passwords and tokens of sinks and cameras, from a file, the environment, or systemd.

They are not accepted on the command line, because every user of the machine can read it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edge.errors import SettingsError
from edge.system.bounded_read import read_at_most

MAX_SECRET_BYTES = 70_000  # more than MQTT's longest password

# `:USER:PASSWORD@` of an address, a query, and an option such as `token=TEXT`, not `token-file=FILE`. They end with the
# text, or with the quote of a text in TOML.
_LOGIN = re.compile(r":[^\"]*@")
_NO_PORT = re.compile(r"(://[^\"@/?#:]*:)(?!\d+(?:[\"/?#]|$))[^\"]*")  # a login whose end is missing
_QUERY = re.compile(r"(://[^\"?]*\?)[^\"]*")
_OPTION = re.compile(r"\b(\w*(?:pas|pwd|psw|pw|token|secret|key|auth)\w*\s*=)\s*\"?[^\",]*", re.IGNORECASE)


class Secret(NamedTuple):
    """A password or token, and where it comes from."""

    text: str  # unchanged, including a line break at the end
    origin: str  # "$VARIABLE" or the path of the file, for messages


def load_secret(
    owner: str, path: Path | None, variable: str, credential: str, environment: Mapping[str, str] = os.environ
) -> Secret | None:
    """Return the first secret of: the file at `path`, the environment variable, the systemd credential; None if none.

    Args:
        owner: name of the sink, or camera, for messages.
        path: a file that the user named.
        variable: name in `environment`.
        credential: file name in $CREDENTIALS_DIRECTORY, see LoadCredential= in systemd.exec(5).

    Raises SettingsError if the file cannot be read.
    """
    if path is None and variable in environment:
        return Secret(environment[variable], f"${variable}")
    if path is None and (folder := environment.get("CREDENTIALS_DIRECTORY")):
        credential_file = Path(folder, credential)
        path = credential_file if credential_file.exists() else None
    if path is None:
        return None
    try:
        return Secret(read_at_most(path, MAX_SECRET_BYTES).decode(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error.strerror
        raise SettingsError(f"{owner}: {path}: cannot be read ({reason})") from error


def load_line(
    owner: str, path: Path | None, variable: str, credential: str, max_bytes: int, environment: Mapping[str, str]
) -> str | None:
    """Return the secret that `load_secret` finds, which must be one line, without its line break.

    Raises SettingsError if it is empty, or has more lines or more than `max_bytes` bytes.
    """
    secret = load_secret(owner, path, variable, credential, environment)
    if secret is None:
        return None
    text = secret.text.removesuffix("\n").removesuffix("\r")
    if not text or "\n" in text or len(text.encode()) > max_bytes:
        raise SettingsError(f"{owner}: {secret.origin}: expected one line that is not empty")
    return text


def hide_passwords(text: str) -> str:
    """Return `text`, a value that somebody gave for a setting, for a message: `...` stands for what may be a secret."""
    return _OPTION.sub(r"\1...", _QUERY.sub(r"\1...", _NO_PORT.sub(r"\1...", _LOGIN.sub(":...@", text))))
