"""A data set's labels: its own, some of them, or those of FER+; a model's labels decide which."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import faces
from trainer.data.dataset import FER2013_LABELS
from trainer.data.ferplus import FERPLUS_COLUMNS, FERPLUS_LABELS
from trainer.data.label_mapping import (
    FERPLUS_CLASSES,
    ferplus_majority,
    ferplus_majority_as_fer2013,
    match_labels,
    select_classes,
)
from trainer.errors import DataError

DATA = faces.tiny()


def with_votes(*votes):
    """Return as many faces as there are `votes`, each {choice: number}, all labeled angry."""
    rows = DATA.take(np.zeros(len(votes), np.int64))
    table = [[vote.get(choice, 0) for choice in FERPLUS_COLUMNS] for vote in votes]
    return replace(rows, ferplus_votes=np.array(table, np.uint8))


def names_of(dataset):
    return [dataset.class_names[label] for label in dataset.labels]


def test_selection_keeps_the_faces_in_the_given_class_order():
    found = select_classes(DATA, ("happy", "angry"))
    assert found.class_names == ("happy", "angry")
    assert found.counts() == {"happy": 6, "angry": 6}
    for label, name in enumerate(found.class_names):
        expected = DATA.faces[DATA.labels == DATA.class_names.index(name)]
        assert np.array_equal(found.faces[found.labels == label], expected)


def test_selection_keeps_splits_and_votes():
    votes = np.arange(len(DATA) * 10, dtype=np.uint8).reshape(-1, 10)
    found = select_classes(replace(DATA, ferplus_votes=votes), ("sad", "fear"))
    rows = np.isin(DATA.labels, (FER2013_LABELS.index("sad"), FER2013_LABELS.index("fear")))
    assert found.splits.tolist() == DATA.splits[rows].tolist()
    assert found.ferplus_votes is not None
    assert np.array_equal(found.ferplus_votes, votes[rows])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("happy", "glad", "calm"), r"^tiny\.csv: no class glad, calm; .*angry, .*neutral$"),
        (("happy",), "at least two"),
        (("happy", "sad", "happy"), "twice"),
    ],
)
def test_invalid_selection_is_an_error(names, reason):
    with pytest.raises(DataError, match=reason):
        select_classes(DATA, names)


def test_ferplus_label_is_the_majority_in_the_words_of_fer2013():
    found = ferplus_majority(with_votes({"contempt": 6, "neutral": 4}, {"happiness": 10}))
    assert found.class_names == FERPLUS_CLASSES
    assert set(FERPLUS_CLASSES) == {*FER2013_LABELS, "contempt"}
    assert names_of(found) == ["contempt", "happy"]


def test_ferplus_majority_excludes_ties_and_no_emotion():
    votes: tuple[dict[str, int], ...] = ({"anger": 5, "fear": 5}, {"NF": 9, "fear": 1}, {"unknown": 8}, {}, {"fear": 2})
    assert names_of(ferplus_majority(with_votes(*votes))) == ["fear"]


def test_ferplus_majority_in_fer2013_labels_excludes_contempt():
    votes = [{"sadness": 9}, {"contempt": 9}, {"anger": 9}, {"neutral": 9}, {"surprise": 9}]
    found = ferplus_majority_as_fer2013(with_votes(*votes))
    assert found.class_names == FER2013_LABELS
    assert names_of(found) == ["sad", "angry", "neutral", "surprise"]


def test_ferplus_majority_without_votes_names_the_option():
    with pytest.raises(DataError, match=r"^tiny\.csv: .*--ferplus"):
        ferplus_majority(DATA)


def test_data_matches_all_or_some_of_its_labels_in_any_order():
    assert match_labels(DATA, DATA.class_names) is DATA
    assert match_labels(DATA, ["sad", "happy"]).class_names == ("sad", "happy")
    assert match_labels(DATA, FER2013_LABELS[::-1]).counts() == DATA.counts()


@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize(("labels", "sad"), [(FERPLUS_CLASSES, "sad"), (FERPLUS_LABELS, "sadness")])
def test_model_of_ferplus_gets_the_majority_of_the_votes(labels, sad, some):
    found = match_labels(with_votes({"contempt": 9}, {"sadness": 9}), labels, some=some)  # FER2013's labels are angry
    assert found.class_names == labels
    assert names_of(found) == ["contempt", sad]


def test_model_of_ferplus_without_votes():
    with pytest.raises(DataError, match=r"^tiny\.csv: .*--ferplus"):
        match_labels(DATA, FERPLUS_CLASSES)
    assert names_of(match_labels(DATA, FERPLUS_CLASSES, some=True)) == names_of(DATA)


def test_other_labels_are_an_error_that_names_both():
    with pytest.raises(DataError, match=r"^tiny\.csv: the model's labels are calm, happy; .* angry, "):
        match_labels(DATA, ("calm", "happy"))


def test_data_with_some_labels_of_the_model_match_where_allowed():
    few = select_classes(DATA, ("sad", "happy"))
    found = match_labels(few, FER2013_LABELS, some=True)
    assert found.class_names == FER2013_LABELS
    assert {name: n for name, n in found.counts().items() if n} == {"happy": 6, "sad": 6}
    assert names_of(found) == names_of(few)
    with pytest.raises(DataError, match="the data set's are sad, happy"):
        match_labels(few, FER2013_LABELS)
    with pytest.raises(DataError, match="the model's labels are happy, calm"):
        match_labels(few, ("happy", "calm"), some=True)
