"""`edge doctor`."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug
from edge.config.models import shipped_model


def doctor(
    source: Annotated[
        str | None, typer.Option(help="Also take one frame of this source; by default no camera is opened.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A .tflite file with its card. [default: the shipped model]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Check this machine and say what to do about each problem. Exit status: 1 if a check fails, else 0."""
    from edge.diagnostics.doctor import overall_status, run_checks, text
    from edge.diagnostics.environment import environment

    facts = environment()
    checks = run_checks(facts, model or shipped_model(), source)
    if as_json:
        report = {"status": overall_status(checks), "checks": [asdict(check) for check in checks], "machine": facts}
        typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        width = min(max(shutil.get_terminal_size((100, 0)).columns, 80), 120)
        typer.echo(text(facts, checks, width))
    if overall_status(checks) == "error":
        raise typer.Exit(1)
