"""A run learns, keeps its best epoch, and goes on after any stop as if there had been none."""

import csv
import errno
import json
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.inference.preprocess import model_input
from edge.types import Box
from tests.support import faces
from tests.support.paths import ROOT
from tests.support.small import DATA
from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.errors import DataError, TrainingError
from trainer.evaluation.metrics import evaluate
from trainer.training.augmentation import OFF

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]

WITHOUT_TIMES = ("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "rate")


@pytest.fixture
def training(settings):
    """The module, imported when Keras has been loaded."""
    from trainer.training import loop as training

    return training


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def figures(folder):
    return np.array([[float(row[key]) for key in WITHOUT_TIMES] for row in history(folder)])


def weights(folder):
    """Return all that last.npz keeps of the model and its optimizer."""
    with np.load(folder / "last.npz") as state:
        return {key: state[key] for key in state if key != "progress"}


def progress(folder):
    with np.load(folder / "last.npz") as state:
        return json.loads(str(state["progress"]))


# --- a finished run -------------------------------------------------------------------------------------------------


def test_training_learns_well_above_chance(run):
    assert max(float(row["val_accuracy"]) for row in history(run)) > 0.7  # chance is 0.14


def test_the_run_folder_holds_exactly_what_the_documentation_lists(run):
    assert {file.name for file in run.iterdir()} == {
        "settings.json",
        "history.csv",
        "curves.png",
        "best.keras",
        "last.npz",
    }


def test_the_settings_tell_all_that_the_run_was_told_and_ran_on(run, settings):
    about = json.loads((run / "settings.json").read_text())
    assert about["settings"]["epochs"] == settings.epochs
    assert about["settings"]["augmentation"]["rotate"] == settings.augmentation.rotate
    assert (about["labels"], about["detail"]) == (list(DATA.class_names), 48)
    assert set(about["training"].values()) == {16}
    assert set(about["validation"].values()) == {4}
    assert set(about["versions"]) == {"python", "keras", "backend"}


def test_the_history_has_a_line_for_each_epoch_of_both_phases(run):
    rows = history(run)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5]
    assert [row["phase"] for row in rows] == ["head", *["fine-tune"] * 4]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_the_rate_of_fine_tuning_falls_to_0(run):
    rates = [float(row["rate"]) for row in history(run)[1:]]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_the_best_model_is_that_of_the_best_epoch(run):
    best = max(history(run), key=lambda row: float(row["val_accuracy"]))
    found = evaluate(run / "best.keras", DATA, PUBLIC_TEST)
    assert found.accuracy == pytest.approx(float(best["val_accuracy"]), abs=1e-5)
    assert found.loss == pytest.approx(float(best["val_loss"]), abs=1e-4)


def test_the_curves_are_a_image(run):
    assert cv2.imread(str(run / "curves.png")) is not None


# --- batches --------------------------------------------------------------------------------------------------------


@pytest.fixture
def batches(training, settings):
    def make(epoch=0, **changed):
        return training.Batches(replace(settings, **changed), DATA.split(TRAINING), epoch)

    return make


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_batch_depends_on_seed_epoch_and_step_alone(batches):
    assert same(batches()[2], batches()[2])
    assert not same(batches()[2], batches()[3])
    assert not same(batches()[2], batches(epoch=1)[2])
    assert not same(batches()[2], batches(seed=2)[2])


def test_threads_that_make_batches_in_any_order_make_the_same_ones(batches):
    made, shared = {}, batches()

    def make(step):
        made[step] = shared[step]

    threads = [threading.Thread(target=make, args=[step]) for step in reversed(range(len(shared)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(made[step], batches()[step]) for step in range(len(shared)))


def test_closing_waits_for_the_batch_in_the_making(batches, training, monkeypatch):
    begun, go_on, done, shared = threading.Event(), threading.Event(), [], batches()

    def slow(*_):
        begun.set()
        go_on.wait()
        return np.zeros((32, 32), np.uint8)

    monkeypatch.setattr(training, "augment", slow)
    making = threading.Thread(target=lambda: done.append((shared[0], "made")[1]))
    closing = threading.Thread(target=lambda: done.append((shared.close(), "closed")[1]))
    making.start()
    begun.wait()
    closing.start()
    closing.join(0.2)  # it would be through by now if it did not wait
    go_on.set()
    making.join()
    closing.join()
    assert done == ["made", "closed"]


def test_a_batch_has_raw_gray_pixels_and_one_target_a_face(batches):
    pixels, targets = batches()[0]
    assert (pixels.shape, pixels.dtype.name) == ((16, 32, 32, 1), "uint8")
    assert targets.shape == (16, 7)
    assert targets.sum(axis=1).tolist() == [1] * 16


def test_an_epoch_shows_each_face_once_with_its_own_label(batches, training):
    plain = batches(augmentation=OFF, input_size=48)
    seen = [pair for step in range(len(plain)) for pair in zip(*plain[step], strict=True)]
    rows = DATA.split(TRAINING)
    known = {face.tobytes(): label for face, label in zip(rows.faces, rows.labels, strict=True)}
    assert len({pixels.tobytes() for pixels, _ in seen}) == len(seen) == len(rows)
    assert all(known[pixels.tobytes()] == target.argmax() for pixels, target in seen)


def test_the_rest_of_an_epoch_that_fills_no_batch_is_left_out_and_another_one_each_time(batches):
    assert (len(batches(batch=50)), len(batches(batch=112)), len(batches(batch=1000))) == (2, 1, 1)
    assert len(batches(batch=1000)[0][0]) == 112


def test_training_images_are_changed_and_validation_images_are_what_the_device_sees(batches, training):
    rows = DATA.split(TRAINING)
    inputs = training.inputs_of(rows, 96)
    seen = [model_input(face, Box(0, 0, 48, 48), margin=0, detail=48, size=96) for face in rows.faces]
    assert np.array_equal(inputs[..., 0], seen)
    changed, _ = batches(input_size=96)[0]
    assert not {pixels.tobytes() for pixels in changed} & {pixels.tobytes() for pixels in inputs}


# --- phases, optimizer, averaged weights ----------------------------------------------------------------------------


@pytest.fixture
def model(training, settings):
    import keras

    keras.utils.set_random_seed(0)
    from trainer.networks import model as network

    return network.build("tiny", 32, 7, alpha=1.0, weights="none", momentum=0.9, dropout=0.3)


def values(variables):
    return [np.asarray(variable).copy() for variable in variables]


def unchanged(variables, before):
    return all(np.array_equal(variable, value) for variable, value in zip(variables, before, strict=True))


def test_the_head_learns_while_the_frozen_backbone_stays_as_it_is(model, training, settings, batches):
    training.compile_for(model, settings, training.HEAD, 7)
    backbone, head = model.get_layer("backbone"), model.get_layer("scores")
    before = values(backbone.variables), values(head.variables)  # with batch normalization's moving statistics
    model.fit(batches(), epochs=1, verbose=0)
    assert unchanged(backbone.variables, before[0])
    assert not unchanged(head.variables, before[1])


def test_fine_tuning_changes_every_layer(model, training, settings, batches):
    training.compile_for(model, settings, training.FINE, 7)
    before = values(model.trainable_variables)
    model.fit(batches(), epochs=1, verbose=0)
    assert not any(map(np.array_equal, values(model.trainable_variables), before))


def test_weight_decay_is_for_kernels_alone(model, training, settings):
    training.compile_for(model, settings, training.FINE, 7)
    decayed = {variable.path for variable in model.trainable_variables if model.optimizer._use_weight_decay(variable)}
    assert {path.rpartition("/")[2] for path in decayed} == {"kernel"}
    assert len(decayed) == 3


def test_the_rate_climbs_from_0_and_falls_to_0(training, settings):
    rate = training._cosine(replace(settings, epochs=10, warm_up=0.5, rate=1e-3), steps=100)
    at = {step: float(rate(step)) for step in (0, 25, 50, 525, 1000)}
    assert at == pytest.approx({0: 0, 25: 5e-4, 50: 1e-3, 525: 5e-4, 1000: 0}, abs=1e-8)


@pytest.fixture
def fitted(model, training, settings, batches):
    """Give a model after an epoch of fine-tuning: its averaged weights lag behind its own."""
    training.compile_for(model, replace(settings, average=0.9), training.FINE, 7)
    model.fit(batches(), epochs=1, verbose=0)
    return model


def test_averaged_puts_the_averaged_weights_in_and_everything_back(fitted, training, settings):
    images = training.inputs_of(DATA.split(TRAINING), 32)
    shadows = values(fitted.optimizer._model_variables_moving_average)
    before = values(fitted.variables), values(fitted.optimizer.variables)
    with training.averaged(fitted, images):
        assert unchanged(fitted.trainable_variables, shadows)
        assert not unchanged(fitted.variables, before[0])
    assert unchanged(fitted.variables, before[0])
    assert unchanged(fitted.optimizer.variables, before[1])


def test_averaged_puts_everything_back_after_an_error_too(fitted, training):
    before = values(fitted.variables)
    with pytest.raises(ZeroDivisionError), training.averaged(fitted, training.inputs_of(DATA.split(TRAINING), 32)):
        raise ZeroDivisionError
    assert unchanged(fitted.variables, before)


def test_averaged_measures_batch_normalization_over_all_images_alike(fitted, training):
    images = np.tile(training.inputs_of(DATA.split(TRAINING), 32), (4, 1, 1, 1))[:384]  # three batches of 128
    backbone = fitted.get_layer("backbone")
    with training.averaged(fitted, images):
        scaled = np.repeat(images / 127.5 - 1, 3, axis=3)
        seen = np.asarray(backbone.get_layer("patches")(scaled))
        norm = backbone.get_layer("patches_norm")
        assert np.asarray(norm.moving_mean) == pytest.approx(seen.mean(axis=(0, 1, 2)), rel=1e-3, abs=1e-4)
    assert norm.momentum == 0.9


def test_averaged_leaves_the_statistics_of_a_frozen_backbone_alone(model, training, settings, batches):
    training.compile_for(model, settings, training.HEAD, 7)
    model.fit(batches(), epochs=1, verbose=0)
    backbone = model.get_layer("backbone")
    before = values(backbone.variables)
    with training.averaged(model, training.inputs_of(DATA.split(TRAINING), 32)):
        assert unchanged(backbone.variables, before)


# --- stopped and resumed --------------------------------------------------------------------------------------------


@pytest.fixture
def stop(training, monkeypatch):
    """Press Ctrl-C in the middle of the given epoch (0 for the first), for the length of one call."""

    def train(settings, folder, epoch):
        with monkeypatch.context() as patch:
            batch_ends = []

            def interrupt(watch, batch, logs=None):
                batch_ends.append(batch)
                if len(batch_ends) == 7 * epoch + 3:
                    raise KeyboardInterrupt

            patch.setattr(training.Watch, "on_train_batch_end", interrupt)
            training.train(settings, DATA, folder)

    return train


@pytest.mark.parametrize("epoch", [0, 1, 3], ids=["head", "first-of-fine-tuning", "fine-tuning"])
def test_a_run_that_was_stopped_and_resumed_ends_as_one_that_was_not(epoch, run, training, settings, stop, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"^stopped; the last whole epoch is kept in .*, go on with --resume$"):
        stop(settings, folder, epoch)
    assert (progress(folder)["epochs"] if epoch else len(list(folder.iterdir()))) == (epoch or 1)
    training.train(settings, DATA, folder, resume=True)
    assert figures(folder) == pytest.approx(figures(run), abs=1e-5)
    expected, found = weights(run), weights(folder)
    assert expected.keys() == found.keys()
    assert all(found[key] == pytest.approx(expected[key], abs=1e-4) for key in expected)
    best, expected_best = (evaluate(at / "best.keras", DATA, PUBLIC_TEST) for at in (folder, run))
    assert best.loss == pytest.approx(expected_best.loss, abs=1e-4)


ENDLESS = """
from tests.support.small import add_tiny_backbone
add_tiny_backbone()
from trainer.cli import main
main()
"""


def test_ctrl_c_ends_a_process_with_one_line_and_the_last_whole_epoch(settings, tmp_path):
    table = faces.write_csv(tmp_path / "tiny.csv", DATA)
    options = ["--backbone", "tiny", "--weights", "none", "--input-size", "32", "--batch", "16", "--epochs", "99"]
    command = [sys.executable, "-c", ENDLESS, "train", "--data", table, "--run", tmp_path / "run", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        for line in process.stdout:
            if line.startswith("epoch 3/"):
                break
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 1
    assert said.splitlines()[-1] == (
        f"trainer: error: stopped; the last whole epoch is kept in {tmp_path}/run, go on with --resume"
    )
    assert "Traceback" not in said
    assert progress(tmp_path / "run")["epochs"] >= 3
    assert len(history(tmp_path / "run")) - progress(tmp_path / "run")["epochs"] in (0, 1)


def test_resuming_a_finished_run_changes_nothing_and_names_the_best_model(run, training, settings):
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    assert training.train(settings, DATA, run, resume=True) == run / "best.keras"
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_a_folder_with_a_run_in_it_is_refused_and_left_as_it_is(run, training, settings):
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    with pytest.raises(TrainingError, match=r"tiny: holds a run already; go on with --resume or name another --run$"):
        training.train(settings, DATA, run)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"epochs": 9}, "other settings: epochs 4 -> 9$"),
        ({"seed": 2, "rate": 0.1}, "other settings: rate 0.003 -> 0.1; seed 1 -> 2$"),
        ({"augmentation": OFF}, "other settings: augmentation .*'flip': False"),
        ({"data": "other.csv"}, "other settings: data tiny.csv -> other.csv$"),
    ],
)
def test_resuming_with_other_settings_is_refused_and_names_the_difference(changed, named, run, training, settings):
    with pytest.raises(TrainingError, match=f"tiny: a run cannot go on with {named}"):
        training.train(replace(settings, **changed), DATA, run, resume=True)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (faces.tiny(training=15, public=4), "training: angry 16 -> 15; disgust 16 -> 15"),
        (faces.tiny(training=16, public=3), "validation: angry 4 -> 3"),
        (faces.tiny(training=16, public=4, class_names=("b", "a")), r"labels: \['angry', .*\] -> \['b', 'a'\]$"),
    ],
)
def test_resuming_with_other_data_is_refused_and_names_the_difference(data, named, run, training, settings):
    with pytest.raises(TrainingError, match=f"tiny: a run cannot go on with other {named}"):
        training.train(settings, data, run, resume=True)


def test_there_must_be_a_run_to_resume(training, settings, tmp_path):
    with pytest.raises(TrainingError, match="no run to resume"):
        training.train(settings, DATA, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_costs_no_more_than_the_epoch_in_hand(run, training, settings, tmp_path, monkeypatch):
    folder, savez = tmp_path / "run", np.savez

    def full(file, **arrays):
        if json.loads(str(arrays["progress"]))["epochs"] == 3:
            Path(file).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr("trainer.training.checkpoints.np.savez", full)
        with pytest.raises(TrainingError, match=r"last\.npz: cannot be written \(No space left .*go on with --resume$"):
            training.train(settings, DATA, folder)
    assert progress(folder)["epochs"] == 2
    assert not list(folder.glob(".part*"))
    assert figures(folder)[:2] == pytest.approx(figures(run)[:2], abs=1e-5)


LIMITED = """
import resource, sys
from tests.support.small import add_tiny_backbone
add_tiny_backbone()
from trainer.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))  # best.keras has 145 KB, last.npz 390 KB in fine-tuning
main()
"""


def test_a_process_that_cannot_write_ends_with_one_line_and_whole_files(settings, tmp_path):
    table = faces.write_csv(tmp_path / "tiny.csv", DATA)
    options = ["--backbone", "tiny", "--weights", "none", "--input-size", "32", "--batch", "16", "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "train", "--data", table, "--run", tmp_path / "run", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"trainer: error: {tmp_path}/run/last.npz: cannot be written (File too large); "
        "the last whole epoch is kept, make room and go on with --resume"
    )
    assert "Traceback" not in done.stderr
    assert progress(tmp_path / "run")["epochs"] == 1
    assert evaluate(tmp_path / "run" / "best.keras", DATA, PUBLIC_TEST).n == 28


# --- teachers, votes, blended faces, earlier weights ----------------------------------------------------------------


@pytest.fixture(scope="module")
def voted():
    """The data with votes that follow the labels: nine for one of the ten choices, one for the next."""
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[np.arange(len(DATA)), DATA.labels], votes[np.arange(len(DATA)), DATA.labels + 1] = 9, 1
    return replace(DATA, ferplus_votes=votes)


def test_votes_are_a_second_target_of_the_same_faces(batches, training, settings, voted):
    rows = voted.split(TRAINING)
    pixels, (labels, votes) = training.Batches(replace(settings, votes=0.5), rows)[1]
    plain, alone = batches()[1]
    assert np.array_equal(pixels, plain)
    assert np.array_equal(labels, alone)
    assert votes.shape == (16, 10)
    assert np.array_equal(votes.argmax(axis=1), labels.argmax(axis=1))
    assert votes.max(axis=1) == pytest.approx(0.9)


def test_a_run_that_learns_votes_gives_a_model_of_the_labels_alone(training, settings, voted, tmp_path):
    how = replace(settings, votes=0.5, epochs=2)
    best = training.train(how, voted, tmp_path / "run")
    assert evaluate(best, DATA, PUBLIC_TEST).accuracy > 0.4  # chance is 0.14
    rows = history(tmp_path / "run")
    assert float(rows[-1]["val_accuracy"]) == pytest.approx(evaluate(best, DATA, PUBLIC_TEST).accuracy, abs=1e-5)
    assert float(rows[-1]["loss"]) > float(rows[-1]["val_loss"])  # that of the votes is in it


def test_votes_without_any_in_the_data_are_refused_before_anything_is_written(training, settings, tmp_path):
    with pytest.raises(TrainingError, match="no votes to learn from; name FER"):
        training.train(replace(settings, votes=0.5), DATA, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_blended_faces_and_targets_are_mixed_in_the_same_share(batches):
    pixels, wanted = batches(mixup=0.4, augmentation=OFF, input_size=48)[2]
    plain, alone = batches(augmentation=OFF, input_size=48)[2]
    assert wanted.sum(axis=1) == pytest.approx(1)
    differing = alone.argmax(axis=1) != alone[::-1].argmax(axis=1)
    share = float(wanted[differing][0, alone[differing][0].argmax()])
    assert 0 < share < 1
    assert wanted == pytest.approx(share * alone + (1 - share) * alone[::-1], abs=1e-6)
    assert np.abs(pixels - (share * plain + (1 - share) * plain[::-1])).max() <= 0.51


def test_a_teachers_opinion_is_in_the_targets_that_a_run_learns(run, training, settings, tmp_path, monkeypatch):
    seen, made = [], training.Batches._make

    def make(self, step):
        seen.append(self._targets[0])
        return made(self, step)

    monkeypatch.setattr(training.Batches, "_make", make)
    how = replace(settings, teachers=("tiny",), teaching=0.5, epochs=1, head_epochs=0)
    training.train(how, DATA, tmp_path / "run", teachers=[run])
    assert seen[0] == pytest.approx(training.targets.taught([run], DATA.split(TRAINING), 0.5), abs=1e-5)
    assert 0.5 < seen[0].max() < 1


def test_a_run_goes_on_from_an_earlier_runs_model(run, training, settings, tmp_path):
    how = replace(settings, epochs=1, head_epochs=0, rate=1e-6)  # so low that nothing is learned
    best = training.train(how, DATA, tmp_path / "run", weights=str(run / "best.keras"))
    assert evaluate(best, DATA, PUBLIC_TEST).accuracy == pytest.approx(
        evaluate(run / "best.keras", DATA, PUBLIC_TEST).accuracy, abs=0.08
    )


def test_fine_tuning_of_the_last_layers_leaves_the_others_as_they_are(model, training, settings, batches):
    training.compile_for(model, replace(settings, unfreeze=2), training.FINE, 7)
    backbone = model.get_layer("backbone")
    first, last = (values(backbone.get_layer(name).variables) for name in ("patches", "whole"))
    norm = values(backbone.get_layer("patches_norm").variables)
    model.fit(batches(), epochs=1, verbose=0)
    assert unchanged(backbone.get_layer("patches").variables, first)
    assert unchanged(backbone.get_layer("patches_norm").variables, norm)
    assert not unchanged(backbone.get_layer("whole").variables, last)


# --- what cannot start ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("head_epochs", -1), ("batch", 0), ("input_size", 8), ("seed", -1)]
)
def test_a_setting_out_of_range_is_named(name, value, settings):
    with pytest.raises(TrainingError, match=f"^{name} is {value}, expected at least "):
        replace(settings, **{name: value})


@pytest.mark.parametrize("missing", [TRAINING, PUBLIC_TEST])
def test_data_without_a_split_is_refused_before_anything_is_written(missing, training, settings, tmp_path):
    data = DATA.take(np.flatnonzero(DATA.splits != missing))
    with pytest.raises(DataError, match=f"no rows of split {missing}; found: "):
        training.train(settings, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_could_not_get_its_weights_leaves_nothing_behind(training, settings, tmp_path):
    with pytest.raises(TrainingError, match="no such file"):
        training.train(settings, DATA, tmp_path / "run", weights="no.h5")
    assert not (tmp_path / "run").exists()


def test_a_run_has_a_best_model_even_if_it_never_got_one_right(training, settings, tmp_path, monkeypatch):
    def all_wrong(scores, dataset):
        wrong = np.eye(7, dtype=np.float32)[(dataset.labels + 1) % 7]
        return measure(wrong, dataset)

    measure = training.measure
    monkeypatch.setattr(training, "measure", all_wrong)
    best = training.train(replace(settings, epochs=1, head_epochs=0), DATA, tmp_path / "run")
    assert evaluate(best, DATA, PUBLIC_TEST).n == 28
