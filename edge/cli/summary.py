"""`edge summary`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug, check_new_file, show
from edge.errors import UsageError
from edge.system.atomic_file import atomic_write, check_writable
from edge.system.paths import display_name


def summary(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Folder of the daily logs, as in the sink daylog:FOLDER, or a file of csv:FILE.csv or jsonl:FILE.",
        ),
    ],
    day: Annotated[
        str | None,
        typer.Option("--date", metavar="YYYY-MM-DD", help="Day to summarize.", show_default="the last day logged"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; times are in seconds.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also plot the emotions: of a day by hour (.svg), of a file over the time of each film (.svg, .png).",
        ),
    ] = None,
    thumbnails: Annotated[
        Path | None,
        typer.Option(
            metavar="VIDEO", help="Put images of this video, which was recorded, into the plot: it then shows faces."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let --plot replace a file.")] = False,
    debug: Debug = False,
) -> None:
    """Summarize the log of a day, or a file of csv or jsonl.

    Shows the number of faces and the emotions: of a day how long each lasted, by hour; of a file their means, by film,
    and of more than 20 films or images only in total.
    """
    if plot:
        check_new_file("--plot", plot, overwrite)
        if plot.resolve() == path.resolve():
            raise UsageError(f"--plot {display_name(plot)}: the target is the recording; name another file")
    elif overwrite:
        raise typer.BadParameter("--overwrite is for --plot FILE")
    if not path.is_dir():
        if day:
            raise typer.BadParameter("--date is for a folder of daily logs")
        summarize_file(path, as_json, plot, thumbnails)
        return
    if thumbnails:
        raise typer.BadParameter("--thumbnails is for a file of the sink csv or jsonl")
    from edge.diagnostics import summary_plot, summary_text
    from edge.diagnostics.summary import read, to_dict

    if plot:
        summary_plot.check_plot(plot)
        check_writable(plot)
    result = read(path, day)
    if plot:  # before anything is printed, so that an error is not the last of many lines
        atomic_write(plot, summary_plot.svg(result).encode())
    if as_json:
        typer.echo(json.dumps(to_dict(result), indent=1, ensure_ascii=False))
    else:
        show(summary_text.text(result, min(max(shutil.get_terminal_size().columns, 72), 100)))


def summarize_file(path: Path, as_json: bool, plot: Path | None, video: Path | None) -> None:
    """Print the summary of a file of the sink csv or jsonl, and write its plot, with images of `video`."""
    from edge.diagnostics import recording, recording_plot

    if plot:
        recording_plot.check_plot(plot)
        check_writable(plot)
    elif video:
        raise typer.BadParameter("--thumbnails needs --plot FILE")
    found = recording.read(path)
    if plot:
        thumbnails = {}
        if video:
            film = recording_plot.find_film(found, video)
            thumbnails = {film.name: recording_plot.read_thumbnails(video, film)}
        atomic_write(plot, recording_plot.content(found, plot.suffix.lower(), thumbnails))
    show(json.dumps(recording.to_dict(found), indent=1, ensure_ascii=False) if as_json else recording.text(found))
