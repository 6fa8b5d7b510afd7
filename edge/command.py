"""What both commands, `edge` and `trainer`, share: how they look, and how they end."""

from __future__ import annotations

import os
import sys

import typer

from edge.errors import EmotionEdgeError


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
    """Run `app` on the process's arguments and exit; a known error is shown as `NAME: error: ...` on stderr.

    With --debug among the arguments the error is raised instead.
    """
    try:
        app(prog_name=name)
    except EmotionEdgeError as error:
        if "--debug" in sys.argv:
            raise
        print(f"{name}: error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does: nothing is wrong. Python would complain once more when it
        # flushes stdout at exit, so stdout is pointed elsewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # 128 + SIGPIPE, what a shell shows for it
