"""Where readings go. Each module of this folder is an output, found by its name and imported when a run names it.

A sink is a class `Sink(argument: str)` that is a context manager with a `write`. To add an output, add a file.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import TracebackType
from typing import Protocol, Self

from edge.errors import UnknownName
from edge.values import Observation


class Sink(Protocol):
    """An output: opened when entered, closed when left, whatever happened."""

    def __enter__(self) -> Self: ...

    def write(self, seen: Observation) -> None:
        """Take one observation. Returns at once; a sink that may wait owns a thread and a bounded queue."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def names() -> list[str]:
    """Return the names of all sinks."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def make(spec: str) -> Sink:
    """Return the sink of `spec`, `NAME` or `NAME:ARGUMENT`, not yet entered. Raises UnknownName listing the names."""
    name, _, argument = spec.partition(":")
    if name not in names():
        raise UnknownName(f"no sink {name!r}; there are {', '.join(names())}")
    sink: Sink = importlib.import_module(f"{__name__}.{name}").Sink(argument)
    return sink
