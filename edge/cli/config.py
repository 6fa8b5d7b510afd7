"""`edge config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug, show
from edge.errors import SettingsError
from edge.system.paths import display_name
from edge.system.plain_text import escape


def config(
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="List every problem of this file, with its line.")
    ] = None,
    privacy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Print what this file's settings keep on the device, send, and show."),
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a file with every setting.")] = False,
    debug: Debug = False,
) -> None:
    """Check a configuration, tell what it discloses, or print one.

    'edge run --config' and the service read such a file. Exit status: 78 if the file is invalid.

    --check opens no camera and reads no source. It checks the file as it is, without flags of 'edge run', and a prior's
    labels only if the file names the model, too. It loads neither the model's network nor that of a detector.
    """
    from edge.config import toml_file
    from edge.config.settings import RunSettings
    from edge.diagnostics.privacy import describe
    from edge.setting_checks import FILE_CHECKS, NAME_CHECKS
    from edge.sinks import registry
    from edge.types import RunInfo

    if example:
        typer.echo(toml_file.example(), nl=False)
    elif privacy is not None:
        settings = RunSettings(**toml_file.read(privacy, NAME_CHECKS))
        sinks = {spec: registry.find(spec)(RunInfo()) for spec in settings.sinks}
        show(describe(sinks, settings.source or "", calibrate_neutral=settings.calibrate_neutral))
    elif check is not None:
        problems = toml_file.problems(check, NAME_CHECKS, FILE_CHECKS)
        if problems:
            show("\n".join(map(escape, problems)), err=True)
            raise typer.Exit(SettingsError.exit_status)
        show(f"{display_name(check)}: valid")
    else:
        raise typer.BadParameter("expected --check FILE, --privacy FILE or --example")
