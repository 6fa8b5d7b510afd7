"""Training batches: reproducible, augmented, shuffled, and mixed."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from edge.inference.preprocess import model_input
from edge.types import Box
from tests.support.small import DATA
from trainer.data.augmentation import NO_AUGMENTATION
from trainer.data.dataset import TRAINING
from trainer.errors import TrainingError

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]

ROWS = DATA.split(TRAINING)


@pytest.fixture(scope="module")
def module(settings):
    """The module, imported after Keras was loaded by `settings`."""
    from trainer.training import batches

    return batches


@pytest.fixture
def make_batches(module, settings):
    def make(rows=ROWS, epoch=0, **changed):
        return module.TrainingBatches(replace(settings, **changed), rows, epoch)

    return make


@pytest.fixture(scope="module")
def voted():
    """The Training rows with FER+ votes: nine for the choice with the number of the label, one for the next."""
    votes = np.zeros((len(ROWS), 10), np.uint8)
    votes[np.arange(len(ROWS)), ROWS.labels], votes[np.arange(len(ROWS)), ROWS.labels + 1] = 9, 1
    return replace(ROWS, ferplus_votes=votes)


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# --- reproducibility ------------------------------------------------------------------------------------------------


def test_batch_depends_only_on_seed_epoch_and_step(make_batches):
    assert equal(make_batches()[2], make_batches()[2])
    assert not equal(make_batches()[2], make_batches()[3])
    assert not equal(make_batches()[2], make_batches(epoch=1)[2])
    assert not equal(make_batches()[2], make_batches(seed=2)[2])


def test_batches_do_not_depend_on_threads_and_their_order(make_batches):
    results, shared = {}, make_batches()

    def make(step):
        results[step] = shared[step]

    threads = [threading.Thread(target=make, args=[step]) for step in reversed(range(len(shared)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(results[step], make_batches()[step]) for step in range(len(shared)))


def test_close_waits_for_a_batch_in_progress(make_batches, module, monkeypatch):
    started, proceed, events, shared = threading.Event(), threading.Event(), [], make_batches()

    def block(*_):
        started.set()
        proceed.wait()
        return np.zeros((32, 32), np.uint8)

    monkeypatch.setattr(module, "augment", block)
    making = threading.Thread(target=lambda: events.append((shared[0], "made")[1]))
    closing = threading.Thread(target=lambda: events.append((shared.close(), "closed")[1]))
    making.start()
    started.wait()
    closing.start()
    closing.join(0.2)  # without waiting it would end within this time
    proceed.set()
    making.join()
    closing.join()
    assert events == ["made", "closed"]


# --- content --------------------------------------------------------------------------------------------------------


def test_batch_has_gray_pixels_and_one_hot_targets(make_batches):
    pixels, targets = make_batches()[0]
    assert (pixels.shape, pixels.dtype.name) == ((16, 32, 32, 1), "uint8")
    assert targets.shape == (16, 7)
    assert targets.sum(axis=1).tolist() == [1] * 16


def test_epoch_has_each_face_once_with_its_label(make_batches):
    batches = make_batches(augmentation=NO_AUGMENTATION, input_size=48)
    pairs = [pair for step in range(len(batches)) for pair in zip(*batches[step], strict=True)]
    labels = {face.tobytes(): label for face, label in zip(ROWS.faces, ROWS.labels, strict=True)}
    assert len({pixels.tobytes() for pixels, _ in pairs}) == len(pairs) == len(ROWS)
    assert all(labels[pixels.tobytes()] == target.argmax() for pixels, target in pairs)


UNBALANCED = ROWS.take(np.concatenate([np.flatnonzero(ROWS.labels != 1), np.flatnonzero(ROWS.labels == 1)[:4]]))


def epoch_of(batches):
    """Return all pixels and targets of an epoch."""
    return [np.concatenate(parts) for parts in zip(*(batches[step] for step in range(len(batches))), strict=True)]


def test_oversampling_draws_a_rare_class_more_often(make_batches):
    # 6 classes of 16 faces and one of 4, in batches of 10: square roots 4 and 2 of 26, so 8 draws of 100.
    options = {"rows": UNBALANCED, "batch_size": 10}
    counts = epoch_of(make_batches(**options))[1].sum(axis=0)
    oversampled = epoch_of(make_batches(balance="oversample", **options))[1].sum(axis=0)
    assert counts.tolist() == [16, 4, 16, 16, 16, 16, 16]
    assert oversampled[1] == 8
    assert sorted(set(oversampled)) == [8, 15, 16]


def test_repeated_face_has_its_label_and_another_augmentation(make_batches):
    changed = {"rows": UNBALANCED, "batch_size": 100, "balance": "oversample", "input_size": 48}
    plain, targets = make_batches(augmentation=NO_AUGMENTATION, **changed)[0]
    augmented, same_targets = make_batches(**changed)[0]
    labels = {face.tobytes(): label for face, label in zip(ROWS.faces, ROWS.labels, strict=True)}
    assert [labels[face.tobytes()] for face in plain] == targets.argmax(axis=1).tolist()
    assert np.array_equal(targets, same_targets)
    assert len({face.tobytes() for face in plain}) < 100
    assert len({face.tobytes() for face in augmented}) == 100


def test_oversampled_batch_depends_only_on_seed_epoch_and_step(make_batches):
    # Without augmentation a batch differs only by the rows that are drawn.
    changed = {"rows": UNBALANCED, "balance": "oversample", "augmentation": NO_AUGMENTATION}
    assert equal(make_batches(**changed)[2], make_batches(**changed)[2])
    assert not equal(make_batches(**changed)[2], make_batches(**changed)[3])
    assert not equal(make_batches(**changed)[2], make_batches(epoch=1, **changed)[2])
    assert not equal(make_batches(**changed)[2], make_batches(seed=2, **changed)[2])


@pytest.mark.parametrize("balance", ["weights", "logit-adjusted"])
def test_balance_of_the_loss_leaves_the_batches_unchanged(balance, make_batches):
    assert equal(make_batches(UNBALANCED, balance=balance)[2], make_batches(UNBALANCED)[2])


def test_oversampled_faces_have_their_soft_targets_and_mixup(module, settings):
    changed = {"balance": "oversample", "augmentation": NO_AUGMENTATION, "batch_size": 100, "input_size": 48}
    soft = np.random.default_rng(0).dirichlet(np.ones(7), len(UNBALANCED)).astype(np.float32)
    by_face = {face.tobytes(): target for face, target in zip(UNBALANCED.faces, soft, strict=True)}
    pixels, targets = module.TrainingBatches(replace(settings, **changed), UNBALANCED, 0, soft)[0]
    assert equal(targets, [by_face[face.tobytes()] for face in pixels])
    _, mixed = module.TrainingBatches(replace(settings, mixup=0.4, **changed), UNBALANCED, 0, soft)[0]
    weight = (mixed[0, 0] - targets[-1, 0]) / (targets[0, 0] - targets[-1, 0])
    assert mixed == pytest.approx(weight * targets + (1 - weight) * targets[::-1], abs=1e-4)


@pytest.mark.parametrize(
    ("balance", "rare"), [("none", 4 / 100), ("oversample", 2 / 26), ("weights", 1 / 7), ("logit-adjusted", 1 / 7)]
)
def test_class_frequencies_are_those_that_the_balance_shows(balance, rare, make_batches):
    frequencies = make_batches(UNBALANCED, balance=balance).class_frequencies()
    assert list(frequencies) == list(UNBALANCED.class_names)
    assert list(frequencies.values()) == pytest.approx([rare if n == 1 else (1 - rare) / 6 for n in range(7)], abs=1e-6)


def test_class_frequencies_are_of_soft_targets_and_not_of_votes(module, settings, voted):
    soft = np.random.default_rng(0).dirichlet(np.ones(7), len(voted)).astype(np.float32)
    batches = module.TrainingBatches(replace(settings, ferplus_weight=0.5), voted, 0, soft)
    assert list(batches.class_frequencies().values()) == pytest.approx(soft.mean(axis=0), abs=2e-6)


def test_incomplete_batch_is_dropped_but_never_the_only_one(make_batches):
    assert [len(make_batches(batch_size=size)) for size in (50, 112, 1000)] == [2, 1, 1]
    assert len(make_batches(batch_size=1000)[0][0]) == 112


def test_model_inputs_equal_the_devices_preprocessing(module):
    inputs = module.model_inputs(ROWS, 96)
    box = Box(0, 0, 48, 48)
    expected = [model_input(face, box, padding=0, effective_resolution=48, size=96) for face in ROWS.faces]
    assert np.array_equal(inputs[..., 0], expected)


def test_faces_for_statistics_have_the_models_resolution(module):
    large = replace(ROWS, faces=np.repeat(np.repeat(ROWS.faces, 4, axis=1), 4, axis=2))
    assert np.array_equal(module.statistics_inputs(large, 96, 48), module.model_inputs(ROWS, 96))
    assert not np.array_equal(module.statistics_inputs(large, 96), module.model_inputs(ROWS, 96))


def test_training_images_are_augmented(make_batches, module):
    inputs = {pixels.tobytes() for pixels in module.model_inputs(ROWS, 96)}
    pixels, _ = make_batches(input_size=96)[0]
    assert not {face.tobytes() for face in pixels} & inputs


def test_soft_targets_replace_the_labels(module, settings):
    soft = np.full((len(ROWS), 7), 1 / 7, np.float32)
    _, targets = module.TrainingBatches(settings, ROWS, soft_targets=soft)[0]
    assert targets == pytest.approx(np.full((16, 7), 1 / 7))


def test_ferplus_is_a_second_target_of_the_same_faces(make_batches, voted):
    pixels, (labels, distributions) = make_batches(voted, ferplus_weight=0.5)[1]
    assert equal((pixels, labels), make_batches()[1])
    assert distributions.shape == (16, 10)
    assert np.array_equal(distributions.argmax(axis=1), labels.argmax(axis=1))
    assert distributions.max(axis=1) == pytest.approx(0.9)


def test_ferplus_target_without_votes_is_an_error(make_batches):
    with pytest.raises(TrainingError, match=r"^tiny\.csv: .*--ferplus"):
        make_batches(ferplus_weight=0.5)


def test_mixup_mixes_faces_and_targets_with_the_same_weight(make_batches):
    pixels, targets = make_batches(mixup=0.4, augmentation=NO_AUGMENTATION, input_size=48)[2]
    faces, labels = make_batches(augmentation=NO_AUGMENTATION, input_size=48)[2]
    assert targets.sum(axis=1) == pytest.approx(1)
    differing = labels.argmax(axis=1) != labels[::-1].argmax(axis=1)
    weight = float(targets[differing][0, labels[differing][0].argmax()])
    assert 0 < weight < 1
    assert targets == pytest.approx(weight * labels + (1 - weight) * labels[::-1], abs=1e-6)
    assert np.abs(pixels - (weight * faces + (1 - weight) * faces[::-1])).max() <= 0.51
