"""A run learns, keeps its best epoch, and after any stop resumes to the same result."""

import csv
import errno
import json
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support import faces
from tests.support.paths import ROOT
from tests.support.small import DATA, TINY_OPTIONS
from trainer.data.augmentation import NO_AUGMENTATION
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.errors import DataError, TrainingError
from trainer.evaluation.evaluate import evaluate

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]

COMPARED_COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "learning_rate")


@pytest.fixture(scope="module")
def loop(settings):
    """The module, imported after Keras was loaded by `settings`."""
    from trainer.training import loop

    return loop


def read_history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def compared_columns(folder):
    return np.array([[float(row[key]) for key in COMPARED_COLUMNS] for row in read_history(folder)])


def read_weights(folder):
    """Return what last.npz has of the model and its optimizer."""
    with np.load(folder / "last.npz") as state:
        return {key: state[key] for key in state if key != "progress"}


def completed_epochs(folder):
    with np.load(folder / "last.npz") as state:
        return json.loads(str(state["progress"]))["epochs"]


def read_files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def public_test(path):
    """Return the metrics of a model file on the PublicTest rows of DATA."""
    return evaluate(path, DATA, PUBLIC_TEST).model.metrics


# --- a finished run -------------------------------------------------------------------------------------------------


def test_training_learns_well_above_chance(run):
    assert max(float(row["val_accuracy"]) for row in read_history(run)) > 0.7  # chance is 0.14


def test_run_folder_has_the_documented_files(run):
    files = {file.name for file in run.iterdir()}
    assert files == {"settings.json", "history.csv", "curves.png", "best.keras", "last.npz"}


def test_settings_file_has_settings_data_and_versions(run, settings):
    saved = json.loads((run / "settings.json").read_text())
    assert saved["settings"]["epochs"] == settings.epochs
    assert saved["settings"]["augmentation"]["rotate"] == settings.augmentation.rotate
    assert (saved["labels"], saved["effective_resolution"]) == (list(DATA.class_names), 48)
    assert set(saved["training"].values()) == {16}
    assert set(saved["validation"].values()) == {4}
    assert set(saved["versions"]) == {"python", "keras", "backend"}


def test_history_has_a_line_for_each_epoch_of_both_phases(run):
    rows = read_history(run)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5]
    assert [row["phase"] for row in rows] == ["head", *["fine-tune"] * 4]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_learning_rate_of_fine_tuning_decays_to_0(run):
    rates = [float(row["learning_rate"]) for row in read_history(run)[1:]]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_best_model_is_that_of_the_best_epoch(run):
    best = max(read_history(run), key=lambda row: float(row["val_accuracy"]))
    metrics = public_test(run / "best.keras")
    assert metrics.accuracy == pytest.approx(float(best["val_accuracy"]), abs=1e-5)
    assert metrics.loss == pytest.approx(float(best["val_loss"]), abs=1e-4)


def test_curves_are_an_image(run):
    assert cv2.imread(str(run / "curves.png")) is not None


# --- phases and optimizer -------------------------------------------------------------------------------------------


@pytest.fixture
def model(loop, settings):
    import keras

    keras.utils.set_random_seed(0)
    return loop.build_model(settings, 7)


@pytest.fixture
def batches(loop, settings):
    return loop.TrainingBatches(settings, DATA.split(TRAINING))


def values(variables):
    return [np.asarray(variable).copy() for variable in variables]


def equal(variables, expected):
    return all(np.array_equal(variable, value) for variable, value in zip(variables, expected, strict=True))


def test_head_learns_while_the_backbone_is_frozen(model, loop, settings, batches):
    loop.compile_model(model, settings, "head", 7)
    backbone, head = model.get_layer("backbone"), loop.network.head(model)
    before = values(backbone.variables), values(head.variables)  # with the statistics of batch normalization
    model.fit(batches, epochs=1, verbose=0)
    assert equal(backbone.variables, before[0])
    assert not equal(head.variables, before[1])


def test_fine_tuning_changes_every_layer(model, loop, settings, batches):
    loop.compile_model(model, settings, "fine-tune", 7)
    before = values(model.trainable_variables)
    model.fit(batches, epochs=1, verbose=0)
    assert not any(map(np.array_equal, values(model.trainable_variables), before))


def test_fine_tuning_of_the_last_layers_keeps_the_others(model, loop, settings, batches):
    loop.compile_model(model, replace(settings, unfreeze=2), "fine-tune", 7)
    backbone = model.get_layer("backbone")
    layers = {name: backbone.get_layer(name) for name in ("patches", "patches_norm", "dense")}
    before = {name: values(layer.variables) for name, layer in layers.items()}
    model.fit(batches, epochs=1, verbose=0)
    assert [name for name, layer in layers.items() if not equal(layer.variables, before[name])] == ["dense"]


@pytest.mark.parametrize(("optimizer", "kernels"), [("adamw", 3), ("sgd", 3), ("adam", 0)])
def test_weight_decay_applies_only_to_kernels(optimizer, kernels, model, loop, settings):
    settings = replace(settings, optimizer=optimizer)
    loop.compile_model(model, settings, "head", 7)
    loop.compile_model(model, replace(settings, warmup_epochs=0), "fine-tune", 7)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    gradients = [np.zeros(variable.shape, np.float32) for variable in model.trainable_variables]
    model.optimizer.apply(gradients)  # without a gradient only weight decay changes a variable
    decayed = [variable for variable in model.trainable_variables if not np.all(np.asarray(variable) == 1)]
    assert [variable.path.rpartition("/")[2] for variable in decayed] == ["kernel"] * kernels


@pytest.mark.parametrize(("optimizer", "name"), [("adamw", "AdamW"), ("sgd", "SGD"), ("adam", "Adam")])
def test_every_optimizer_averages_the_weights(optimizer, name, model, loop, settings):
    loop.compile_model(model, replace(settings, optimizer=optimizer), "fine-tune", 7)
    assert type(model.optimizer).__name__ == name
    assert model.optimizer.use_ema
    assert model.optimizer.ema_momentum == settings.ema_momentum


@pytest.mark.parametrize(
    ("phase", "steps", "epochs", "momentum"),
    [("fine-tune", 448, 4, 0.998), ("fine-tune", 6, 8, 0.05 ** (1 / 48)), ("head", 6, 8, 0.05 ** (1 / 6))],
)
def test_average_of_few_steps_forgets_the_initial_weights(phase, steps, epochs, momentum, model, loop, settings):
    settings = replace(settings, ema_momentum=0.998, epochs=epochs)
    loop.compile_model(model, settings, phase, steps)
    assert model.optimizer.ema_momentum == pytest.approx(momentum)


def test_learning_rate_warms_up_and_decays_to_0(loop, settings):
    settings = replace(settings, epochs=10, warmup_epochs=0.5, learning_rate=1e-3)
    schedule = loop.learning_rate_schedule(settings, steps=100)
    rates = {step: float(schedule(step)) for step in (0, 25, 50, 525, 1000)}
    assert rates == pytest.approx({0: 0, 25: 5e-4, 50: 1e-3, 525: 5e-4, 1000: 0}, abs=1e-8)


# --- stopping and resuming ------------------------------------------------------------------------------------------


@pytest.fixture
def train_with_interrupt(loop, monkeypatch):
    """Return a function that trains and raises KeyboardInterrupt in the middle of the given epoch, from 0."""

    def train(settings, folder, epoch, data=DATA):
        with monkeypatch.context() as patch:
            steps = []

            def interrupt(_, batch, logs=None):
                steps.append(batch)
                if len(steps) == 7 * epoch + 3:
                    raise KeyboardInterrupt

            patch.setattr(loop.EpochEvaluator, "on_train_batch_end", interrupt)
            loop.train(settings, data, folder)

    return train


@pytest.mark.parametrize(
    "epoch",
    [
        pytest.param(0, marks=pytest.mark.slow, id="head"),  # nothing is resumed: two complete runs
        pytest.param(1, id="first-fine-tuning"),
        pytest.param(3, id="fine-tuning"),
    ],
)
def test_interrupted_and_resumed_run_gives_the_same_result(epoch, run, loop, settings, train_with_interrupt, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"^stopped; .*--resume$"):
        train_with_interrupt(settings, folder, epoch)
    if epoch:
        assert completed_epochs(folder) == epoch
    else:
        assert [file.name for file in folder.iterdir()] == ["settings.json"]
    loop.train(settings, DATA, folder, resume=True)
    assert compared_columns(folder) == pytest.approx(compared_columns(run), abs=1e-5)
    expected, found = read_weights(run), read_weights(folder)
    assert expected.keys() == found.keys()
    assert all(found[key] == pytest.approx(expected[key], abs=1e-4) for key in expected)
    losses = [public_test(one / "best.keras").loss for one in (folder, run)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


# 4 faces of disgust, 16 of each other class: 100 in Training.
UNBALANCED = DATA.take(
    np.setdiff1d(np.arange(len(DATA)), np.flatnonzero((DATA.splits == TRAINING) & (DATA.labels == 1))[4:])
)


@pytest.fixture(scope="module")
def balanced_run(loop, settings, tmp_path_factory):
    """Return a function that gives the settings and the folder of a finished run on UNBALANCED, trained once."""

    @cache
    def train(balance, epochs=2):
        balanced = replace(settings, balance=balance, batch_size=14, epochs=epochs, mixup=0.2)  # 7 steps
        folder = tmp_path_factory.mktemp("balanced") / "run"
        loop.train(balanced, UNBALANCED, folder)
        return balanced, folder

    return train


# The adjusted logits change the loss as the weights do.
@pytest.mark.parametrize("balance", ["oversample", "weights", pytest.param("logit-adjusted", marks=pytest.mark.slow)])
def test_balanced_run_resumes_to_the_same_result(balance, balanced_run, loop, train_with_interrupt, tmp_path):
    (settings, run), folder = balanced_run(balance), tmp_path / "run"
    with pytest.raises(TrainingError, match=r"^stopped; .*--resume$"):
        train_with_interrupt(settings, folder, 2, UNBALANCED)
    assert completed_epochs(folder) == 2
    loop.train(settings, UNBALANCED, folder, resume=True)
    assert compared_columns(folder) == pytest.approx(compared_columns(run), abs=1e-5)
    expected, found = read_weights(run), read_weights(folder)
    assert all(found[key] == pytest.approx(expected[key], abs=1e-4) for key in expected)


TRAINER = """
from tests.support.small import add_tiny_backbone
add_tiny_backbone()
from trainer.cli import main
main()
"""


def test_ctrl_c_keeps_the_last_completed_epoch(settings, tmp_path):
    table, folder = faces.write_csv(tmp_path / "tiny.csv", DATA), tmp_path / "run"
    options = ["--data", table, "--run-dir", folder, *TINY_OPTIONS, "--epochs", "99"]
    command = [sys.executable, "-c", TRAINER, "train", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        for line in process.stdout:
            if line.startswith("epoch 3/"):
                break
        process.send_signal(signal.SIGINT)
        errors = process.communicate()[1]
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("trainer: error: stopped")
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert completed_epochs(folder) >= 3
    assert len(read_history(folder)) - completed_epochs(folder) in (0, 1)


def test_resuming_a_finished_run_changes_nothing(run, loop, settings):
    before = read_files(run)
    assert loop.train(settings, DATA, run, resume=True) == run / "best.keras"
    assert read_files(run) == before


def test_second_run_in_a_folder_is_an_error_and_changes_nothing(run, loop, settings):
    before = read_files(run)
    with pytest.raises(TrainingError, match=r"tiny: .*--resume.*--run-dir"):
        loop.train(settings, DATA, run)
    assert read_files(run) == before


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"epochs": 9}, "settings: epochs 4 -> 9$"),
        ({"seed": 7, "batch_size": 8}, "settings: batch_size 16 -> 8; seed 1 -> 7$"),
        ({"augmentation": NO_AUGMENTATION}, "settings: augmentation .*'flip': False"),
        ({"data": "other.csv"}, "settings: data tiny.csv -> other.csv$"),
        ({"balance": "weights"}, "settings: balance none -> weights$"),
    ],
)
def test_resuming_with_other_settings_names_the_difference(changed, difference, run, loop, settings):
    with pytest.raises(TrainingError, match=f"tiny: .*{difference}"):
        loop.train(replace(settings, **changed), DATA, run, resume=True)


@pytest.mark.parametrize(
    ("data", "difference"),
    [
        (faces.tiny(training=15, public=4), "training: angry 16 -> 15; disgust 16 -> 15"),
        (faces.tiny(training=16, public=3), "validation: angry 4 -> 3"),
        (faces.tiny(training=16, public=4, class_names=("b", "a")), r"labels: \['angry', .*\] -> \['b', 'a'\]$"),
    ],
)
def test_resuming_with_other_data_names_the_difference(data, difference, run, loop, settings):
    with pytest.raises(TrainingError, match=f"tiny: .*{difference}"):
        loop.train(settings, data, run, resume=True)


def test_resuming_without_a_run_leaves_nothing_behind(loop, settings, tmp_path):
    with pytest.raises(TrainingError, match="no run to resume"):
        loop.train(settings, DATA, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_full_disk_keeps_the_last_completed_epoch(run, loop, settings, tmp_path, monkeypatch):
    folder, savez = tmp_path / "run", np.savez

    def fail_in_epoch_3(file, **arrays):
        if json.loads(str(arrays["progress"]))["epochs"] == 3:
            Path(file).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr("trainer.training.checkpoints.np.savez", fail_in_epoch_3)
        with pytest.raises(TrainingError, match=r"last\.npz: .*No space left .*--resume$"):
            loop.train(settings, DATA, folder)
    assert completed_epochs(folder) == 2
    assert not list(folder.glob(".part*"))
    assert compared_columns(folder)[:2] == pytest.approx(compared_columns(run)[:2], abs=1e-5)


def test_diverged_training_ends_and_writes_nothing_of_it(loop, settings, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"^the loss of epoch 1 is nan: .* lower learning rate$"):
        loop.train(replace(settings, head_epochs=0, optimizer="sgd", learning_rate=1e30), DATA, folder)
    assert [file.name for file in folder.iterdir()] == ["settings.json"]


LIMITED_TRAINER = TRAINER.replace(
    "main()\n",
    # best.keras has 145 KB, last.npz 390 KB in fine-tuning
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); main()\n",
)


@pytest.mark.slow  # a full disk, above, is tested in this process
def test_failed_write_ends_in_one_line_with_complete_files(settings, tmp_path):
    table, folder = faces.write_csv(tmp_path / "tiny.csv", DATA), tmp_path / "run"
    options = ["--data", table, "--run-dir", folder, *TINY_OPTIONS, "--epochs", "1"]
    command = [sys.executable, "-c", LIMITED_TRAINER, "train", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"trainer: error: {folder}/last.npz: cannot be written")
    assert "Traceback" not in done.stderr
    assert completed_epochs(folder) == 1
    assert public_test(folder / "best.keras").n == 28


# --- class balance --------------------------------------------------------------------------------------------------


def predict_untrained(loop, settings, balance):
    """Return the probabilities of a compiled network with random weights, always the same ones."""
    from trainer.training.batches import model_inputs

    loop.keras.utils.set_random_seed(0)
    model = loop.build_model(settings, 7)
    loop.compile_model(model, replace(settings, balance=balance), "fine-tune", 7, np.arange(1, 8) / 28)
    return model.predict(model_inputs(DATA, 32), verbose=0)


@pytest.mark.parametrize("balance", ["weights", "logit-adjusted"])
def test_balance_leaves_the_output_of_the_network_unchanged(balance, loop, settings):
    assert np.array_equal(predict_untrained(loop, settings, balance), predict_untrained(loop, settings, "none"))


@pytest.mark.parametrize("balance", ["oversample", "weights", pytest.param("logit-adjusted", marks=pytest.mark.slow)])
def test_balanced_run_saves_the_same_layers_as_any_other(balance, balanced_run, run):
    from trainer import keras_file

    folder = balanced_run(balance)[1]
    layers, expected = (keras_file.load(each / "best.keras").get_config()["layers"] for each in (folder, run))
    assert [layer["class_name"] for layer in layers] == [layer["class_name"] for layer in expected]
    best = max(read_history(folder), key=lambda row: float(row["val_accuracy"]))
    assert public_test(folder / "best.keras").loss == pytest.approx(float(best["val_loss"]), abs=1e-4)


@pytest.mark.slow  # the loss itself is tested in test_class_balance.py
@pytest.mark.parametrize("balance", ["weights", "logit-adjusted"])
def test_balanced_run_gives_a_rare_class_a_higher_probability(balance, balanced_run):
    from trainer.evaluation.prediction import open_model

    models = [open_model(balanced_run(each, epochs=6)[1] / "best.keras", DATA) for each in ("none", balance)]
    probabilities = [model.predict(DATA.split(PUBLIC_TEST))[:, 1].mean() for model in models]
    assert probabilities[1] > 1.1 * probabilities[0], probabilities


@pytest.mark.parametrize("balance", ["weights", "logit-adjusted"])
def test_balance_is_of_the_labels_and_not_of_ferplus(balance, loop, settings):
    from trainer.training.batches import model_inputs

    frequencies = np.array([0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    settings = replace(settings, ferplus_weight=0.5)
    losses = {}
    for each in ("none", balance):
        loop.keras.utils.set_random_seed(0)
        model = loop.build_model(settings, 7)
        loop.compile_model(model, replace(settings, balance=each), "head", 7, frequencies)
        rare = DATA.take(np.flatnonzero(DATA.labels > 0)[:12])
        targets = np.eye(7, dtype=np.float32)[rare.labels], np.eye(10, dtype=np.float32)[rare.labels]
        pixels = model_inputs(rare, 32)
        losses[each] = model.test_on_batch(pixels, targets, return_dict=True)
    assert losses[balance]["ferplus_loss"] == pytest.approx(losses["none"]["ferplus_loss"])
    assert abs(losses[balance]["probabilities_loss"] - losses["none"]["probabilities_loss"]) > 0.1


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_class_without_training_faces_starts_no_run(balance, loop, settings, tmp_path):
    data = DATA.take(np.flatnonzero((DATA.splits != TRAINING) | (DATA.labels != 1)))
    with pytest.raises(TrainingError, match=r"^tiny\.csv: no Training faces of disgust; "):
        loop.train(replace(settings, balance=balance), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- FER+, teachers, initial weights --------------------------------------------------------------------------------


def test_run_with_ferplus_gives_a_model_of_the_labels_only(loop, settings, tmp_path):
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[np.arange(len(DATA)), DATA.labels] = 10
    settings = replace(settings, ferplus_weight=0.5, epochs=2)
    best = loop.train(settings, replace(DATA, ferplus_votes=votes), tmp_path / "run")
    metrics = public_test(best)
    assert metrics.accuracy > 0.4  # chance is 0.14
    last = read_history(tmp_path / "run")[-1]
    assert float(last["val_accuracy"]) == pytest.approx(metrics.accuracy, abs=1e-5)
    assert float(last["loss"]) > float(last["val_loss"])  # it includes the loss of FER+'s head


def test_run_without_votes_has_no_ferplus_loss(loop, settings, tmp_path):
    settings = replace(settings, ferplus_weight=0.5, epochs=1, head_epochs=0)
    loop.train(settings, DATA, tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert saved["settings"]["ferplus_weight"] == 0


def test_run_learns_the_soft_targets_of_its_teachers(run, loop, settings, tmp_path, monkeypatch):
    from trainer.training.batches import TrainingBatches

    used = []

    class RecordedBatches(TrainingBatches):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            used.append(arguments[-1])

    monkeypatch.setattr(loop, "TrainingBatches", RecordedBatches)
    settings = replace(settings, teachers=(run,), distill_weight=0.5, epochs=1, head_epochs=0)
    loop.train(settings, DATA, tmp_path / "run")
    rows = DATA.split(TRAINING)
    expected = loop.soft_targets(loop.one_hot(rows), loop.teacher_predictions([run], rows), 0.5)
    assert used[0] == pytest.approx(expected, abs=1e-5)
    assert 0.5 < used[0].max() < 1


def test_resumed_run_reads_what_its_teachers_predicted(run, loop, settings, tmp_path, monkeypatch, caplog):
    settings = replace(settings, teachers=(run,), epochs=1, head_epochs=0)
    loop.train(settings, DATA, tmp_path / "run")
    assert "mean of 1 teachers: PublicTest accuracy" in caplog.text
    before = read_files(tmp_path / "run" / "teachers")
    (tmp_path / "run" / "last.npz").unlink()  # as if the run had stopped in its first epoch
    monkeypatch.setattr("trainer.training.teachers.open_model", None)
    loop.train(settings, DATA, tmp_path / "run", resume=True)
    assert len(before) == 2  # Training and PublicTest
    assert read_files(tmp_path / "run" / "teachers") == before


def test_runs_share_the_predictions_in_a_cache(run, loop, settings, tmp_path):
    settings, cache = replace(settings, teachers=(run,), epochs=1, head_epochs=0), tmp_path / "cache"
    loop.train(settings, DATA, tmp_path / "run", teacher_cache=cache)
    assert len(list(cache.iterdir())) == 2
    assert not (tmp_path / "run" / "teachers").exists()


def test_doubtful_rows_are_dropped_with_their_targets(run, loop, settings, tmp_path, caplog):
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[5, 9] = 10  # a Training face that is no face
    data = replace(DATA, ferplus_votes=votes)
    settings = replace(settings, ferplus_clean="drop", epochs=1, head_epochs=0, teachers=(run,), batch_size=111)
    loop.train(settings, data, tmp_path / "run")
    assert "left out: 1 of 112 Training faces" in caplog.text
    saved = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert sum(saved["training"].values()) == 111
    assert sum(saved["validation"].values()) == 28


@pytest.mark.parametrize(
    ("mode", "rows", "largest"), [("none", 112, 1), ("drop", 111, 1), ("soften", 112, 0.5 + 0.5 / 7)]
)
def test_cleaning_decides_rows_and_targets(mode, rows, largest, loop, settings):
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[5, 9] = 10
    training = replace(DATA, ferplus_votes=votes).split(TRAINING)
    kept, targets = loop.label_targets(replace(settings, ferplus_clean=mode), training)
    assert (len(kept), len(targets)) == (rows, 112)
    assert targets[5].max() == pytest.approx(largest)


def test_cleaning_without_votes_starts_no_run(loop, settings, tmp_path):
    with pytest.raises(TrainingError, match="--ferplus"):
        loop.train(replace(settings, ferplus_clean="drop"), DATA, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_run_starts_from_the_weights_of_an_earlier_run(run, loop, settings, tmp_path):
    # With this learning rate nothing is learned.
    start = {"weights": str(run / "best.keras"), "epochs": 1, "head_epochs": 0, "learning_rate": 1e-6}
    best = loop.train(replace(settings, **start), DATA, tmp_path / "run")
    assert public_test(best).accuracy == pytest.approx(public_test(run / "best.keras").accuracy, abs=0.08)


def test_mixed_precision_run_gives_a_float32_model(loop, settings, tmp_path):
    from trainer import keras_file

    settings = replace(settings, precision="mixed_bfloat16", epochs=2, head_epochs=0)
    try:
        best = loop.train(settings, DATA, tmp_path / "run")
    finally:
        loop.keras.mixed_precision.set_global_policy("float32")
    backbone = keras_file.load(best).get_layer("backbone")
    assert {layer.compute_dtype for layer in (backbone, *backbone.layers)} == {"float32"}
    last = read_history(tmp_path / "run")[-1]
    assert public_test(best).accuracy == pytest.approx(float(last["val_accuracy"]), abs=0.15)


# --- progressive input sizes, epochs that are kept ------------------------------------------------------------------


@pytest.fixture(scope="module")
def progressive(settings):
    """Settings of a run at 16, then 24, then 32 pixels."""
    return replace(settings, backbone="small_cnn", alpha=0.25, progressive_sizes="16:1,24:1", epochs=3, keep_epochs=1)


@pytest.fixture(scope="module")
def progressive_run(progressive, loop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("progressive") / "run"
    loop.train(progressive, DATA, folder)
    return folder


def test_input_grows_over_the_epochs_and_the_schedule_goes_on(progressive_run, progressive, loop):
    rows = read_history(progressive_run)
    assert [(row["phase"], row["input_size"]) for row in rows] == [
        ("head", "16"),
        ("fine-tune", "16"),
        ("fine-tune", "24"),
        ("fine-tune", "32"),
    ]
    schedule = loop.learning_rate_schedule(progressive, 7)
    expected = [float(schedule(steps)) for steps in (7, 14, 21)]
    assert [float(row["learning_rate"]) for row in rows[1:]] == pytest.approx(expected, abs=1e-7)


def test_best_model_of_a_progressive_run_has_the_last_size(progressive_run):
    from trainer import keras_file

    assert keras_file.load(progressive_run / "best.keras").input_shape == (None, 32, 32, 1)
    last = read_history(progressive_run)[-1]
    assert public_test(progressive_run / "best.keras").accuracy == pytest.approx(float(last["val_accuracy"]), abs=1e-5)


def test_kept_epoch_is_the_evaluated_model(progressive_run):
    assert [file.name for file in (progressive_run / "epochs").iterdir()] == ["004.keras"]
    last = read_history(progressive_run)[-1]
    loss = public_test(progressive_run / "epochs" / "004.keras").loss
    assert loss == pytest.approx(float(last["val_loss"]), abs=1e-4)


@pytest.mark.parametrize(
    "epoch", [pytest.param(2, marks=pytest.mark.slow, id="before-24"), pytest.param(3, id="before-32")]
)
def test_progressive_run_resumes_to_the_same_result(
    epoch, progressive, progressive_run, loop, train_with_interrupt, tmp_path
):
    with pytest.raises(TrainingError, match=r"^stopped; .*--resume$"):
        train_with_interrupt(progressive, tmp_path / "run", epoch)
    loop.train(progressive, DATA, tmp_path / "run", resume=True)
    assert compared_columns(tmp_path / "run") == pytest.approx(compared_columns(progressive_run), abs=1e-5)
    expected, found = read_weights(progressive_run), read_weights(tmp_path / "run")
    assert all(found[key] == pytest.approx(expected[key], abs=1e-4) for key in expected)


def test_size_that_the_backbone_cannot_take_starts_no_run(loop, settings, tmp_path):
    settings = replace(settings, backbone="mobilenet_v2", input_size=48, progressive_sizes="16:1")
    with pytest.raises(TrainingError, match="mobilenet_v2 needs an input size of at least 32, found 16"):
        loop.train(settings, DATA, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- runs that cannot start -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [TRAINING, PUBLIC_TEST])
def test_missing_split_leaves_nothing_behind(missing, loop, settings, tmp_path):
    data = DATA.take(np.flatnonzero(DATA.splits != missing))
    with pytest.raises(DataError, match=f"no rows of split {missing}; "):
        loop.train(settings, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_missing_weights_leave_nothing_behind(loop, settings, tmp_path):
    with pytest.raises(TrainingError, match="no such file"):
        loop.train(replace(settings, weights="no.h5"), DATA, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_run_has_a_best_model_even_with_accuracy_0(loop, settings, tmp_path, monkeypatch):
    from trainer.evaluation.metrics import compute_metrics

    def all_wrong(_, dataset):
        return compute_metrics(np.eye(7, dtype=np.float32)[(dataset.labels + 1) % 7], dataset)

    monkeypatch.setattr("trainer.training.callbacks.compute_metrics", all_wrong)
    best = loop.train(replace(settings, epochs=1, head_epochs=0), DATA, tmp_path / "run")
    assert public_test(best).n == 28
