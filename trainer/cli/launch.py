"""`trainer launch`."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from edge.cli.common import Debug
from edge.errors import UsageError
from trainer.training.launcher import Group, Launcher, parse_address

_log = logging.getLogger(__name__)


def launch(
    command: Annotated[
        list[str], typer.Argument(metavar="-- train ...", help="The command to run, with --devices all: train ...")
    ],
    coordinator: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Host of process 0 and a free port on it; the next port is used, too."),
    ],
    processes: Annotated[
        int, typer.Option(min=1, metavar="INT", envvar="SLURM_NTASKS", help="Number of processes, one a host.")
    ],
    process: Annotated[
        int, typer.Option(min=0, metavar="INT", envvar="SLURM_PROCID", help="Which of them this is, from 0.")
    ],
    debug: Debug = False,
) -> None:
    """Run a training on several hosts.

    Give this command on each of them. Process 0 evaluates and writes the run folder, which all hosts see. When a
    process ends early, all end.
    """
    if command[0] != "train":
        raise UsageError(f"launch runs 'train' only, not {command[0]!r}")
    group = Group(*parse_address(coordinator), processes, process)
    with Launcher(
        group, [sys.executable, "-c", "from trainer.cli import main; main()", *command], _log.info
    ) as launcher:
        launcher.run()
