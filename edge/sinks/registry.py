"""Where readings go. Each module of this folder is an output, found by its name and imported when a run names it.

A sink is a class `Sink(argument: str, run: Run)` that is a context manager with a `write`. To add an output, add a
file; one that stands elsewhere is named by its path, which ends in .py.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from edge.errors import EmotionEdgeError, UnknownNameError, UsageError
from edge.types import RunInfo, Sink

# Of this folder; all other modules are sinks.
SUPPORT_MODULES = ("active_faces", "annotate", "background_writer", "daily_log", "group", "registry", "serialize")


def names() -> list[str]:
    """Return the names of all sinks."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in modules if module.name not in SUPPORT_MODULES)


def find(spec: str) -> Callable[[RunInfo], Sink]:
    """Return what makes the sink of `spec` for a run, not yet entered; it raises UsageError where the argument does not fit.

    Args:
        spec: `NAME` or `NAME:ARGUMENT`; the path of a Python file may stand for the name, `./my_sink.py:ARGUMENT`.

    Raises UnknownNameError listing the names; UsageError where the file has no sink.
    """
    name, _, argument = spec.partition(":")
    if name.endswith(".py"):
        module = _load_file(Path(name).expanduser())
    elif name in names():
        module = importlib.import_module(f"edge.sinks.{name}")
    else:
        raise UnknownNameError(f"no sink {name!r}; there are {', '.join(names())}, or the path of a file that ends in .py")
    return partial(module.Sink, argument)


def _load_file(path: Path) -> ModuleType:
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
