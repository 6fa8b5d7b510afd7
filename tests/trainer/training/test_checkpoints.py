"""A run folder holds complete files after each epoch, and resumes only with the settings it was started with."""

import json

import numpy as np
import pytest

from tests.support.small import DATA
from trainer.errors import TrainingError

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]

SETTINGS = {
    "settings": {"epochs": 4, "seed": 1},
    "labels": ["a", "b"],
    "effective_resolution": 48,
    "training": {"a": 3, "b": 4},
    "validation": {"a": 1, "b": 1},
    "versions": {"keras": "3.10"},
}
ROW = {"epoch": 1, "phase": "head", "loss": 1.5, "accuracy": 0.25, "val_loss": 1.25, "val_accuracy": 0.5}


@pytest.fixture(scope="module")
def checkpoints(settings):
    """The module, imported after Keras was loaded by `settings`."""
    from trainer.training import checkpoints

    return checkpoints


@pytest.fixture
def new(checkpoints, tmp_path):
    """An empty run folder."""
    return checkpoints.RunDirectory(tmp_path / "new")


@pytest.fixture
def model():
    import keras

    keras.utils.set_random_seed(0)
    pixels = keras.Input((4,))
    model = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Dense(8)(pixels)))
    model.compile(keras.optimizers.AdamW(0.01, use_ema=True), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def train_step(model):
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.random((8, 4)), rng.random((8, 2)))


def values(model):
    return [np.asarray(variable).copy() for variable in (*model.variables, *model.optimizer.variables)]


# --- starting and resuming ------------------------------------------------------------------------------------------


def test_settings_are_saved_as_given(new):
    new.save_settings(SETTINGS)
    assert json.loads((new.folder / "settings.json").read_text()) == SETTINGS


def test_second_run_in_a_folder_is_an_error(new):
    assert new.begin().epochs == 0
    new.save_settings(SETTINGS)
    with pytest.raises(TrainingError, match=r"new: .*--resume.*--run-dir"):
        new.begin()


def test_run_without_a_completed_epoch_resumes_at_the_start(new):
    new.save_settings(SETTINGS)
    assert new.resume(SETTINGS).epochs == 0


@pytest.mark.parametrize("other", [{}, {"versions": {"keras": "4.0"}}], ids=["same", "other-versions"])
def test_run_resumes_after_its_last_completed_epoch(other, new, model, checkpoints):
    new.save_settings(SETTINGS)
    new.save(model, checkpoints.Progress(3, 0.75, 12.5))
    assert new.resume(SETTINGS | other) == checkpoints.Progress(3, 0.75, 12.5)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"settings": {"epochs": 5, "seed": 1}}, "settings: epochs 4 -> 5"),
        ({"settings": {"epochs": 4, "seed": 1, "new": 2}}, "settings: new None -> 2"),
        ({"labels": ["a", "c"]}, r"labels: \['a', 'b'\] -> \['a', 'c'\]"),
        ({"effective_resolution": 64}, "effective_resolution: 48 -> 64"),
        ({"training": {"a": 3, "b": 9}}, "training: b 4 -> 9"),
        ({"validation": {"a": 1, "b": 9}}, "validation: b 1 -> 9"),
    ],
)
def test_resuming_with_other_settings_names_the_difference(other, difference, new):
    new.save_settings(SETTINGS)
    with pytest.raises(TrainingError, match=f"new: .*{difference}$"):
        new.resume(SETTINGS | other)


@pytest.mark.parametrize("file", ["settings.json", "last.npz"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"PK\3\4"])
def test_resuming_from_a_damaged_file_names_it(file, content, new):
    new.save_settings(SETTINGS)
    (new.folder / file).write_bytes(content)
    with pytest.raises(TrainingError, match=rf"new/{file}: damaged.*--weights .*new/best\.keras"):
        new.resume(SETTINGS)


def test_weights_that_are_damaged_are_named(new, model, checkpoints):
    new.save(model, checkpoints.Progress(1))
    content = bytearray((new.folder / "last.npz").read_bytes())
    content[200] ^= 255  # in the first array
    (new.folder / "last.npz").write_bytes(content)
    with pytest.raises(TrainingError, match=r"new/last\.npz: damaged"):
        new.restore(model, optimizer=True)


def test_resuming_a_run_with_old_keys_names_the_migration(new):
    old = {("detail" if key == "effective_resolution" else key): value for key, value in SETTINGS.items()}
    new.save_settings(old)
    with pytest.raises(TrainingError, match=r"new: .*trainer\.migrate"):
        new.resume(SETTINGS)


def test_resuming_without_a_run_is_an_error(new):
    with pytest.raises(TrainingError, match=r"new: .*settings\.json.*--resume"):
        new.resume(SETTINGS)


# --- weights --------------------------------------------------------------------------------------------------------


def test_restore_loads_weights_and_optimizer(new, model, checkpoints):
    train_step(model)
    saved = values(model)
    new.save(model, checkpoints.Progress(1))
    train_step(model)
    assert not all(map(np.array_equal, values(model), saved))
    new.restore(model, optimizer=True)
    assert all(map(np.array_equal, values(model), saved))


def test_restore_can_leave_the_optimizer_unchanged(new, model, checkpoints):
    train_step(model)
    saved = values(model)
    new.save(model, checkpoints.Progress(1))
    train_step(model)
    optimizer = values(model)[len(model.variables) :]
    new.restore(model, optimizer=False)
    assert all(map(np.array_equal, values(model)[: len(model.variables)], saved))
    assert all(map(np.array_equal, values(model)[len(model.variables) :], optimizer))


def test_best_model_is_saved_without_its_optimizer(new, model):
    import keras

    train_step(model)
    new.save_model(new.best, model, DATA, {})
    loaded = keras.saving.load_model(new.best)
    assert getattr(loaded, "optimizer", None) is None
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))


# --- history --------------------------------------------------------------------------------------------------------


def test_history_gets_a_line_per_epoch(new):
    new.add_epoch(ROW)
    new.add_epoch(ROW | {"epoch": 2, "phase": "fine-tune"})
    assert (new.folder / "history.csv").read_text().splitlines() == [
        "epoch,phase,loss,accuracy,val_loss,val_accuracy",
        "1,head,1.5,0.25,1.25,0.5",
        "2,fine-tune,1.5,0.25,1.25,0.5",
    ]


def test_repeated_epoch_replaces_it_and_the_later_ones(new):
    for epoch in (1, 2, 3):
        new.add_epoch(ROW | {"epoch": epoch})
    new.add_epoch(ROW | {"epoch": 2, "loss": 9.0})
    lines = (new.folder / "history.csv").read_text().splitlines()
    assert [line.split(",")[0:3:2] for line in lines[1:]] == [["1", "1.5"], ["2", "9.0"]]


@pytest.mark.parametrize("file", ["last.npz", "best.keras"])
def test_failed_write_keeps_the_previous_file(file, new, model, checkpoints, monkeypatch):
    from edge.errors import FileError

    def write():
        if file == "last.npz":
            new.save(model, checkpoints.Progress(2))
        else:
            new.save_model(new.best, model, DATA, {})

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    write()
    before = {path.name: path.read_bytes() for path in new.folder.iterdir()}
    monkeypatch.setattr("trainer.training.checkpoints.np.savez", fail)
    monkeypatch.setattr("keras.Model.save", fail)
    with pytest.raises(FileError, match=f"{file}: .*No space left on device"):
        write()
    assert {path.name: path.read_bytes() for path in new.folder.iterdir()} == before
