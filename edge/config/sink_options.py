"""What stands behind a sink's name: `HOST:PORT,KEY=VALUE,SWITCH`, one word to a shell and a text to a TOML file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from edge.errors import UsageError


def parse(sink: str, argument: str, known: Mapping[str, Callable[[str], Any]]) -> tuple[str, dict[str, Any]]:
    """Return what stands before the first comma of `argument`, and its options by name; those not given are not there.

    An argument that begins with an option, as `port=1`, has nothing before it. A file's name may thus not hold a comma.

    Args:
        sink: its name, for messages.
        argument: of the sink.
        known: name of an option -> what makes its value of its text, raising ValueError with what it expects; `bool`
            is a switch, which stands alone.

    Raises UsageError naming the option that is not known, twice there, or wrong.
    """
    first, *rest = argument.split(",")
    if "=" in first or known.get(first) is bool:
        first, rest = "", [first, *rest]
    found: dict[str, Any] = {}
    for option in filter(None, rest):
        name, equals, text = option.partition("=")
        if name not in known:
            raise UsageError(f"sink {sink}: no option {name!r}; {_instead(name, known)}")
        if name in found:
            raise UsageError(f"sink {sink}: {name} is there twice, expected once")
        found[name] = _value(sink, name, text if equals else None, known[name])
    return first, found


def number(low: float, high: float, kind: type[int | float] = int) -> Callable[[str], Any]:
    """Return what makes a number from `low` to `high` of a text."""

    def made(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise ValueError(f"a {'whole ' * (kind is int)}number from {low:g} to {high:g}")
        return value

    return made


def _value(sink: str, name: str, text: str | None, kind: Callable[[str], Any]) -> Any:
    if kind is bool:
        if text is not None:
            raise UsageError(f"sink {sink}: {name} is {text!r}, expected {name!r} alone: it is a switch")
        return True
    if not text:
        raise UsageError(f"sink {sink}: {name} has no value, expected {name}=VALUE")
    try:
        return kind(text)
    except ValueError as error:
        raise UsageError(f"sink {sink}: {name} is {text!r}, expected {error}") from None


def _instead(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
