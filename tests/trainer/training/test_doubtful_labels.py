"""Rows whose label FER+'s annotators contradict are found by their votes, and their labels softened."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import faces
from trainer.data.ferplus import FERPLUS_COLUMNS
from trainer.data.label_mapping import ferplus_majority
from trainer.errors import TrainingError
from trainer.training.doubtful_labels import find_doubtful, softened_targets
from trainer.training.targets import one_hot

DATA = faces.tiny(training=1, public=1, private=0)  # 14 faces, labels 0 to 6 twice
ANGRY, HAPPY = DATA.class_names.index("angry"), DATA.class_names.index("happy")


def voted(**votes):
    """Return DATA with these votes for its first face, which is angry; the others have none."""
    table = np.zeros((len(DATA), 10), np.uint8)
    for name, n in votes.items():
        table[0, FERPLUS_COLUMNS.index(name)] = n
    return replace(DATA, ferplus_votes=table)


@pytest.mark.parametrize(
    ("votes", "unreadable", "mislabeled"),
    [
        ({"NF": 10}, True, False),
        ({"NF": 3, "unknown": 3, "anger": 4}, True, False),
        ({"NF": 5, "anger": 5}, False, False),
        ({"happiness": 10}, False, True),
        ({"happiness": 8, "unknown": 2}, False, True),
        ({"happiness": 7, "sadness": 3}, False, False),  # the annotators do not agree
        ({"happiness": 9, "anger": 1}, False, False),  # one saw what the label says
        ({"anger": 10}, False, False),
        ({"contempt": 9, "neutral": 1}, False, True),
        ({}, False, False),
    ],
)
def test_votes_tell_which_rows_are_doubtful(votes, unreadable, mislabeled):
    doubtful = find_doubtful(voted(**votes))
    assert doubtful.unreadable.tolist() == [unreadable] + [False] * 13
    assert doubtful.mislabeled.tolist() == [mislabeled] + [False] * 13
    assert str(doubtful).startswith(f"{unreadable + mislabeled} of 14 Training faces: {int(unreadable)} without")


def test_softened_target_is_the_mean_of_label_and_votes():
    data = voted(happiness=8, unknown=2)
    targets = softened_targets(data, find_doubtful(data).rows)
    assert targets[0, ANGRY] == pytest.approx(0.5 + 0.5 * 0.2 / 7)
    assert targets[0, HAPPY] == pytest.approx(0.5 * (0.8 + 0.2 / 7))
    assert targets.sum(axis=1) == pytest.approx(np.ones(14))
    assert np.array_equal(targets[1:], one_hot(data)[1:])


def test_no_face_is_softened_towards_all_labels():
    data = voted(NF=10)
    target = softened_targets(data, find_doubtful(data).rows)[0]
    assert target[ANGRY] == pytest.approx(0.5 + 0.5 / 7)
    assert np.delete(target, ANGRY) == pytest.approx(np.full(6, 0.5 / 7))


@pytest.mark.parametrize("words", ["FER2013's", "FER+'s own"])
def test_labels_of_ferplus_itself_are_not_doubtful(words):
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[np.arange(14), np.arange(14) % 8] = 10
    relabeled = ferplus_majority(replace(DATA, ferplus_votes=votes))
    if words == "FER+'s own":
        relabeled = replace(relabeled, class_names=FERPLUS_COLUMNS[:8])
    assert not find_doubtful(relabeled).rows.any()


def test_data_without_votes_names_the_option():
    with pytest.raises(TrainingError, match=r"^tiny\.csv: .*--ferplus"):
        find_doubtful(DATA)


def test_class_that_ferplus_does_not_know_is_named():
    data = replace(voted(), class_names=("angry", "bored", *DATA.class_names[2:]))
    with pytest.raises(TrainingError, match=r"^tiny\.csv: .*bored$"):
        find_doubtful(data)
