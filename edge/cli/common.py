"""What the commands `edge` and `trainer` share: help, log messages, errors and exit statuses."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.errors import EmotionEdgeError, UsageError
from edge.system import log, troubleshooting
from edge.system.paths import display_name
from edge.system.plain_text import escape_lines

_log = logging.getLogger(__name__)

# Errors of OpenCV and FFmpeg are reported by us, once. Both libraries read these variables when they are loaded, so
# commands import this module before any that imports cv2.
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

DOCUMENTED_MODULES = ("edge.errors", "trainer.errors")  # each class has an entry in docs/troubleshooting.md
HELP_WIDTH = 100  # characters

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

# Typer's errors of the command line have no public base class; this is it.
_CommandLineError: Any = typer.BadParameter.__mro__[2]
# Errors that are shown as one line. Anything else is a defect of the program.
EXPECTED_ERRORS = (EmotionEdgeError, OSError, _CommandLineError)


def show(text: str, *, err: bool = False) -> None:
    """Print `text` on standard output, or on standard error, without anything that controls the terminal.

    It may name files, devices and values that somebody else chose.
    """
    typer.echo(escape_lines(text), err=err)


def new_app(name: str, description: str) -> typer.Typer:
    """Return a command without subcommands. Its output has no markup: it is read in journals and over SSH, too."""
    return typer.Typer(
        name=name,
        help=description,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": HELP_WIDTH},
    )


def open_closed_streams() -> bool:
    """Open /dev/null as each standard stream that is closed, and return whether standard output was.

    Otherwise the next file that is opened would be taken for it by libraries that print.
    """
    was_closed = sys.stdout is None
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # os.open takes the lowest descriptor that is free
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode, closefd=False))  # noqa: SIM115
    return was_closed


def require_no_empty_argument(arguments: Sequence[str]) -> None:
    """Raise UsageError for an empty argument, such as an unset variable of a shell: a path would be the current folder.

    Args:
        arguments: of the command line, without the name of the program.
    """
    for before, argument in pairwise(("", *arguments)):
        option, equals, value = argument.partition("=")
        if not argument or (option.startswith("--") and equals and not value):
            name = option or (before if before.startswith("-") else "an argument")
            raise UsageError(f"{name} is empty, such as an unset variable of a shell; give it a value, or leave it out")


def check_new_file(option: str, path: Path, overwrite: bool) -> None:
    """Raise UsageError if there is something at `path`, which an `option` names to be written, without `overwrite`."""
    if os.path.lexists(path) and not overwrite:
        raise UsageError(
            f"{option} {display_name(path)}: the file exists; name another file, or replace it by --overwrite"
        )


def error_entry(error: EmotionEdgeError | OSError) -> str:
    """Return the name of the entry in docs/troubleshooting.md that explains `error`: its class, or that of its base."""
    classes = (each for each in type(error).__mro__ if each.__module__ in DOCUMENTED_MODULES)
    return next((each.__name__ for each in classes), "OSError")


def run_app(app: typer.Typer, name: str) -> None:
    """Run `app` on the arguments of the process, and exit. An error is one line, `NAME: error: ...`, on stderr; on a
    terminal a second one names the entry of docs/troubleshooting.md.

    With the argument --debug, an error is raised instead. A closed standard output (`>&-`) is an error: its
    descriptor would be given to the next file. A closed pipe after stdout, as `head` leaves it, is no error.
    """
    log.configure()
    if open_closed_streams():
        _log.error("%s: error: standard output is closed; to discard results, redirect it to /dev/null", name)
        sys.exit(1)
    try:
        require_no_empty_argument(sys.argv[1:])
        status = app(prog_name=name, standalone_mode=False)
    except typer.Abort:
        sys.exit(130)  # Ctrl-C: 128 + SIGINT, as in a shell
    except EXPECTED_ERRORS as error:
        if "--debug" in sys.argv:
            raise
        if not isinstance(error, _CommandLineError):
            _log.error("%s: error: %s", name, error)
            if sys.stderr.isatty():  # a person reads it, and not a journal
                show(f"see {troubleshooting.link(error_entry(error))}", err=True)
            sys.exit(error.exit_status if isinstance(error, EmotionEdgeError) else 1)
        if len(sys.argv) == 1:
            error.show()  # without arguments, the "error" is the help
        else:
            command = error.ctx.command_path if getattr(error, "ctx", None) else name
            _log.error(
                "%s: error: %s (see '%s --help')", name, " ".join(error.format_message().split()).rstrip("."), command
            )
        sys.exit(int(error.exit_code))
    except Exception:
        if not log.stderr_is_journal():
            raise
        _log.exception("%s: unexpected error", name)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
