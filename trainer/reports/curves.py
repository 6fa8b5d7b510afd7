"""The training curves of a run folder."""

from __future__ import annotations

from trainer.reports import plots
from trainer.training.checkpoints import RunDirectory


def write_curves(run: RunDirectory) -> None:
    """Plot loss and accuracy over the epochs of `run` to its curves.png. Raises FileError when it cannot be written."""
    plots.save(plots.training_curves(run.history), run.curves)
