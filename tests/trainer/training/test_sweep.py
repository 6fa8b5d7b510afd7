"""A study: each trial is a run folder, poor ones stop early, processes share it, and a killed one's trial goes on."""

import csv
import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from trainer.errors import TrainingError

pytestmark = [pytest.mark.keras, pytest.mark.slow, pytest.mark.timeout(600)]
optuna = pytest.importorskip("optuna")

SPACE = """
[fixed]
backbone = "tiny"
weights = "none"
input-size = 32
batch-size = 16
head-epochs = 0
epochs = 3
ema-momentum = 0.5
[search]
learning-rate = { low = 1e-5, high = 1e-2, log = true }
dropout = { choices = [0.0, 0.3] }
[study]
startup-trials = 1
warmup-epochs = 0
"""
# Runs trials in a process of its own; each completed epoch is a line of its output, after which it waits for a line.
PROGRAM = """
import sys
from pathlib import Path
from tests.support.small import DATA, add_tiny_backbone
add_tiny_backbone()
from trainer.training import sweep_space
from trainer.training.sweep import StudyRunner
space, folder, trials = sweep_space.read(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
def report(run):
    print("epoch of", run.folder.name, flush=True)
    sys.stdin.readline()
StudyRunner(space, DATA, folder).run(trials, on_epoch=report)
"""


@pytest.fixture
def space_file(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def make_sweep(space_file, tmp_path):
    """Return a function that opens the study of SPACE."""
    from tests.support.small import DATA, add_tiny_backbone

    add_tiny_backbone()
    from trainer.training import sweep_space
    from trainer.training.sweep import StudyRunner

    def make(text=SPACE, data=DATA, **options):
        space_file.write_text(text)
        return StudyRunner(sweep_space.read(space_file), data, tmp_path / "study", **options)

    return make


@pytest.fixture
def start(space_file, tmp_path):
    """Return a function that runs trials of the study in another process."""
    processes = []

    def start(trials, stdin=subprocess.DEVNULL):
        command = [sys.executable, "-c", PROGRAM, str(space_file), str(tmp_path / "study"), str(trials)]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
        if process.stdin:
            process.stdin.close()


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def states(sweep):
    return [trial.state.name for trial in sweep.study.trials]


def test_trials_are_run_folders_and_counted_once(make_sweep, tmp_path):
    make_sweep().run(2)
    sweep = make_sweep()
    sweep.run(3)  # the same command again goes on
    assert len(sweep.study.trials) == 3
    assert set(states(sweep)) <= {"COMPLETE", "PRUNED"}
    for trial in sweep.study.trials:
        run = tmp_path / "study" / f"trial-{trial.number:04d}"
        values = [float(row["val_accuracy"]) for row in history(run)]
        assert list(trial.intermediate_values.values()) == values
        assert trial.state.name == "PRUNED" or trial.value == max(values)
        assert trial.user_attrs["seconds"] == float(history(run)[-1]["seconds"])
        assert (run / "best.keras").is_file()


def test_poor_trial_stops_after_an_epoch(make_sweep, tmp_path):
    sweep = make_sweep()
    sweep.study.enqueue_trial({"learning-rate": 1e-2, "dropout": 0.0})
    sweep.study.enqueue_trial({"learning-rate": 1e-5, "dropout": 0.0})
    sweep.run(2)
    assert states(sweep) == ["COMPLETE", "PRUNED"]
    assert len(history(tmp_path / "study" / "trial-0001")) < 3


def test_settings_that_do_not_fit_fail_and_are_replaced(make_sweep):
    text = SPACE.replace('backbone = "tiny"', "").replace(
        "dropout = { choices = [0.0, 0.3] }", 'backbone = { choices = ["tiny", "none_such"] }'
    )
    sweep = make_sweep(text)
    sweep.study.enqueue_trial({"learning-rate": 1e-2, "backbone": "none_such"})
    sweep.run(1)
    assert states(sweep)[0] == "FAIL"
    assert "none_such" in sweep.study.trials[0].user_attrs["error"]
    assert "COMPLETE" in states(sweep)


def test_study_with_another_space_or_data_is_refused(make_sweep):
    from tests.support.small import DATA
    from trainer.data.label_mapping import select_classes

    make_sweep()
    with pytest.raises(TrainingError, match="its study has another space; name another --folder"):
        make_sweep(SPACE.replace("epochs = 3", "epochs = 4"))
    with pytest.raises(TrainingError, match="its study has another data"):
        make_sweep(data=select_classes(DATA, ["happy", "sad"]))


def test_another_file_is_not_made_a_journal(make_sweep, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("mine\n")
    with pytest.raises(TrainingError, match=r"notes\.txt: not the journal of a study"):
        make_sweep(storage=str(notes))
    assert notes.read_text() == "mine\n"


def test_storage_that_cannot_be_opened_hides_the_password(make_sweep):
    with pytest.raises(TrainingError, match="the storage of the study cannot be opened") as caught:
        make_sweep(storage="postgresql://user:secret@localhost:1/study")
    assert "secret" not in str(caught.value)


def test_study_can_be_in_a_database(make_sweep, tmp_path):
    sweep = make_sweep(storage=f"sqlite:///{tmp_path}/study.db")
    sweep.run(1)
    assert states(sweep) == ["COMPLETE"]


def test_two_processes_share_a_study(make_sweep, start):
    processes = [start(4), start(4)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    trained = [{line.split()[-1] for line in output.splitlines() if line.startswith("epoch of")} for output in outputs]
    assert not trained[0] & trained[1]
    sweep = make_sweep()
    assert len(sweep.study.trials) == 4
    assert set(states(sweep)) <= {"COMPLETE", "PRUNED"}


def test_trial_of_a_killed_process_is_continued(make_sweep, start, tmp_path):
    process = start(1, subprocess.PIPE)
    line = next(line for line in process.stdout if line.startswith("epoch of"))
    process.stdin.write("go on\n")
    process.stdin.flush()
    next(line for line in process.stdout if line.startswith("epoch of"))  # so that the first is saved
    process.kill()
    process.wait()
    before = history(tmp_path / "study" / "trial-0000")
    assert line == "epoch of trial-0000\n"
    sweep = make_sweep()
    assert states(sweep) == ["RUNNING"]
    sweep.run(1)
    assert states(sweep) == ["COMPLETE"]
    assert len(history(tmp_path / "study" / "trial-0000")) == 3
    assert history(tmp_path / "study" / "trial-0000")[0] == before[0]


def test_trial_that_kills_its_process_again_and_again_fails(make_sweep, tmp_path):
    from trainer.training.sweep import MAX_ATTEMPTS

    sweep = make_sweep()
    trial = sweep.study.ask()
    trial.set_user_attr("attempts", MAX_ATTEMPTS)
    sweep.run_folder(trial.number).mkdir()
    sweep.run(1)
    assert states(sweep) == ["FAIL", "COMPLETE"]
    assert "is there enough memory?" in sweep.study.trials[0].user_attrs["error"]
