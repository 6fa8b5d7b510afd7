"""`edge doctor`."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug, check_new_file, show
from edge.cli.options import Detector, OneModel, Threads
from edge.config.models import find_model
from edge.config.settings import RunSettings
from edge.errors import UsageError
from edge.system.atomic_file import atomic_write, check_writable
from edge.system.paths import display_name, file_problem


def doctor(
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Also read one frame of this source. Otherwise no camera is opened."),
    ] = None,
    model: OneModel = None,
    detector: Detector = RunSettings.detector,
    threads: Threads = RunSettings.threads,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a text for an issue, without images and secrets, and show it."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Configuration for --report.",
            show_default="that of the service, if there is one",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let --report replace a file.")] = False,
    debug: Debug = False,
) -> None:
    """Check this machine, and advise on each problem.

    Checks the software, the model, the cameras, the board and the service. Exit status: 1 if a check fails.

    --report collects what a maintainer needs: versions, board, camera formats, model, settings, checks, and the last
    lines of the service's log. Names, addresses, paths, serial numbers and secrets are replaced. Nothing is sent.
    """
    if report is not None:
        check_report(report, config, overwrite)
    elif config is not None or overwrite:
        raise typer.BadParameter("--config and --overwrite are for --report FILE")
    from edge.diagnostics.doctor import overall_status, run_checks, text
    from edge.diagnostics.environment import environment
    from edge.diagnostics.report import text as make_report

    facts = environment()
    checks = run_checks(facts, find_model(model), source, detector=detector, threads=threads)
    status = overall_status(checks)
    shown = text(facts, checks, min(max(shutil.get_terminal_size((100, 0)).columns, 80), 120))
    if report is not None:
        shown = make_report(facts, checks, find_model(model), config, named=filter(None, (source, model, detector)))
        atomic_write(report, shown.encode())
        shown += f"\nThe text above was written to {display_name(report)}. Nothing was sent."
    if as_json:
        result = {"status": status, "checks": [asdict(check) for check in checks], "machine": facts}
        typer.echo(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        show(shown)
    if status == "error":
        raise typer.Exit(1)


def check_report(path: Path, config: Path | None, overwrite: bool) -> None:
    """Raise UsageError if `config` cannot be read or a file exists at `path`; FileError if it cannot be written."""
    if config is not None and (problem := file_problem(config)):
        raise UsageError(f"--config {display_name(config)}: {problem}")
    if config is not None and path.resolve() == config.resolve():
        raise UsageError(f"--report {display_name(path)}: the target is the configuration; name another file")
    check_new_file("--report", path, overwrite)
    check_writable(path)
