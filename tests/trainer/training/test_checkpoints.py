"""A run's folder is whole after each epoch, whatever stops it, and tells apart what may go on from what may not."""

import json

import numpy as np
import pytest

from tests.support.small import DATA
from trainer.errors import TrainingError

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]

ABOUT = {
    "settings": {"epochs": 4, "seed": 1},
    "labels": ["a", "b"],
    "detail": 48,
    "training": {"a": 3, "b": 4},
    "validation": {"a": 1, "b": 1},
    "versions": {"keras": "3.10"},
}
ROW = {"epoch": 1, "phase": "head", "loss": 1.5, "accuracy": 0.25, "val_loss": 1.25, "val_accuracy": 0.5}


@pytest.fixture
def new(settings, tmp_path):
    """An empty run."""
    from trainer.training.checkpoints import Run

    return Run(tmp_path / "new")


@pytest.fixture
def model():
    import keras

    keras.utils.set_random_seed(0)
    pixels = keras.Input((4,))
    model = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Dense(8)(pixels)))
    model.compile(keras.optimizers.AdamW(0.01, use_ema=True), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def step(model):
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.random((8, 4)), rng.random((8, 2)))


def values(model):
    return [np.asarray(variable).copy() for variable in (*model.variables, *model.optimizer.variables)]


def test_a_new_run_writes_down_what_it_was_told(new):
    new.describe(ABOUT)
    assert json.loads((new.folder / "settings.json").read_text()) == ABOUT


def test_a_second_run_in_the_same_folder_is_refused(new):
    assert new.begin().epochs == 0
    new.describe(ABOUT)
    with pytest.raises(TrainingError, match=r"new: holds a run already; go on with --resume or name another --run$"):
        new.begin()


def test_a_run_that_was_stopped_in_its_first_epoch_resumes_at_the_start(new):
    new.describe(ABOUT)
    assert new.resume(ABOUT).epochs == 0


@pytest.mark.parametrize("other", [{}, {"versions": {"keras": "4.0"}}], ids=["same", "other-versions"])
def test_a_run_resumes_where_its_last_whole_epoch_ended(other, new, model):
    from trainer.training.checkpoints import Progress

    new.describe(ABOUT)
    new.save(model, Progress(3, 0.75, 12.5))
    assert new.resume(ABOUT | other) == Progress(3, 0.75, 12.5)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"settings": {"epochs": 5, "seed": 1}}, "settings: epochs 4 -> 5"),
        ({"settings": {"epochs": 4, "seed": 1, "new": 2}}, "settings: new None -> 2"),
        ({"labels": ["a", "c"]}, r"labels: \['a', 'b'\] -> \['a', 'c'\]"),
        ({"detail": 64}, "detail: 48 -> 64"),
        ({"training": {"a": 3, "b": 9}}, "training: b 4 -> 9"),
        ({"validation": {"a": 1, "b": 9}}, "validation: b 1 -> 9"),
    ],
)
def test_a_run_cannot_go_on_with_anything_else_than_it_was_begun_with(other, named, new):
    new.describe(ABOUT)
    with pytest.raises(TrainingError, match=f"new: a run cannot go on with other {named}$"):
        new.resume(ABOUT | other)


def test_there_must_be_a_run_to_resume(new):
    with pytest.raises(TrainingError, match=r"new: no run to resume \(no settings\.json\); leave out --resume"):
        new.resume(ABOUT)


def test_restore_brings_weights_and_optimizer_back(new, model):
    from trainer.training.checkpoints import Progress

    step(model)
    saved = values(model)
    new.save(model, Progress(1))
    step(model)
    assert not all(map(np.array_equal, values(model), saved))
    new.restore(model, optimizer=True)
    assert all(map(np.array_equal, values(model), saved))


def test_restore_leaves_the_optimizer_of_another_phase_alone(new, model):
    from trainer.training.checkpoints import Progress

    step(model)
    saved = values(model)
    new.save(model, Progress(1))
    step(model)
    optimizer = values(model)[len(model.variables) :]
    new.restore(model, optimizer=False)
    assert all(map(np.array_equal, values(model)[: len(model.variables)], saved))
    assert all(map(np.array_equal, values(model)[len(model.variables) :], optimizer))


def test_the_best_model_is_kept_without_its_optimizer(new, model):
    import keras

    step(model)
    new.save_best(model, DATA)
    again = keras.saving.load_model(new.best)
    assert getattr(again, "optimizer", None) is None
    assert all(map(np.array_equal, again.get_weights(), model.get_weights()))


def test_the_history_gains_a_line_an_epoch(new):
    new.add_epoch(ROW)
    new.add_epoch(ROW | {"epoch": 2, "phase": "fine-tune"})
    lines = (new.folder / "history.csv").read_text().splitlines()
    assert lines == [
        "epoch,phase,loss,accuracy,val_loss,val_accuracy",
        "1,head,1.5,0.25,1.25,0.5",
        "2,fine-tune,1.5,0.25,1.25,0.5",
    ]
    assert (new.folder / "curves.png").exists()


def test_an_epoch_that_is_done_again_takes_the_place_of_what_was_left_of_it(new):
    for epoch in (1, 2, 3):
        new.add_epoch(ROW | {"epoch": epoch})
    new.add_epoch(ROW | {"epoch": 2, "loss": 9.0})
    lines = (new.folder / "history.csv").read_text().splitlines()
    assert [line.split(",")[0:3:2] for line in lines[1:]] == [["1", "1.5"], ["2", "9.0"]]


@pytest.mark.parametrize("what", ["state", "best"])
def test_a_file_that_cannot_be_written_leaves_the_one_before(what, new, model, monkeypatch):
    from edge.errors import FileError
    from trainer.training.checkpoints import Progress

    def write():
        return new.save(model, Progress(2)) if what == "state" else new.save_best(model, DATA)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    write()
    before = {file.name: file.read_bytes() for file in new.folder.iterdir()}
    monkeypatch.setattr("trainer.training.checkpoints.np.savez", full)
    monkeypatch.setattr("keras.Model.save", full)
    with pytest.raises(FileError, match=r"cannot be written \(No space left on device"):
        write()
    assert {file.name: file.read_bytes() for file in new.folder.iterdir()} == before
