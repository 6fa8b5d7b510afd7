"""Parses what follows a sink's name and colon: `HOST:PORT,KEY=VALUE,FLAG`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from edge.errors import UsageError


def parse(
    sink: str, argument: str, option_types: Mapping[str, Callable[[str], Any]], *, kind: str = "sink"
) -> tuple[str, dict[str, Any]]:
    """Return what precedes the first comma of `argument`, and the given options, name -> value.

    If the argument begins with an option, such as `port=1`, the first part is empty. A file name that comes first
    therefore must not contain a comma.

    Args:
        sink: name of the sink, for messages.
        argument: what follows the sink's name and colon.
        option_types: name of an option -> converts its text to its value, and raises ValueError with a message that
            continues "expected ..."; `bool` marks a flag, which has no value.
        kind: what `sink` is, for messages: a camera has such options, too.

    Raises UsageError if an option is unknown, repeated, or has a wrong value.
    """
    first, *rest = argument.split(",")
    if "=" in first or option_types.get(first) is bool:
        first, rest = "", [first, *rest]
    options: dict[str, Any] = {}
    for option in filter(None, rest):
        name, equals, text = option.partition("=")
        if name not in option_types:
            near = difflib.get_close_matches(name, option_types, 1)
            hint = f"did you mean {near[0]}?" if near else f"options are {', '.join(option_types)}"
            raise UsageError(f"{kind} {sink}: unknown option {name!r}; {hint}")
        if name in options:
            raise UsageError(f"{kind} {sink}: option {name} is given twice")
        options[name] = _convert(f"{kind} {sink}", name, text if equals else None, option_types[name])
    return first, options


def number(low: float, high: float, kind: type[int | float] = int) -> Callable[[str], Any]:
    """Return an option type: a number from `low` to `high`."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise ValueError(f"{'an integer' if kind is int else 'a number'} from {low:g} to {high:g}")
        return value

    return convert


def _convert(owner: str, name: str, text: str | None, option_type: Callable[[str], Any]) -> Any:
    """Return the value of option `name`; `text` is None where no "=" follows the name."""
    if option_type is bool:
        if text is not None:
            raise UsageError(f"{owner}: {name}={text} found, expected {name} without a value")
        return True
    if not text:
        raise UsageError(f"{owner}: option {name} has no value, expected {name}=VALUE")
    try:
        return option_type(text)
    except ValueError as error:
        raise UsageError(f"{owner}: {name} is {text!r}, expected {error}") from None
