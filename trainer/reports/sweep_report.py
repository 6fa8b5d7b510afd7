"""Table and plots of a study of `trainer sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from edge.system.atomic_file import atomic_write
from trainer.reports import plots
from trainer.training.sweep import SECONDS

STATES = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "stopped early",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "failed",
}


def sweep_rows(trials: Sequence[FrozenTrial], metric: str) -> list[tuple[str, ...]]:
    """Return the table of `trials`: its header, then the best trial first, and those without a `metric` at the end."""
    names = sorted({name for trial in trials for name in trial.params})
    order = sorted(trials, key=lambda trial: (-best_value(trial), trial.number))
    rows = [("trial", "state", metric, "epochs", "minutes", *names)]
    for trial in order:
        value = best_value(trial)
        values = {name: f"{x:.4g}" if isinstance(x, float) else str(x) for name, x in trial.params.items()}
        seconds = trial.user_attrs.get(SECONDS)
        rows.append(
            (
                str(trial.number),
                STATES[trial.state],
                f"{value:.4f}" if value >= 0 else "",
                str(max(trial.intermediate_values, default=0)),
                "" if seconds is None else f"{seconds / 60:.1f}",
                *(values.get(name, "") for name in names),
            )
        )
    return rows


def best_value(trial: FrozenTrial) -> float:
    """Return the metric of the best epoch of `trial`; -1 before the first one."""
    return max(trial.intermediate_values.values(), default=-1.0)


def write_sweep_report(trials: Sequence[FrozenTrial], metric: str, folder: Path) -> None:
    """Write trials.md and, where a trial has an epoch, trials.png to `folder`. Raises FileError."""
    header, *rows = sweep_rows(trials, metric)
    lines = [header, ("---",) * len(header), *rows]
    atomic_write(folder / "trials.md", "".join(f"| {' | '.join(line)} |\n" for line in lines).encode())
    started = [trial for trial in trials if trial.intermediate_values]
    if started:
        points = [(best_value(trial), trial.state == TrialState.COMPLETE, trial.params) for trial in started]
        plots.save(plots.sweep(points, metric), folder / "trials.png")
