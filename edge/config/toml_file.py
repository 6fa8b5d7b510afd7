"""The configuration file of a run: TOML, one key a setting of RunSettings, no tables.

Whatever is wrong in it is told with file, line, key, what was found and what is expected. What a file may hold is read
off RunSettings, so that a new setting is a new key by itself.
"""

from __future__ import annotations

import difflib
import json
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from edge.config.settings import RunSettings, SettingSpec, setting_specs
from edge.errors import EmotionEdgeError, SettingsError

WIDTH = 100  # characters of a line of the example: it is read in a terminal, over a slow line

_TYPES: dict[Any, tuple[tuple[type, ...], Callable[[Any], Any], str]] = {  # TOML's types, ours, and the words for it
    bool: ((bool,), bool, "true or false"),
    int: ((int,), int, "a whole number"),
    float: ((int, float), float, "a number"),
    str: ((str,), str, "a text in quotes"),
    Path: ((str,), lambda text: Path(text).expanduser(), "a path in quotes"),
    tuple[str, ...]: ((list,), tuple, 'a list of texts, as ["console"]'),
}


# Setting -> raises what is wrong with the names in its value. Given by the program, since cameras and sinks lie above.
NameChecks = Mapping[str, Callable[[Any], object]]


def read(path: Path, name_checks: NameChecks) -> dict[str, Any]:
    """Return the settings of the file at `path`, name -> value, ready for RunSettings; what it leaves out is not in it.

    Raises SettingsError with the first thing that is wrong.
    """
    values, wrong = _read(path, name_checks)
    if wrong:
        more = f" ({len(wrong) - 1} more: 'edge config --check {path}')" if wrong[1:] else ""
        raise SettingsError(f"{wrong[0]}{more}")
    return values


def problems(path: Path, name_checks: NameChecks) -> list[str]:
    """Return all that is wrong in the file at `path`, one line each, in the order of its lines."""
    return _read(path, name_checks)[1]


def converted(name: str, value: Any) -> Any:
    """Return `value`, of one of the TOML types that fit setting `name`, as RunSettings has it."""
    return _TYPES[_kinds()[name]][1](value)


def example() -> str:
    """Return a whole configuration file: every setting with its default, commented out, and a kiosk's own ones."""
    parts = [_HEAD, *(_example_of(name, about) for name, about in setting_specs().items())]
    return "\n\n".join(parts) + "\n"


_HEAD = """\
# Settings of the service emotion-edge, and of 'edge run --config FILE'. A flag at the command line goes before its key
# here. After a change: edge config --check /etc/emotion-edge/config.toml && sudo systemctl restart emotion-edge
# A path that does not begin with / starts at the working directory: /var/lib/emotion-edge, as a service."""


def _read(path: Path, name_checks: NameChecks) -> tuple[dict[str, Any], list[str]]:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        return {}, [f"{path}: cannot be read ({error.strerror}); 'edge config --example' prints one"]
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return {}, [f"{path}:{line}: byte {error.object[error.start]:#04x} found, expected a text in UTF-8"]
    values: dict[str, Any] = {}
    wrong = []
    for line, name, value in _statements(text):
        problem = f"{name} is there twice, expected once" if name in values else _problem(name, value, name_checks)
        if problem:
            wrong.append(f"{path}:{line}: {problem}")
        else:
            values[name] = converted(name, value)
    return values, wrong


def _statements(text: str) -> Iterator[tuple[int, str, Any]]:
    """Yield line, key and value of each statement of `text`; of one that is no TOML, its first line and the error.

    tomllib does not tell where a value stood. Without tables each statement is a whole document by itself. A table or
    an error is the last statement: what follows belongs to it, or cannot be told apart from it.
    """
    begun, first, broken = "", 0, None
    for number, line in enumerate(text.split("\n"), start=1):
        if not begun:
            first = number
            if line.lstrip().startswith("["):
                yield first, line.strip(), {}
                return
        begun += f"{line}\n"
        try:
            found = tomllib.loads(begun)
        except tomllib.TOMLDecodeError as error:
            broken = broken or error  # or it goes on in the next line
            continue
        yield from ((first, name, value) for name, value in found.items())
        begun, broken = "", None
    if broken:
        yield first, begun.split("\n")[0].strip(), broken


def _problem(name: str, value: Any, name_checks: NameChecks) -> str:
    """Return what is wrong with setting `name` having the TOML value `value`; empty if nothing is."""
    if isinstance(value, tomllib.TOMLDecodeError):
        reason, shown = str(value).partition(" (at ")[0], textwrap.shorten(name, 60, placeholder=" ...")
        return f"{shown!r} is no TOML ({reason}), expected key = value; what follows was not read"
    if isinstance(value, dict):
        return f"{name} is a table, expected lines 'key = value' alone"
    kinds = _kinds()
    if name not in kinds:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), kinds, 1)
        return f"no setting {name}; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(kinds)}")
    about, (types, _, words) = setting_specs()[name], _TYPES[kinds[name]]
    typed = type(value) in types and (not isinstance(value, list) or all(type(each) is str for each in value))
    if not (typed and about.fits(value)):
        return f"{name} is {_shown(value)}, expected {', '.join(filter(None, [words, about.expected]))}"
    try:
        if name in name_checks:
            name_checks[name](value)
        elif kinds[name] is Path and not converted(name, value).is_file():
            raise SettingsError("no such file")
    except (EmotionEdgeError, OSError) as error:
        return f"{name} is {_shown(value)}: {error}"
    return ""


def _kinds() -> dict[str, Any]:
    """Return the type of each setting by its name, without the None of one that may be left out."""
    hints = get_type_hints(RunSettings)
    return {name: next(each for each in (kind, *get_args(kind)) if each in _TYPES) for name, kind in hints.items()}


def _shown(value: Any) -> str:
    """Return `value` as TOML writes it; dates and times as Python does."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _example_of(name: str, about: SettingSpec) -> str:
    default = next(each.default for each in fields(RunSettings) if each.name == name)
    named = default in (None, MISSING)  # in words, as TOML has nothing for None
    told = [f"Range: {about.expected}." if about.expected else ""]
    told += [f"Default: {about.unset}. For example:" if named else "Default:"]
    lines = [
        *_comment(" ".join(filter(None, [about.help, about.why]))),
        *_comment(" ".join(filter(None, told))),
        f"# {name} = {_shown(about.example if named else default)}",
    ]
    if about.kiosk is not None:
        lines.append(f"{name} = {_shown(about.kiosk)}")
    return "\n".join(lines)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
