"""What both commands, `edge` and `trainer`, share: how they look, and how they end."""

from __future__ import annotations

import os
import sys

import typer

from edge.errors import EmotionEdgeError

# What OpenCV and FFmpeg print about a missing camera or a damaged picture is said by us, once and in plain words.
# They read these when they are loaded, so commands import this module before anything that imports cv2.
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


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
    try:
        app(prog_name=name)
    except (EmotionEdgeError, OSError) as error:  # OSError: the machine's word where we have no better one
        if "--debug" in sys.argv:
            raise
        print(f"{name}: error: {error}", file=sys.stderr)
        sys.exit(error.exit_status if isinstance(error, EmotionEdgeError) else 1)
