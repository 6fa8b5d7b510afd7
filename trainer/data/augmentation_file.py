"""The file of `--augment`: TOML with one key for each field of Augmentation; a key that is left out has its default."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.errors import SettingsError
from edge.system.bounded_read import read_at_most
from trainer.data.augmentation import Augmentation, augmentation_specs

MAX_BYTES = 64 * 1024  # of a TOML file; one with all keys and comments has 1 kB


def read(path: Path) -> Augmentation:
    """Return the augmentation in the file at `path`. Raises SettingsError with the file, the key and the reason."""
    values = read_toml(path, "'trainer preview' prints one")
    try:
        return Augmentation(**{name: _convert(name, value) for name, value in values.items()})
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def read_toml(path: Path, hint: str) -> dict[str, Any]:
    """Return the tables of the TOML file at `path`.

    Args:
        hint: where such a file comes from, for messages.

    Raises SettingsError with the file and the reason: it cannot be read, has more than MAX_BYTES, or is not TOML.
    """
    try:
        return tomllib.loads(read_at_most(path, MAX_BYTES).decode())
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); {hint}") from error
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, not UTF-8, or an integer of 4,300 digits
        reason = " ".join(str(error).split())[:200]
        raise SettingsError(f"{path}: not valid TOML ({reason}); {hint}") from None


def write(augmentation: Augmentation) -> str:
    """Return the text of a file that `read` turns into `augmentation`, with a comment on each key."""
    specs = augmentation_specs()
    lines = []
    for name, value in asdict(augmentation).items():
        comment = " ".join(filter(None, [specs[name].help, specs[name].expected]))
        lines.append(f"{name} = {json.dumps(value)}".ljust(20) + f"# {comment}")
    return "".join(f"{line}\n" for line in lines)


def _convert(name: str, value: Any) -> Any:
    """Return the TOML `value` of the field `name`. Raises SettingsError for an unknown name or another type."""
    names = augmentation_specs()
    if name not in names:
        raise SettingsError(f"unknown key {name[:40]!r}; the keys are {', '.join(names)}")
    is_flag = isinstance(getattr(Augmentation, name), bool)
    if type(value) not in ((bool,) if is_flag else (int, float)):
        expected = "true or false" if is_flag else f"a number, {names[name].expected}"
        raise SettingsError(f"{name} is of type {type(value).__name__}, expected {expected}")
    try:
        return value if is_flag else float(value)
    except OverflowError:
        raise SettingsError(f"{name} is too large, expected {names[name].expected}") from None
