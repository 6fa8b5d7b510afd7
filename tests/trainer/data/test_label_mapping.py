"""A data set is read by its own labels, some of them, or those of FER+; a model decides which fit."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import faces
from trainer.data import label_mapping
from trainer.data.dataset import FER2013_LABELS
from trainer.data.ferplus import FERPLUS_COLUMNS
from trainer.errors import DataError

DATA = faces.tiny()


def voted(*votes):
    """Return as many faces as there are `votes`, each {choice: number}, all labeled angry."""
    rows = DATA.take(np.zeros(len(votes), np.int64))
    table = [[vote.get(choice, 0) for choice in FERPLUS_COLUMNS] for vote in votes]
    return replace(rows, votes=np.array(table, np.uint8))


def test_a_subset_keeps_the_faces_of_its_classes_in_the_order_that_is_named():
    found = label_mapping.select_classes(DATA, ("happy", "angry"))
    assert found.class_names == ("happy", "angry")
    assert found.counts() == {"happy": 6, "angry": 6}
    for place, name in enumerate(found.class_names):
        kept, all_of_it = found.faces[found.labels == place], DATA.faces[DATA.labels == DATA.class_names.index(name)]
        assert np.array_equal(kept, all_of_it)


def test_a_subset_takes_splits_and_votes_along():
    data = replace(DATA, ferplus_votes=np.arange(len(DATA) * 10, dtype=np.uint8).reshape(-1, 10))
    found, rows = label_mapping.select_classes(data, ("sad", "fear")), np.isin(data.labels, (FER2013_LABELS.index("sad"), 2))
    assert found.splits.tolist() == data.splits[rows].tolist()
    assert found.votes is not None
    assert data.votes is not None
    assert np.array_equal(found.votes, data.votes[rows])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("happy", "glad", "calm"), r"tiny\.csv: no class glad, calm; there are angry, .*neutral$"),
        (("happy",), "at least two"),
        (("happy", "sad", "happy"), "none of them twice"),
    ],
)
def test_a_subset_that_cannot_be_is_refused(names, said):
    with pytest.raises(DataError, match=said):
        label_mapping.select_classes(DATA, names)


def test_ferplus_labels_are_what_most_voters_said():
    found = label_mapping.ferplus_majority(voted({"contempt": 6, "neutral": 4}, {"happiness": 10}))
    assert found.class_names == ferplus.FERPLUS_LABELS == FERPLUS_COLUMNS[:8]
    assert [found.class_names[label] for label in found.labels] == ["contempt", "happiness"]


def test_ferplus_leaves_out_ties_and_what_is_no_emotion():
    found = label_mapping.ferplus_majority(voted({"anger": 5, "fear": 5}, {"NF": 9, "fear": 1}, {"unknown": 8}, {}, {"fear": 2}))
    assert [found.class_names[label] for label in found.labels] == ["fear"]


def test_ferplus_can_be_read_by_fer2013s_names_without_contempt():
    votes = [{"sadness": 9}, {"contempt": 9}, {"anger": 9}, {"neutral": 9}, {"surprise": 9}]
    found = label_mapping.ferplus_majority_as_fer2013(voted(*votes))
    assert found.class_names == FER2013_LABELS
    assert [found.class_names[label] for label in found.labels] == ["sad", "angry", "neutral", "surprise"]


def test_without_votes_ferplus_is_refused_with_what_to_do():
    with pytest.raises(DataError, match=r"tiny\.csv: no votes; name FER\+'s fer2013new\.csv by --ferplus$"):
        label_mapping.ferplus_majority(DATA)


def test_data_fits_a_model_of_all_or_some_of_its_classes_in_any_order():
    assert label_mapping.match_labels(DATA, DATA.class_names) is DATA
    assert label_mapping.match_labels(DATA, ["sad", "happy"]).class_names == ("sad", "happy")
    assert label_mapping.match_labels(DATA, FER2013_LABELS[::-1]).counts() == DATA.counts()


def test_data_with_votes_fits_a_model_of_ferplus_labels():
    assert label_mapping.match_labels(voted({"contempt": 9}), ferplus.FERPLUS_LABELS).class_names == ferplus.FERPLUS_LABELS


def test_data_of_other_classes_is_refused_with_both():
    with pytest.raises(DataError, match=r"^tiny\.csv: the model's labels are calm, happy; the data set's are angry, "):
        label_mapping.match_labels(DATA, ("calm", "happy"))
