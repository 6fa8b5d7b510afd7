"""Class balance: how often each class is drawn, and weights and offsets of the loss by class frequency."""

import numpy as np
import pytest

from benchmarks import class_balance
from tests.support import faces
from tests.support.small import DATA, add_tiny_backbone
from trainer.errors import TrainingError
from trainer.training.class_balance import (
    MAX_WEIGHT_RATIO,
    class_weights,
    learned_frequencies,
    logit_offsets,
    oversampled_rows,
    require_every_class,
)

COUNTS = np.array([400, 100, 25])  # square roots 20, 10, 5: of 525 draws 300, 150, 75
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(3), COUNTS))


def draw(seed=0):
    return oversampled_rows(LABELS, np.random.default_rng(seed))


def test_classes_are_drawn_by_the_square_root_of_their_faces():
    assert np.bincount(LABELS[draw()]).tolist() == [300, 150, 75]


def test_a_class_of_one_face_is_drawn_and_an_empty_one_is_not():
    labels = np.array([0] * 30 + [2])
    drawn = labels[oversampled_rows(labels, np.random.default_rng(0))]
    assert np.bincount(drawn).tolist() == [26, 0, 5]  # 31 * sqrt(30) / (sqrt(30) + 1) = 26.2


def test_epoch_keeps_its_length_with_many_classes():
    for counts in np.random.default_rng(0).integers(1, 200, (40, 8)):  # the fractions of eight classes rarely add up
        labels = np.repeat(np.arange(8), counts)
        assert len(oversampled_rows(labels, np.random.default_rng(0))) == len(labels), counts


def test_faces_of_a_class_are_drawn_equally_often():
    times = np.bincount(draw(), minlength=len(LABELS))
    assert set(times[LABELS == 0]) == {0, 1}
    assert set(times[LABELS == 1]) == {1, 2}
    assert set(times[LABELS == 2]) == {3}


def test_another_epoch_draws_other_faces_in_another_order():
    one, other = set(draw(1)), set(draw(2))
    assert np.array_equal(draw(1), draw(1))
    assert one != other
    assert len(one | other) > len(one)


def test_drawn_rows_are_shuffled():
    drawn = LABELS[draw()]
    thirds = [np.bincount(part, minlength=3) for part in np.split(drawn, 3)]
    assert np.array(thirds) == pytest.approx(np.tile([100, 50, 25], (3, 1)), abs=20)


ONE_HOT = np.eye(3)[LABELS]
FREQUENCIES = COUNTS / COUNTS.sum()


def test_model_learns_the_frequencies_of_its_data():
    assert learned_frequencies(ONE_HOT, LABELS, "none") == pytest.approx(FREQUENCIES)


def test_model_learns_the_frequencies_of_the_oversampled_faces():
    drawn = np.bincount(LABELS[draw()]) / len(LABELS)
    assert learned_frequencies(ONE_HOT, LABELS, "oversample") == pytest.approx(drawn)


def test_model_learns_the_weighted_frequencies():
    weighted = FREQUENCIES * class_weights(FREQUENCIES)
    assert learned_frequencies(ONE_HOT, LABELS, "weights") == pytest.approx(weighted / weighted.sum())
    assert weighted[2] < weighted[1]  # its weight is limited


def test_model_of_adjusted_logits_learns_equal_frequencies():
    assert learned_frequencies(ONE_HOT, LABELS, "logit-adjusted") == pytest.approx([1 / 3] * 3)


def test_model_learns_the_frequencies_of_soft_targets():
    targets = 0.5 * ONE_HOT + 0.5 * np.array([0.2, 0.3, 0.5])
    learned = learned_frequencies(targets, LABELS, "none")
    assert learned == pytest.approx(0.5 * FREQUENCIES + 0.5 * np.array([0.2, 0.3, 0.5]))


def test_balanced_model_learns_the_frequencies_of_soft_targets():
    targets = 0.1 * ONE_HOT + 0.9 * np.array([0.2, 0.3, 0.5])  # for each face the last class is the most probable
    drawn = np.bincount(LABELS[draw()]) / len(LABELS)
    oversampled = 0.1 * drawn + 0.9 * np.array([0.2, 0.3, 0.5])
    assert learned_frequencies(targets, LABELS, "oversample") == pytest.approx(oversampled)
    weighted = (targets @ class_weights(targets.mean(axis=0))) @ targets
    assert learned_frequencies(targets, LABELS, "weights") == pytest.approx(weighted / weighted.sum())


def test_class_weights_are_inverse_frequencies_with_a_mean_of_1():
    frequencies = np.array([0.5, 0.3, 0.2])
    weights = class_weights(frequencies)
    assert weights == pytest.approx([1 / 1.5, 1 / 0.9, 1 / 0.6])
    assert frequencies @ weights == pytest.approx(1)


def test_class_weights_are_capped_and_keep_their_mean():
    frequencies = np.array([0.7, 0.28, 0.02])  # without a cap the last weighs 35 times the first
    weights = class_weights(frequencies)
    assert weights[2] / weights[0] == pytest.approx(MAX_WEIGHT_RATIO)
    assert weights[1] / weights[0] == pytest.approx(2.5)
    assert frequencies @ weights == pytest.approx(1)


def test_logit_offsets_are_the_logarithms_of_the_frequencies():
    assert logit_offsets(np.array([0.5, 0.4, 0.1])) == pytest.approx([-0.693147, -0.916291, -2.302585])


def test_classes_without_training_faces_are_named():
    data = faces.tiny(training=2, public=0, private=0)
    require_every_class(data)
    require_every_class(data.take(np.unique(data.labels, return_index=True)[1]))  # one face of each class is enough
    few = data.take(np.flatnonzero(data.labels % 3 != 1))
    with pytest.raises(TrainingError, match=r"^tiny\.csv: no Training faces of disgust, sad; .*--classes"):
        require_every_class(few)


@pytest.mark.keras
@pytest.mark.slow
def test_benchmark_trains_each_balance_once(tmp_path, capsys):
    table = faces.write_csv(tmp_path / "fer2013.csv", DATA)
    out, folder = tmp_path / "table.md", tmp_path / "runs"
    options = ["--backbone", add_tiny_backbone(), "--weights", "none", "--epochs", "1", "--folder", str(folder)]
    command = ["--data", str(table), "--out", str(out), *options]
    class_balance.main(command)
    lines = out.read_text().splitlines()
    assert lines[0].endswith("| recall of angry |")  # all classes have the same number of faces: the first one
    assert [line.split("`")[1] for line in lines[2:]] == ["none", "oversample", "weights", "logit-adjusted"]
    assert all(len(line.split("|")) == 7 for line in lines)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    class_balance.main(command)  # every run is complete: only the table is written again
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert capsys.readouterr().out.endswith(out.read_text())


def test_benchmark_names_the_rarest_class():
    data = faces.tiny(training=2, public=1, private=0)
    fewer = data.take(np.delete(np.arange(len(data)), 1))  # the first face of disgust
    assert class_balance.rarest_class(fewer) == "disgust"
