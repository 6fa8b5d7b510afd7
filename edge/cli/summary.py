"""`edge summary`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug, show


def summary(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the daily logs, as in the sink daylog:FOLDER.")
    ],
    day: Annotated[
        str | None,
        typer.Option("--date", metavar="YYYY-MM-DD", help="Day to summarize.", show_default="the last day logged"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; times are in seconds.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also plot the emotions by hour into this .svg file.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Summarize a day that the sink daylog has logged.

    Shows the number of faces, how long each emotion lasted, and the emotions by hour.
    """
    from edge.diagnostics import summary_plot, summary_text
    from edge.diagnostics.summary import read, to_dict
    from edge.system.atomic_file import atomic_write

    if plot:
        summary_plot.check_plot(plot)
    result = read(folder, day)
    if as_json:
        typer.echo(json.dumps(to_dict(result), indent=1, ensure_ascii=False))
    else:
        show(summary_text.text(result, min(max(shutil.get_terminal_size().columns, 72), 100)))
    if plot:
        atomic_write(plot, summary_plot.svg(result).encode())
