"""The configuration file of a run: TOML, one key for each setting of RunSettings, no tables.

Every problem is reported with file, line, key, the value found and the values expected. Keys and types come from
RunSettings: a new setting becomes a key without a change here.
"""

from __future__ import annotations

import difflib
import json
import math
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from edge.config.secrets import hide_passwords
from edge.config.settings import RunSettings, SettingSpec, setting_specs
from edge.errors import EmotionEdgeError, SettingsError
from edge.system.bounded_read import read_at_most
from edge.system.paths import expand_path, file_problem

EXAMPLE_WIDTH = 100  # characters of a line
MAX_FILE_BYTES = 100_000  # the example has a tenth of it
MAX_STATEMENT_LINES = 200  # each further line parses the statement again

# Setting -> checks the names in its value, and raises an error. The caller passes them: cameras and sinks are in higher
# layers.
NameChecks = Mapping[str, Callable[[Any], object]]
# Setting -> checks it beside others, and raises an error; likewise.
FileChecks = Mapping[str, Callable[[RunSettings], object]]


class ValueType(NamedTuple):
    """How TOML represents a type of setting."""

    toml_types: tuple[type, ...]
    convert: Callable[[Any], Any]  # from the TOML value to the value in RunSettings
    description: str


def _to_float(value: float) -> float:
    """Return `value` as a float; an integer that is too large for one is infinite, as the TOML value inf."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_VALUE_TYPES: dict[Any, ValueType] = {
    bool: ValueType((bool,), bool, "true or false"),
    int: ValueType((int,), int, "an integer"),
    float: ValueType((int, float), _to_float, "a number"),
    str: ValueType((str,), str, "a string in quotes"),
    Path: ValueType((str,), expand_path, "a path in quotes"),
    tuple[str, ...]: ValueType((list,), tuple, 'a list of strings, such as ["console"]'),
}

_EXAMPLE_HEADER = """\
# Settings of the service emotion-edge, and of 'edge run --config FILE'. Command-line flags override the file.
# To apply changes: edge config --check /etc/emotion-edge/config.toml && sudo systemctl restart emotion-edge
# Relative paths start at the working directory, which is /var/lib/emotion-edge for the service."""


def read(path: Path, name_checks: NameChecks) -> dict[str, Any]:
    """Return the settings in the file at `path`, name -> value for RunSettings. Raises SettingsError if invalid."""
    values, _, found = _parse(path, name_checks)
    if found:
        more = f" ({len(found) - 1} more: 'edge config --check {path}')" if len(found) > 1 else ""
        raise SettingsError(f"{found[0]}{more}")
    return values


def read_valid(path: Path, name_checks: NameChecks) -> tuple[dict[str, Any], list[str]]:
    """Return the valid settings in the file at `path`, name -> value for RunSettings, and the others' problems."""
    values, _, found = _parse(path, name_checks)
    return values, found


def problems(path: Path, name_checks: NameChecks, file_checks: FileChecks) -> list[str]:
    """Return all problems of the file at `path`, one line each, in the order of its lines.

    Where each value is valid by itself, `file_checks` are applied to the settings that the file has. `read` leaves them
    out: flags may override these settings.
    """
    values, lines, found = _parse(path, name_checks)
    for name, line in () if found else lines.items():
        try:
            if name in file_checks:
                file_checks[name](RunSettings(**values))
        except (EmotionEdgeError, OSError) as error:
            found.append(f"{path}:{line}: {error}")
    return found


def convert(name: str, value: Any) -> Any:
    """Return the value in RunSettings of setting `name` for a TOML value of the right type."""
    return _setting_types()[name].convert(value)


def example() -> str:
    """Return a configuration file with every setting: its default, commented out, or the value for a kiosk."""
    defaults = {field.name: field.default for field in fields(RunSettings)}
    sections = [_example_section(name, spec, defaults[name]) for name, spec in setting_specs().items()]
    return "\n\n".join([_EXAMPLE_HEADER, *sections]) + "\n"


def _parse(path: Path, name_checks: NameChecks) -> tuple[dict[str, Any], dict[str, int], list[str]]:
    """Return the valid settings in the file at `path`, the line of each, and all problems."""
    try:
        text = read_at_most(path, MAX_FILE_BYTES).decode()
    except OSError as error:
        return {}, {}, [f"{path}: cannot be read ({error.strerror}); 'edge config --example' prints one"]
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return {}, {}, [f"{path}:{line}: byte {error.object[error.start]:#04x} found, expected text in UTF-8"]
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    found = []
    for line, name, value in _statements(text):
        problem = f"{name} is set twice" if name in values else _check(name, value, name_checks)
        if problem:
            found.append(f"{path}:{line}: {problem}")
        else:
            values[name], lines[name] = convert(name, value), line
    return values, lines, found


def _statements(text: str) -> Iterator[tuple[int, str, Any]]:
    """Yield line number, key and value of each statement; for invalid TOML, its first line and the TOMLDecodeError.

    tomllib does not report line numbers of values. Without tables, each statement is a valid document, so statements
    are parsed one by one. The first table or error ends the iteration: what follows cannot be interpreted.
    """
    statement, first_line, error = "", 0, None
    for number, line in enumerate(text.split("\n"), start=1):
        if not statement:
            first_line = number
            if line.lstrip().startswith("["):
                yield number, line.strip(), {}
                return
        statement += f"{line}\n"
        try:
            values = tomllib.loads(statement)
        except tomllib.TOMLDecodeError as decode_error:  # invalid, or continued on the next line
            error = error or decode_error
            if number - first_line < MAX_STATEMENT_LINES:
                continue
            break
        except (ValueError, RecursionError):  # an integer of thousands of digits, or brackets in each other
            error = tomllib.TOMLDecodeError("too long or too deeply nested")
            break
        yield from ((first_line, name, value) for name, value in values.items())
        statement, error = "", None
    if error:
        yield first_line, statement.split("\n")[0].strip(), error


def _check(name: str, value: Any, name_checks: NameChecks) -> str:
    """Return the problem with the TOML `value` for setting `name`; empty if it is valid."""
    if isinstance(value, tomllib.TOMLDecodeError):
        reason, line = str(value).partition(" (at ")[0], textwrap.shorten(hide_passwords(name), 60, placeholder=" ...")
        return f"{line!r} is not valid TOML ({reason}), expected key = value; the rest of the file was not read"
    if isinstance(value, dict):
        return f"{name} is a table, expected only lines 'key = value'"
    setting_types = _setting_types()
    if name not in setting_types:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), setting_types, n=1, cutoff=0.7)
        return f"unknown setting {name}; " + (
            f"did you mean {near[0]}?" if near else f"settings are {', '.join(setting_types)}"
        )
    spec, value_type = setting_specs()[name], setting_types[name]
    has_type = type(value) in value_type.toml_types
    if isinstance(value, list):
        has_type &= all(isinstance(item, str) for item in value)
    if not (has_type and spec.is_valid(value)):
        expected = ", ".join(filter(None, [value_type.description, spec.expected]))
        return f"{name} is {_quote(value)}, expected {expected}"
    try:
        if name in name_checks:
            name_checks[name](value)
        elif isinstance(path := convert(name, value), Path) and (problem := file_problem(path)):
            raise SettingsError(problem)
    except (EmotionEdgeError, OSError) as error:
        return f"{name} is {_quote(value)}: {error}"
    return ""


@cache
def _setting_types() -> dict[str, ValueType]:
    """Return the type of each setting, by its name; that of `int | None` is int."""
    hints = get_type_hints(RunSettings).items()
    return {
        name: next(_VALUE_TYPES[each] for each in (hint, *get_args(hint)) if each in _VALUE_TYPES)
        for name, hint in hints
    }


def _quote(value: Any) -> str:
    """Return `value` in TOML syntax for a message, without the passwords in it."""
    return hide_passwords(_to_toml(value))


def _to_toml(value: Any) -> str:
    """Return `value` in TOML syntax; dates and times as Python formats them."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:  # dotted keys nest without brackets
        return "too deeply nested"


def _example_section(name: str, spec: SettingSpec, default: object) -> str:
    has_value = default not in (None, MISSING)  # TOML has no null: other defaults are only described
    notes = [f"Range: {spec.expected}."] if spec.expected else []
    notes.append("Default:" if has_value else f"Default: {spec.unset}. Example:")
    comments = [" ".join(filter(None, [spec.help, spec.reason])), " ".join(notes)]
    lines = [
        line
        for comment in comments
        for line in textwrap.wrap(
            comment, EXAMPLE_WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
    ]
    lines.append(f"# {name} = {_to_toml(default if has_value else spec.example)}")
    if spec.kiosk is not None:
        lines.append(f"{name} = {_to_toml(spec.kiosk)}")
    return "\n".join(lines)
