"""What both commands, `edge` and `trainer`, share: how they look, and how they end."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any

import typer

from edge.errors import EmotionEdgeError
from edge.system import log

_log = logging.getLogger(__name__)

# What OpenCV and FFmpeg print about a missing camera or a damaged image is said by us, once and in plain words.
# They read these when they are loaded, so commands import this module before anything that imports cv2.
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback for an error.")]


def new_app(name: str, about: str) -> typer.Typer:
    """Return an empty command: plain text, because it is read in journals and over slow lines too."""
    return typer.Typer(
        name=name,
        help=about,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def run_app(app: typer.Typer, name: str) -> None:
    """Run `app` on the process's arguments and exit; an error is shown as one line, `NAME: error: ...`, on stderr.

    With --debug among the arguments the error is raised instead. A reader of our output that goes, as `head` does, is
    no error: Typer ends the command quietly.
    """
    log.configure()
    try:
        status = app(prog_name=name, standalone_mode=False)
    except typer.Abort:
        sys.exit(130)  # Ctrl-C, as a shell counts it
    except Exception as error:
        if not isinstance(error, KNOWN) and log.stderr_is_journal():
            _log.exception("%s: unexpected error", name)
            sys.exit(1)
        if "--debug" in sys.argv or not isinstance(error, KNOWN):
            raise
        sys.exit(_show(error, name))
    sys.exit(status if isinstance(status, int) else 0)


# Typer's own errors of the command line have no public common name; this is the base of them all. OSError is the
# machine's word where we have no better one.
_CommandLineError: Any = typer.BadParameter.__mro__[2]
KNOWN = EmotionEdgeError, OSError, _CommandLineError


def _show(error: Any, name: str) -> int:
    """Print `error` in one line and return the exit status."""
    if isinstance(error, _CommandLineError):
        if len(sys.argv) == 1:
            error.show()  # no arguments at all: this "error" is the help
            return 2
        where = error.ctx.command_path if getattr(error, "ctx", None) else name
        _log.error("%s: error: %s (see '%s --help')", name, error.format_message(), where)
        return int(error.exit_code)
    _log.error("%s: error: %s", name, error)
    return error.exit_status if isinstance(error, EmotionEdgeError) else 1
