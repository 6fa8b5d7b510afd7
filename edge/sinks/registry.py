"""Finds sinks by name. Each module of this folder that is not in SUPPORT_MODULES is a sink, imported when used.

To add a sink, add a file with a class `Sink(argument: str, run: RunInfo)` that has the methods of edge.types.Sink.
`argument` is what follows the sink's name and a colon. A file elsewhere is named by its path, which ends in .py.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from edge.errors import EmotionEdgeError, SinkError, UnknownNameError, UsageError
from edge.system.bounded_read import read_at_most
from edge.system.paths import expand_path
from edge.types import RunInfo, Sink

MAX_FILE_BYTES = 10_000_000  # of a Python file with a sink
SINK_METHODS = ("__enter__", "write", "__exit__")
SUPPORT_MODULES = (
    *("active_faces", "annotate", "background_writer", "csv_cells", "daily_log", "face_blur", "face_statistics"),
    *("group", "line_file", "missing_package", "output_file", "progress", "registry", "serialize"),
)


def names() -> list[str]:
    """Return the names of all sinks."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in modules if module.name not in SUPPORT_MODULES)


def find(spec: str) -> Callable[[RunInfo], Sink]:
    """Return what makes the sink of `spec` for a run; calling it raises UsageError if the argument is invalid.

    Args:
        spec: `NAME` or `NAME:ARGUMENT`; the path of a Python file may replace the name, as in `./my_sink.py:ARGUMENT`.

    Raises UnknownNameError listing the names; UsageError if the file has no sink.
    """
    name, _, argument = spec.partition(":")
    if name.endswith(".py"):
        make_sink = _load_file(expand_path(name)).Sink

        def make(run: RunInfo) -> Sink:
            try:
                own: Sink = make_sink(argument, run)
            except Exception as error:  # noqa: BLE001 (the user's own code may raise anything)
                failure = locate(spec, "Sink(argument, run)", error)
                raise failure from failure.__cause__
            return own

        return make
    if name in names():
        module = importlib.import_module(f"edge.sinks.{name}")
    else:
        raise UnknownNameError(
            f"no sink {name!r}; there are {', '.join(names())}, or the path of a file that ends in .py"
        )
    return partial(module.Sink, argument)


def locate(spec: str, call: str, error: Exception) -> Exception:
    """Return `error`, which `call` of the sink `spec` raised; of a file of the user's own as a SinkError with its line.

    What such a file raises on purpose, an EmotionEdgeError, is returned as it is; so is the end of a pipe.
    """
    name = spec.partition(":")[0]
    if isinstance(error, EmotionEdgeError | BrokenPipeError) or not name.endswith(".py"):
        return error
    path = str(expand_path(name))
    lines = [f":{each.lineno}" for each in traceback.extract_tb(error.__traceback__) if each.filename == path]
    located = SinkError(f"{path}{''.join(lines[-1:])}: {call} raised {type(error).__name__}: {error}")
    located.__cause__ = error
    return located


def _load_file(path: Path) -> ModuleType:
    """Return the module of the Python file at `path`, which has a class Sink."""
    try:
        code = compile(read_at_most(path, MAX_FILE_BYTES), str(path), "exec")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}), expected a Python file with a class Sink"
        ) from error
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise UsageError(f"{path}{line}: not valid Python ({error.args[0]})") from error
    module = ModuleType(f"sink {path}")  # a name that no import statement can have
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and typing look names up there
    try:
        exec(code, module.__dict__)  # noqa: S102 (the user's own file, named by the user)
    except EmotionEdgeError:
        raise
    except (Exception, SystemExit) as error:  # a program that ends when it is imported
        raise UsageError(f"{path}: cannot be loaded ({type(error).__name__}: {error})") from error
    sink = getattr(module, "Sink", None)
    if not callable(sink):
        raise UsageError(f"{path}: no class Sink found, expected one as in edge/sinks")
    try:
        inspect.signature(sink).bind("", RunInfo())
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: Sink(argument, run) cannot be called ({error})") from error
    missing = [name for name in SINK_METHODS if isinstance(sink, type) and not callable(getattr(sink, name, None))]
    if missing:
        raise UsageError(f"{path}: the class Sink has no {', '.join(missing)}; examples/led_sink.py has what it needs")
    return module
