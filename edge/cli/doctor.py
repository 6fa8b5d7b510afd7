"""`edge doctor`."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import Annotated

import typer

from edge.cli.common import Debug, show
from edge.cli.options import Detector, Model, Threads
from edge.config.models import find_model
from edge.config.settings import RunSettings


def doctor(
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Also read one frame of this source. Otherwise no camera is opened."),
    ] = None,
    model: Model = None,
    detector: Detector = RunSettings.detector,
    threads: Threads = RunSettings.threads,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Check this machine, and advise on each problem.

    Checks the software, the model, the cameras, the board and the service. Exit status: 1 if a check fails.
    """
    from edge.diagnostics.doctor import overall_status, run_checks, text
    from edge.diagnostics.environment import environment

    facts = environment()
    checks = run_checks(facts, find_model(model), source, detector=detector, threads=threads)
    status = overall_status(checks)
    if as_json:
        report = {"status": status, "checks": [asdict(check) for check in checks], "machine": facts}
        typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        width = min(max(shutil.get_terminal_size((100, 0)).columns, 80), 120)
        show(text(facts, checks, width))
    if status == "error":
        raise typer.Exit(1)
