"""Table and plots of a study: the best trial first, trials without an epoch last, options of any type."""

import cv2
import pytest

pytestmark = pytest.mark.keras
optuna = pytest.importorskip("optuna")

DISTRIBUTIONS = {
    "learning-rate": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True),
    "backbone": optuna.distributions.CategoricalDistribution(["a", "b"]),
}


def make_trial(state, values, rate, backbone):
    return optuna.trial.create_trial(
        state=state,
        value=max(values) if state == optuna.trial.TrialState.COMPLETE else None,
        intermediate_values=dict(enumerate(values, start=1)),
        params={"learning-rate": rate, "backbone": backbone},
        distributions=DISTRIBUTIONS,
        user_attrs={"seconds": 45.0 * len(values)} if values else {},
    )


@pytest.fixture
def trials():
    """A running trial, one that was stopped early, and a completed one."""
    states = optuna.trial.TrialState
    return [
        make_trial(states.RUNNING, [], 1e-3, "a"),
        make_trial(states.PRUNED, [0.3], 1e-5, "b"),
        make_trial(states.COMPLETE, [0.4, 0.6, 0.5], 1e-1, "a"),
    ]


def test_table_has_the_best_trial_first(trials):
    from trainer.reports.sweep_report import sweep_rows

    header, *rows = sweep_rows(trials, "accuracy")
    assert header == ("trial", "state", "accuracy", "epochs", "minutes", "backbone", "learning-rate")
    assert [row[1:5] for row in rows] == [
        ("completed", "0.6000", "3", "2.2"),
        ("stopped early", "0.3000", "1", "0.8"),
        ("running", "", "0", ""),
    ]
    assert rows[0][5:] == ("a", "0.1")


def test_report_is_a_table_and_plots(trials, tmp_path):
    from trainer.reports.sweep_report import write_sweep_report

    write_sweep_report(trials[:1], "accuracy", tmp_path)
    assert not (tmp_path / "trials.png").exists()
    write_sweep_report(trials, "accuracy", tmp_path)
    assert (tmp_path / "trials.md").read_text().splitlines()[2].endswith("| completed | 0.6000 | 3 | 2.2 | a | 0.1 |")
    assert cv2.imread(str(tmp_path / "trials.png")) is not None


def test_logarithmic_axes_have_plain_numbers(tmp_path):
    from trainer.reports import plots

    figure = plots.sweep([(0.4, True, {"rate": 1e-4}), (0.5, False, {"rate": 1e-1})], "accuracy")
    plots.save(figure, tmp_path / "trials.png")
    axis = figure.axes[1]
    assert axis.get_xscale() == "log"
    assert {"0.0001", "0.1"} <= {label.get_text() for label in axis.get_xticklabels(which="both")}
    assert not any("$" in label.get_text() for label in axis.get_xticklabels(which="both"))


def test_trial_that_was_stopped_early_is_a_ring():
    from trainer.reports import plots

    axis = plots.sweep([(0.4, True, {"rate": 1}), (0.5, False, {"rate": 2})], "accuracy").axes[1]
    drawn = [(line.get_markerfacecolor(), list(line.get_xdata())) for line in axis.lines]
    assert drawn == [("white", [1, 2]), (plots.BLUE, [1])]
