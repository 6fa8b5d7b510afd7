"""`edge summary`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug


def summary(
    folder: Annotated[Path, typer.Argument(help="Folder of the day logs that the sink csv:FOLDER writes.")],
    day: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="[default: the last day logged]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; times in seconds.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Also draw the emotions by hour into this .svg file.")] = None,
    debug: Debug = False,
) -> None:
    """Summarize a day that the sink csv has logged: faces, time, emotions by hour."""
    from edge.diagnostics.summary import read, to_dict
    from edge.diagnostics.summary_plot import check_plot, svg
    from edge.diagnostics.summary_text import text
    from edge.system.atomic_file import atomic_write

    if plot:
        check_plot(plot)
    result = read(folder, day)
    if as_json:
        typer.echo(json.dumps(to_dict(result), indent=1, ensure_ascii=False))
    else:
        typer.echo(text(result, min(max(shutil.get_terminal_size().columns, 72), 100)))
    if plot:
        atomic_write(plot, svg(result).encode())
