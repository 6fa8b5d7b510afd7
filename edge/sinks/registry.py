"""Where readings go. Each module of this folder is an output, found by its name and imported when a run names it.

A sink is a class `Sink(argument: str, run: Run)` that is a context manager with a `write`. To add an output, add a
file; one that stands elsewhere is named by its path, which ends in .py.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Protocol, Self

from edge.errors import EmotionEdgeError, UnknownName, UsageError
from edge.types import Observation, Run


class Sink(Protocol):
    """An output: opened when entered, closed when left, whatever happened.

    An attribute `reopens`, where it is true, says that one that failed may be entered again and loses nothing by it.
    """

    def __enter__(self) -> Self: ...

    def write(self, seen: Observation) -> None:
        """Take one observation. Returns at once; a sink that may wait puts its words into an edge.sinks.background_writer.Outbox."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


# Of this folder; all other modules are sinks.
SUPPORT_MODULES = ("active_faces", "annotate", "background_writer", "daily_log", "group", "registry", "serialize")


def names() -> list[str]:
    """Return the names of all sinks."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in modules if module.name not in SUPPORT_MODULES)


def make(spec: str, run: Run | None = None) -> Sink:
    """Return the sink of `spec` for `run`, not yet entered.

    Args:
        spec: `NAME` or `NAME:ARGUMENT`; the path of a Python file may stand for the name, `./my_sink.py:ARGUMENT`.
        run: None: none, as where only the spec is checked.

    Raises UnknownName listing the names; UsageError where the file has no sink, or the argument does not fit.
    """
    name, _, argument = spec.partition(":")
    if name.endswith(".py"):
        module = _file(Path(name).expanduser())
    elif name in names():
        module = importlib.import_module(f"edge.sinks.{name}")
    else:
        raise UnknownName(f"no sink {name!r}; there are {', '.join(names())}, or the path of a file that ends in .py")
    sink: Sink = module.Sink(argument, run or Run())
    return sink


def _file(path: Path) -> ModuleType:
    """Return the module of the Python file at `path`, which has a sink."""
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}), expected a Python file with a class Sink"
        ) from error
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise UsageError(f"{path}{line}: is no Python ({error.args[0]})") from error
    module = ModuleType(f"sink {path}")  # no name that an import could mean
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and typing look names up
    try:
        exec(code, module.__dict__)  # noqa: S102 (the user's own file, named by the user)
    except EmotionEdgeError:
        raise
    except Exception as error:
        raise UsageError(f"{path}: cannot be loaded ({type(error).__name__}: {error})") from error
    if not callable(getattr(module, "Sink", None)):
        raise UsageError(f"{path}: no class Sink found, expected one as in edge/sinks")
    return module
