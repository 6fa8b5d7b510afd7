"""Results are shown as tables whose columns stand below each other and whose figures are the measured ones."""

import numpy as np

from trainer import tables
from trainer.evaluate import Result
from trainer.quantize import Comparison

BEFORE = Result("PublicTest", ("angry", "happy"), np.array([[8, 2], [0, 10]]), 0.3)
AFTER = Result("PublicTest", ("angry", "happy"), np.array([[7, 3], [0, 10]]), 0.4)


def words(text):
    return [line.split() for line in text.splitlines()]


def test_a_grid_has_its_first_column_to_the_left_and_the_others_to_the_right():
    assert tables.grid([("a", "long", "x"), ("wide", "1", "23")]) == "a     long   x\nwide     1  23"


def test_a_grid_leaves_no_blanks_at_the_end_of_a_line():
    assert tables.grid([("a", ""), ("b", "12")]) == "a\nb  12"


def test_a_result_shows_split_size_accuracy_with_interval_and_macro_f1():
    head = tables.result(BEFORE).splitlines()[0]
    assert head == "PublicTest: 20 faces, accuracy 0.9000 (95 %: 0.6990 to 0.9721), macro-F1 0.8990"


def test_a_result_shows_each_class_with_precision_recall_f1_and_faces():
    lines = words(tables.result(BEFORE))
    assert ["class", "precision", "recall", "F1", "faces"] in lines
    assert ["angry", "1.000", "0.800", "0.889", "10"] in lines
    assert ["happy", "0.833", "1.000", "0.909", "10"] in lines


def test_a_result_shows_the_confusion_with_the_true_labels_in_rows():
    lines = words(tables.result(BEFORE))
    assert lines[-3:] == [["true", "\\", "predicted", "angry", "happy"], ["angry", "8", "2"], ["happy", "0", "10"]]


def test_a_comparison_shows_float_and_int8_side_by_side():
    lines = words(tables.comparison(Comparison(BEFORE, AFTER, 0.95, 9_000_000, 2_734_334)))
    assert lines[0] == ["float", "int8"]
    assert ["file,", "bytes", "9,000,000", "2,734,334"] in lines
    assert ["PublicTest", "accuracy", "0.9000", "0.8500"] in lines
    assert ["PublicTest", "macro-F1", "0.8990", "0.8465"] in lines
    assert ["F1", "angry", "0.889", "0.824"] in lines


def test_a_comparison_ends_with_agreement_and_the_class_that_lost_most():
    compared = Comparison(BEFORE, AFTER, 0.95, 1, 1)
    assert compared.worst[0] == "angry"
    last = tables.comparison(compared).splitlines()[-1]
    assert last == "they agree on 95.0% of 20 faces; worst class: angry, F1 -0.065"
