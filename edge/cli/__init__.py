"""The command `edge`. Each module of this package is one subcommand, except `common` and `options`."""

from __future__ import annotations

from typing import Annotated

import typer

from edge import __version__
from edge.cli import benchmark, config, doctor, info, run, summary
from edge.cli.common import new_app, run_app

app = new_app(
    "edge", "Detect faces in camera images and files, and classify their emotions, on a Raspberry Pi, a PC or a Mac."
)


def main() -> None:
    """Entry point of the command `edge`."""
    run_app(app, "edge")


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"edge {__version__}")
        raise typer.Exit


@app.callback()
def edge(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


for command in (run.run, config.config, summary.summary, benchmark.benchmark, info.info, doctor.doctor):
    app.command()(command)
