"""A data set of hundreds of thousands of faces is in memory once; faces in two splits are counted."""

from dataclasses import replace

import numpy as np

from tests.support import faces
from trainer.data.dataset import PUBLIC_TEST, TRAINING, DatasetBuilder

DATA = faces.tiny()


def test_rows_that_follow_each_other_are_not_copied():
    training = DATA.split(TRAINING)
    assert np.shares_memory(training.faces, DATA.faces)
    assert np.shares_memory(training.take(np.arange(len(training))).faces, DATA.faces)
    assert faces.content(training) == faces.content(DATA.take(np.flatnonzero(DATA.splits == TRAINING)[::-1]))


def test_rows_in_any_order_are_taken():
    rows = np.array([5, 3, 4, 40])
    taken = DATA.take(rows)
    assert np.array_equal(taken.faces, DATA.faces[rows])
    assert taken.labels.tolist() == DATA.labels[rows].tolist()
    assert len(DATA.take(np.empty(0, np.int64))) == 0


def test_faces_that_are_in_training_too_are_counted():
    copies = replace(DATA, faces=DATA.faces.copy())
    copies.faces[DATA.splits == PUBLIC_TEST] = DATA.faces[DATA.splits == TRAINING][3:17]
    assert not DATA.seen_faces().any()
    assert np.array_equal(copies.seen_faces(), DATA.splits == PUBLIC_TEST)


def test_a_face_does_not_keep_its_photograph():
    photograph = np.zeros((1000, 1000), np.uint8)
    builder = DatasetBuilder(skip_invalid=False)
    builder.add(lambda: (photograph[100:150, 100:150], 0, PUBLIC_TEST))
    assert builder.faces[0].base is None
